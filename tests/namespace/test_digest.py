"""The digest covers all state, and only state (DESIGN §3 Digest)."""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator

import msgspec
import pytest

from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import ExpireSession, Transaction
from chubby.namespace.machine import Machine
from chubby.namespace.nodes import Node
from chubby.namespace.table import MODULUS, Table, mark_of
from chubby.types.nodes import AclNames, LockMode
from chubby.types.transaction import Create
from tests.namespace.cell import GENESIS, SHARED, Cell
from tests.namespace.test_twin import Pair


def from_scratch(machine: Machine) -> int:
    """The digest computed from the rows alone, by the definition."""
    state = machine._state
    marks = [mark_of(state.register)]
    for path, node in state.tree.nodes.rows.items():
        seen = (msgspec.structs.astuple(node.stat), node.sequence, node.lock_generation, node.lock_token)
        marks.append(mark_of(("node", path, seen)))
    for table in state.tables[1:]:
        marks += [mark_of((table.name, key, row)) for key, row in table.frozen()]
    return sum(marks) % MODULUS


@pytest.mark.parametrize("seed", range(4))
def test_incremental_is_from_scratch(seed: int) -> None:
    """After any commands: the digest kept along the way is the one of the rows."""
    pair = Pair(random.Random(seed))
    for number in range(600):
        pair.step()
        if number % 20 == 0:
            assert pair.machine.digest() == from_scratch(pair.machine)
            assert pair.machine.scrub(50)


def test_it_has_128_bits() -> None:
    """And fits them."""
    digests = [Machine.genesis(msgspec.structs.replace(GENESIS, cell=cell)).digest() for cell in range(50)]
    assert all(0 <= digest < MODULUS for digest in digests)
    assert len(set(digests)) == 50
    assert max(digests) > MODULUS >> 3


def a_full_cell() -> Cell:
    """A cell in which every table has rows, with every field set to something."""
    cell = Cell()
    sessions = [cell.session(principal) for principal in ("ann", "bob", "carol", "dan")]
    cell.transact(1, Create("/a", b"content", acl=AclNames("r", "w", "c"), attributes={"k": b"v"}))
    cell.create(1, "/a/e", ephemeral=True)
    cell.create(1, "/a/s-", sequential=True)
    cell.acquire(1, "/a", SHARED, delay=5)
    cell.acquire(2, "/a", SHARED, delay=6)
    cell.acquire(3, "/a", delay=7)
    cell.acquire(4, "/acl", delay=8)
    cell.do(ExpireSession(4))
    cell.request(2, Transaction(), acknowledged=1)
    assert len(sessions) == 4
    assert all(len(table) for table in cell.machine._state.tables)
    return cell


