"""Epochs, and the commands of the master itself (DESIGN §3 Epoch; §5 caps and keys)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.namespace.commands import (
    BeginEpoch,
    Body,
    CheckDigest,
    CloseSession,
    Command,
    EndLockDelay,
    ExpireSession,
    LeaseCaps,
    Limits,
    OpenSession,
    RaiseCaps,
    Request,
    RotateKey,
    SetLimits,
    SetVersion,
    Transaction,
)
from chubby.namespace.machine import Machine
from chubby.namespace.outcomes import Applied
from chubby.types.transaction import Create
from tests.namespace.cell import GENESIS, Cell, code_of


def test_the_epoch_is_the_slot_of_the_command_that_opened_it() -> None:
    """0 before the first; nothing else moves it."""
    machine = Machine.genesis(GENESIS)
    assert (machine.epoch, machine.applied) == (0, 0)
    machine.apply_noop(4)
    outcome = machine.apply(5, Command(0, 3, 0, BeginEpoch(2)))
    assert (machine.epoch, machine.applied) == (5, 5)
    assert (outcome.slot, outcome.epoch, outcome.sequence, outcome.void) == (5, 0, 3, False)
    machine.apply(9, Command(5, 1, 0, CheckDigest()))
    assert (machine.epoch, machine.applied) == (5, 9)
    machine.apply(10, Command(77, 1, 0, BeginEpoch(1)))
    assert machine.epoch == 10


@pytest.mark.parametrize("epoch", [0, 1, 4, 6, 1 << 40])
@pytest.mark.parametrize(
    "body",
    [
        Request(1, 9, 0, Transaction((), (Create("/x"),))),
        OpenSession(5, "late", caching=True),
        CloseSession(1),
        ExpireSession(1),
        EndLockDelay("/", 1, 1),
        RaiseCaps(LeaseCaps(1, 1)),
        SetLimits(Limits(nodes=1)),
        RotateKey(b"other"),
        CheckDigest(),
        SetVersion(2),
    ],
)
def test_a_command_of_another_epoch_is_void(epoch: int, body: Body) -> None:
    """etcd-io/etcd#15247: a deposed master changes nothing, not even by expiring a session; an early one neither."""
    cell = Cell()
    cell.session()
    cell.acquire(1, "/", delay=5)
    cell.do(CheckDigest())
    cell.do(BeginEpoch(2))
    assert cell.machine.epoch == 5
    idle = Machine.restore(cell.machine.snapshot().slices(1 << 20))
    outcome = cell.do(body, epoch=epoch)
    assert (outcome.void, code_of(outcome)) == (True, ErrorCode.NOT_MASTER)
    assert outcome.epoch == epoch
    idle.apply_noop(cell.machine.applied)
    assert cell.machine.digest() == idle.digest()


def test_commands_of_one_batch_share_a_slot() -> None:
    """A slot holds a batch; the machine accepts its commands one after the other under one number."""
    cell = Cell()
    slot = cell.machine.applied + 1
    for sequence in (1, 2):
        cell.machine.apply(slot, Command(1, sequence, 0, OpenSession(sequence, "x", caching=True)))
    assert cell.machine.session_count == 2
    with pytest.raises(AssertionError):
        cell.machine.apply_noop(slot - 1)


def test_lease_caps_are_replaced() -> None:
    """Up and, after they ran out, down again; nonsense is refused."""
    cell = Cell()
    for caps in (LeaseCaps(60, 12), LeaseCaps(12, 0)):
        assert cell.do(RaiseCaps(caps)).reply == Applied(cell.machine.revision)
        assert cell.machine.caps == caps
    for caps in (LeaseCaps(0, 1), LeaseCaps(-1, 1), LeaseCaps(5, -1)):
        assert code_of(cell.do(RaiseCaps(caps))) is ErrorCode.BAD_ARGUMENT
    assert cell.machine.caps == LeaseCaps(12, 0)


def test_keys_current_and_previous() -> None:
    """DESIGN §5: two are kept; a rotation that is repeated does not push the previous one out."""
    cell = Cell()
    steps: list[tuple[bytes, list[bytes]]] = [
        (b"second", [b"second", b"first key"]),
        (b"second", [b"second", b"first key"]),
        (b"third", [b"third", b"second"]),
    ]
    assert list(cell.machine.keys) == [b"first key"]
    for key, keys in steps:
        cell.do(RotateKey(key))
        assert list(cell.machine.keys) == keys
    for key in (b"", b"x" * 65):
        assert code_of(cell.do(RotateKey(key))) is ErrorCode.BAD_ARGUMENT
    assert list(cell.machine.keys) == [b"third", b"second"]
    for key in (b"x", b"x" * 64):
        assert code_of(cell.do(RotateKey(key))) is None


def test_versions_move_by_one() -> None:
    """DESIGN §3: one release up or down at a time; never below the first."""
    cell = Cell()
    assert cell.machine.version == 1
    for refused in (0, 3, -1):
        assert code_of(cell.do(SetVersion(refused))) is ErrorCode.BAD_ARGUMENT
    assert code_of(cell.do(SetVersion(2))) is None
    assert code_of(cell.do(SetVersion(2))) is None
    assert cell.machine.version == 2
    assert code_of(cell.do(SetVersion(1))) is None
    assert cell.machine.version == 1


def test_a_digest_check_changes_nothing() -> None:
    """It marks a slot at which replicas compare; the machine after it is the one before it, one slot on."""
    cell = Cell()
    other = Machine.restore(cell.machine.snapshot().slices(1 << 20))
    assert cell.do(CheckDigest()).reply == Applied(0)
    other.apply_noop(cell.machine.applied)
    assert cell.machine.digest() == other.digest()


def test_what_the_genesis_said() -> None:
    """The machine answers with what the cell was born with."""
    machine = Machine.genesis(GENESIS)
    assert (machine.cell, machine.name, machine.admins) == (0xCE11, "test", ("root",))
    assert (machine.limits, machine.caps, machine.keys) == (Limits(), LeaseCaps(), (b"first key",))
    assert (machine.revision, machine.session_count, machine.lock_count) == (0, 0, 0)
    assert machine.history_since(0) == ()
