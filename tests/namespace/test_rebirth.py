"""Restored cells: another cell, with counters above anything the old one can have given out (DESIGN §4 Token)."""

from __future__ import annotations

import msgspec
import pytest

from chubby.namespace.commands import BeginEpoch, ExpireSession, OpenSession
from chubby.namespace.machine import Machine
from chubby.namespace.outcomes import LockAnswer, SessionMade
from chubby.types.nodes import LockOwner
from chubby.types.transaction import Create, TokenIs, Write, WriteAcl
from tests.namespace.cell import GENESIS, Cell, token_of

FLOOR = 1_800_000_000 << 20
"""Some second of the year 2027, shifted as DESIGN §4 says."""


def reborn(cell: Cell, floor: int = FLOOR, name: str | None = None) -> Machine:
    """A new cell from a backup of this one."""
    slices = cell.machine.snapshot().slices(1 << 20)
    return Machine.reborn(slices, cell=0xBEEF, key=b"new key", counter_floor=floor, name=name)


@pytest.fixture
def old() -> Cell:
    """A cell with everything in it."""
    cell = Cell()
    for _ in range(3):
        cell.session()
    cell.create(1, "/a", b"content")
    cell.transact(1, Write("/a", b"better"), WriteAcl("/a", cell.node("/a").acl))
    cell.create(1, "/a/s-", sequential=True)
    cell.create(1, "/e", ephemeral=True)
    cell.create(1, "/kept", ephemeral=True)
    cell.create(1, "/kept/empty", ephemeral=True)
    cell.create(1, "/kept/below")
    cell.create(1, "/kept/below/e", ephemeral=True)
    cell.acquire(1, "/a", delay=5)
    cell.acquire(2, "/a")
    cell.acquire(3, "/acl", delay=5)
    cell.do(ExpireSession(3))
    return cell


def test_it_is_another_cell(old: Cell) -> None:
    """New id, new key and no other; the old name unless a new one is given; an empty log."""
    machine = reborn(old)
    assert (machine.cell, machine.keys, machine.name) == (0xBEEF, (b"new key",), "test")
    assert (machine.applied, machine.epoch) == (0, 0)
    assert reborn(old, name="other").name == "other"
    assert (machine.limits, machine.caps, machine.admins) == (old.machine.limits, old.machine.caps, old.machine.admins)
    assert machine.version == old.machine.version


def test_nodes_stay_and_everything_bound_to_sessions_goes(old: Cell) -> None:
    """No sessions, replies, locks, lock-delays, open-sets; ephemerals only where something permanent is below."""
    machine = reborn(old)
    assert [path for path in ("/a", "/a/s-0000000000", "/kept", "/kept/below") if machine.node(path) is None] == []
    assert [path for path in ("/e", "/kept/empty", "/kept/below/e") if machine.node(path) is not None] == []
    assert (machine.session_count, machine.lock_count, machine.delays()) == (0, 0, ())
    assert machine.reply(1, 1) is None
    assert machine.open_count("/kept") == 0
    node, before = machine.node("/a"), old.node("/a")
    assert node is not None
    assert (node.contents, node.stat.checksum, node.acl) == (b"better", before.stat.checksum, before.acl)
    assert (node.instance, node.stat.created, node.stat.created_ms) == (before.instance, 1, 2_000)


def test_an_ephemeral_that_was_kept_goes_with_its_last_child(old: Cell) -> None:
    """It is abandoned like any ephemeral whose members have gone."""
    cell = Cell(machine=reborn(old))
    cell.do(BeginEpoch(1))
    session = cell.session()
    cell.remove(session, "/kept/below")
    assert not cell.has("/kept")