def variants(value: object) -> Iterator[object]:
    """Values of the same type that differ in one place, for every place there is."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, enum.IntEnum):
        yield from (other for other in type(value) if other is not value)
    elif isinstance(value, int):
        yield value ^ 1
    elif isinstance(value, str):
        yield value + "!"
    elif isinstance(value, bytes):
        yield value + b"!"
    elif value is None:
        yield LockMode.SHARED
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            for variant in variants(item):
                yield (*value[:index], variant, *value[index + 1 :])
        yield (*value, *value[:1]) if value else (1,)
    elif isinstance(value, dict):
        yield {**value, "new": b"new"}
        yield dict.fromkeys(value, b"other") or {"x": b"y"}
    else:
        assert isinstance(value, msgspec.Struct)
        for name in value.__struct_fields__:
            for variant in variants(getattr(value, name)):
                yield msgspec.structs.replace(value, **{name: variant})


def test_every_field_of_every_row_counts() -> None:
    """Whatever single value of the state is another, the digest is another (contents by their checksum)."""
    machine = a_full_cell().machine
    digest, tried = machine.digest(), 0
    for table in machine._state.tables:
        for key, row in list(table.frozen()):
            for other in variants(row):
                put_again(machine, table.name, key, other)
                changed = is_same_but_for_contents(row, other) or machine.digest() != digest
                assert changed, f"{table.name} {key}: {row} as {other}"
                put_again(machine, table.name, key, row)
                assert machine.digest() == digest
                tried += 1
            for other in variants(key):
                assert key_matters(machine, table.name, key, other)
                tried += 1
    assert tried > 300


def test_every_row_counts() -> None:
    """A row that is missing makes another digest."""
    machine = a_full_cell().machine
    digest = machine.digest()
    for table in machine._state.tables:
        for key, row in list(table.frozen()):
            table_of(machine, table.name).drop(key)
            assert machine.digest() != digest
            put_again(machine, table.name, key, row)
    assert machine.digest() == digest


def test_every_field_of_the_register_counts() -> None:
    """Counters, limits, caps, keys, names, slot, epoch, version: each of them."""
    machine = a_full_cell().machine
    register = machine._state.register
    digest = machine.digest()
    for name in register.__struct_fields__:
        before = getattr(register, name)
        others = list(variants(before))
        assert others, name
        for other in others:
            setattr(register, name, other)
            assert machine.digest() != digest, f"{name}: {before} as {other}"
        setattr(register, name, before)
    assert machine.digest() == digest


def test_only_state_counts() -> None:
    """Reading, and asking for a digest, change nothing; nor does the way to the same state."""
    machine = a_full_cell().machine
    digest = machine.digest()
    machine.children("/", "", 10), machine.locks("", 10), machine.sessions(0, 10), machine.admits("x", "y")
    machine.snapshot(), machine.scrub(100), machine.delays(), machine.history_since(0)
    assert machine.digest() == digest


def test_memory_rot_is_found_by_scrubbing() -> None:
    """A row or a content that is not what was put is found within one round, wherever it is."""
    machine = a_full_cell().machine
    rows = sum(len(table) for table in machine._state.tables)
    assert all(machine.scrub(3 * rows) for _ in range(3))
    tree = machine._state.tree
    good = tree.nodes.rows["/a"]
    for rotten in (
        msgspec.structs.replace(good, contents=b"Content"),
        msgspec.structs.replace(good, sequence=99),
        msgspec.structs.replace(good, stat=msgspec.structs.replace(good.stat, modified=99)),
    ):
        tree.nodes.rows["/a"] = rotten
        assert not all(machine.scrub(1) for _ in range(rows + 1))
        tree.nodes.rows["/a"] = good
        assert all(machine.scrub(rows) for _ in range(2))
    replies = machine._state.sessions.replies.rows
    replies[next(iter(replies))] = Failure(ErrorCode.INTERNAL, "rot")
    assert not all(machine.scrub(rows) for _ in range(2))


def test_a_scrub_reads_no_row_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the budget: a small machine costs little; and whatever the budget, each row has its turn."""
    machine = a_full_cell().machine
    rows = sum(len(table) for table in machine._state.tables)
    read: list[object] = []
    is_sound = Table.is_sound

    def reading(table: Table[object, object], key: object) -> bool:
        read.append((table.name, key))
        return is_sound(table, key)

    monkeypatch.setattr(Table, "is_sound", reading)
    assert machine.scrub(10 * rows) and len(set(read)) == len(read) == rows
    read.clear()
    for _ in range(rows):
        assert machine.scrub(2)
    assert len(set(read)) == rows and len(read) <= 2 * rows


def test_scrubbing_goes_on_while_commands_are_applied() -> None:
    """Rows that come and go between two steps are no rot, and the round goes on behind them."""
    cell = Cell()
    cell.session()
    for number in range(60):
        name = cell.create(1, f"/{number}", ephemeral=True)
        assert cell.machine.scrub(7)
        if number % 3 == 0:
            cell.remove(1, name)
        assert cell.machine.scrub(5)


def table_of(machine: Machine, name: str) -> Table[object, object]:
    """The table of that name, of which rows are put as they come."""
    found: object = next(table for table in machine._state.tables if table.name == name)
    assert isinstance(found, Table)
    return found


def put_again(machine: Machine, name: str, key: object, row: object) -> None:
    """Put a row, right or wrong."""
    table_of(machine, name).put(key, row)


def key_matters(machine: Machine, name: str, key: object, other: object) -> bool:
    """Whether the row would have another mark under that key."""
    table = table_of(machine, name)
    row = table.rows[key]
    return table.mark(key, row) != table.mark(other, row)


def is_same_but_for_contents(row: object, other: object) -> bool:
    """Whether two nodes differ in nothing but the content, whose checksum in the metadata stands for it."""
    return (
        isinstance(row, Node)
        and isinstance(other, Node)
        and msgspec.structs.replace(other, contents=row.contents) == row
    )