def test_every_counter_starts_above_the_floor(old: Cell) -> None:
    """Instances, tokens, revisions, sessions; and of each node its generations and its sequence numbers."""
    cell = Cell(machine=reborn(old))
    cell.do(BeginEpoch(1))
    session = cell.session()
    assert session == FLOOR + 1
    assert cell.machine.revision == FLOOR
    assert cell.create(session, "/a/s-", sequential=True) == f"/a/s-{FLOOR}"
    assert cell.create(session, "/acl/s-", sequential=True) == f"/acl/s-{FLOOR}"
    assert cell.instance(f"/a/s-{FLOOR}") == FLOOR + 1
    assert cell.machine.revision == FLOOR + 2
    assert cell.acquire(session, "/a").reply == LockAnswer(
        cell.machine.standing(LockOwner(session, 1), "/a", 3).standing, FLOOR + 1, FLOOR + 1
    )
    cell.transact(session, Write("/a", b"x"), WriteAcl("/a", cell.node("/a").acl))
    stat = cell.node("/a").stat
    assert (stat.content_generation, stat.acl_generation) == (FLOOR + 1, FLOOR + 1)


def test_counters_that_are_higher_already_stay(old: Cell) -> None:
    """`max(own, floor)`: a floor too low, say a clock set back, takes nothing back."""
    machine = reborn(old, floor=2)
    cell = Cell(machine=machine)
    assert machine.revision == old.machine.revision
    cell.do(BeginEpoch(1))
    assert cell.session() == 4
    cell.create(4, "/new")
    assert cell.instance("/new") == old.instance("/kept/below/e") + 1
    assert token_of(cell.acquire(4, "/new")) == 3
    node = cell.node("/a")
    assert (node.stat.content_generation, node.stat.acl_generation, node.lock_generation) == (2, 2, 2)
    assert (node.sequence, cell.node("/").sequence) == (2, 2)
    twice = Cell(machine=reborn(Cell(machine=reborn(old)), floor=5))
    assert twice.node("/a").lock_generation == FLOOR


def test_old_tokens_are_below_new_ones_and_hold_nothing(old: Cell) -> None:
    """DESIGN §4: a server that remembers an old sequencer lets no old holder in again."""
    token = old.node("/a").lock_token
    cell = Cell(machine=reborn(old))
    cell.do(BeginEpoch(1))
    assert cell.machine.failing_guard([TokenIs("/a", token)]) == 0
    session = cell.session()
    assert token_of(cell.acquire(session, "/a")) > FLOOR > token


def test_no_cursor_of_the_old_cell_is_served(old: Cell) -> None:
    """The history is gone: any old revision is too old, the present one is up to date."""
    machine = reborn(old)
    assert machine.history_since(old.machine.revision) is None
    assert machine.history_since(FLOOR - 1) is None
    assert machine.history_since(FLOOR) == ()


def test_the_new_cell_is_an_ordinary_one(old: Cell) -> None:
    """Same backup, same arguments: same machine; it snapshots, restores, scrubs and applies like any other."""
    machine = reborn(old)
    assert machine.digest() == reborn(old).digest()
    restored = Machine.restore(machine.snapshot().slices(1 << 20))
    assert restored.digest() == machine.digest()
    assert machine.scrub(100)
    for either in (machine, restored):
        cell = Cell(machine=either)
        cell.do(BeginEpoch(1))
        assert isinstance(cell.do(OpenSession(1, "x", caching=True)).reply, SessionMade)
    assert restored.digest() == machine.digest()


def test_a_new_cell_of_an_old_name_starts_above_a_floor_too() -> None:
    """Genesis has a floor for a cell that is formatted anew."""
    cell = Cell(msgspec.structs.replace(GENESIS, counter_floor=FLOOR))
    session = cell.session()
    assert session == FLOOR + 1
    assert (cell.instance("/"), cell.instance("/acl"), cell.machine.revision) == (FLOOR + 1, FLOOR + 2, FLOOR)
    assert cell.result(session, Create("/a")).revision == FLOOR + 1
    assert token_of(cell.acquire(session, "/a")) == FLOOR + 1
    assert cell.machine.history_since(FLOOR - 1) is None
