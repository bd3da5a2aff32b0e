"""Locks: who gets one, in which order, under which numbers (DESIGN §4 Locks, Token; paper §2.4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chubby.errors import ErrorCode
from chubby.namespace.commands import AcquireLock, CancelAcquire, CloseSession, ExpireSession, ReleaseLock
from chubby.namespace.outcomes import Conflict, Grant, LockAnswer, Outcome
from chubby.types.nodes import LockMode, LockOwner
from chubby.types.transaction import Create, Remove
from tests.namespace.cell import EXCLUSIVE, HELD, NONE, SHARED, WAITING, Cell, code_of, standing_of, token_of


@pytest.fixture
def cell() -> Cell:
    """A cell with the sessions 1 to 5 and a node `/l` whose lock the tests want."""
    cell = Cell()
    assert [cell.session() for _ in range(5)] == [1, 2, 3, 4, 5]
    cell.create(1, "/l")
    return cell


def holders(cell: Cell, path: str = "/l") -> list[int]:
    """The sessions that hold the lock, in order of joining."""
    info = cell.machine.lock(path)
    assert info is not None
    return [owner.session for owner in info.holders]


def waiters(cell: Cell, path: str = "/l") -> list[int]:
    """The sessions that wait, in order of asking."""
    info = cell.machine.lock(path)
    assert info is not None
    return [owner.session for owner, _ in info.waiters]


def granted(outcome: Outcome) -> list[int]:
    """The sessions that hold from this command on."""
    return [grant.owner.session for grant in outcome.grants]


def test_a_free_lock_is_granted_at_once(cell: Cell) -> None:
    """The answer carries token and generation; the grant is reported also if nobody waited."""
    outcome = cell.acquire(1, "/l", handle=7)
    assert outcome.reply == LockAnswer(HELD, token=1, generation=1)
    assert outcome.grants == (Grant(LockOwner(1, 7), "/l", cell.instance("/l"), EXCLUSIVE, 1, 1),)
    assert cell.machine.standing(LockOwner(1, 7), "/l", cell.instance("/l")) == outcome.reply


def test_exclusive_excludes_and_shared_shares(cell: Cell) -> None:
    """Paper §2.4: one writer or any number of readers."""
    cell.acquire(1, "/l")
    assert standing_of(cell.acquire(2, "/l", SHARED)) is WAITING
    cell.release(1, "/l")
    assert standing_of(cell.acquire(3, "/l", SHARED)) is HELD
    assert holders(cell) == [2, 3]
    assert standing_of(cell.acquire(4, "/l")) is WAITING


def test_try_acquire_never_waits(cell: Cell) -> None:
    """Held, or waited for: LOCK_CONFLICT, and no trace of the one who tried."""
    assert standing_of(cell.acquire(1, "/l", wait=False)) is HELD
    assert code_of(cell.acquire(2, "/l", wait=False)) is ErrorCode.LOCK_CONFLICT
    assert code_of(cell.acquire(2, "/l", SHARED, wait=False)) is ErrorCode.LOCK_CONFLICT
    assert waiters(cell) == []
    assert cell.machine.locks_of(2) == ()


def test_first_come_first_served(cell: Cell) -> None:
    """A release grants exactly the head of the queue."""
    for session in (1, 2, 3, 4):
        cell.acquire(session, "/l")
    assert waiters(cell) == [2, 3, 4]
    for session in (1, 2, 3):
        assert granted(cell.release(session, "/l")) == [session + 1]
    assert granted(cell.release(4, "/l")) == []
    assert cell.machine.lock_count == 0


def test_no_barging(cell: Cell) -> None:
    """Whoever asks while somebody waits stands behind him: TryAcquire fails, a shared one does not join."""
    cell.acquire(1, "/l", SHARED)
    cell.acquire(2, "/l", EXCLUSIVE)
    assert code_of(cell.acquire(3, "/l", SHARED, wait=False)) is ErrorCode.LOCK_CONFLICT
    assert standing_of(cell.acquire(3, "/l", SHARED)) is WAITING
    assert (holders(cell), waiters(cell)) == ([1], [2, 3])


def test_a_release_grants_the_head_and_the_shared_ones_with_it(cell: Cell) -> None:
    """All shared ones at the head up to the first exclusive one; not those behind him."""
    cell.acquire(1, "/l")
    cell.acquire(2, "/l", SHARED)
    cell.acquire(3, "/l", SHARED)
    cell.acquire(4, "/l", EXCLUSIVE)
    cell.acquire(5, "/l", SHARED)
    assert granted(cell.release(1, "/l")) == [2, 3]
    assert (holders(cell), waiters(cell)) == ([2, 3], [4, 5])
    assert granted(cell.release(2, "/l")) == []
    assert granted(cell.release(3, "/l")) == [4]
    assert granted(cell.release(4, "/l")) == [5]


def test_tokens_are_one_per_hold_period(cell: Cell) -> None:
    """Free to held is a new token and a new generation; shared ones that join share both."""
    first = token_of(cell.acquire(1, "/l", SHARED))
    assert token_of(cell.acquire(2, "/l", SHARED)) == first
    cell.release(1, "/l")
    assert token_of(cell.acquire(3, "/l", SHARED)) == first, "the period goes on while one holds"
    assert cell.node("/l").lock_generation == 1
    cell.release(2, "/l")
    cell.release(3, "/l")
    assert token_of(cell.acquire(1, "/l", SHARED)) > first
    assert cell.node("/l").lock_generation == 2


def test_tokens_grow_cell_wide_and_are_never_used_again(cell: Cell) -> None:
    """Whatever lock, whatever instance: later hold periods have greater tokens, also after delete and recreate."""
    cell.create(1, "/m")
    tokens = []
    for path in ("/l", "/m", "/l"):
        tokens.append(token_of(cell.acquire(1, path)))
        cell.release(1, path)
    tokens.append(token_of(cell.acquire(1, "/l")))
    cell.remove(1, "/l")
    cell.create(1, "/l")
    tokens.append(token_of(cell.acquire(1, "/l")))
    assert tokens == sorted(set(tokens))
    assert cell.node("/l").lock_generation == 1, "the generation is the instance's own"


def test_an_owner_is_a_handle_of_a_session(cell: Cell) -> None:
    """Two handles of one session are two owners, which may exclude each other."""
    cell.acquire(1, "/l", handle=1)
    assert standing_of(cell.acquire(1, "/l", handle=2)) is WAITING
    assert code_of(cell.release(1, "/l", handle=2)) is ErrorCode.LOCK_NOT_HELD
    assert cell.release(1, "/l", handle=1).grants[0].owner == LockOwner(1, 2)
    assert code_of(cell.acquire(1, "/l", handle=0)) is ErrorCode.BAD_ARGUMENT


def test_asking_again_finds_hold_or_place(cell: Cell) -> None:
    """Idempotent: the same owner asks the same again under another call number and nothing changes."""
    held = cell.acquire(1, "/l")
    again = cell.acquire(1, "/l", wait=False, delay=5)
    assert again.reply == held.reply
    assert again.grants == ()
    cell.acquire(2, "/l")
    cell.acquire(3, "/l")
    outcome = cell.acquire(2, "/l")
    assert (standing_of(outcome), outcome.conflicts) == (WAITING, ())
    assert waiters(cell) == [2, 3]


def test_no_upgrade_and_no_downgrade(cell: Cell) -> None:
    """An owner that holds or waits in one mode and asks in the other gets LOCK_CONFLICT and keeps what it has."""
    cell.acquire(1, "/l", SHARED)
    for wait in (True, False):
        assert code_of(cell.acquire(1, "/l", EXCLUSIVE, wait=wait)) is ErrorCode.LOCK_CONFLICT
    cell.acquire(2, "/l", EXCLUSIVE)
    assert code_of(cell.acquire(2, "/l", SHARED)) is ErrorCode.LOCK_CONFLICT
    assert (holders(cell), waiters(cell)) == ([1], [2])
    cell.release(1, "/l")
    assert code_of(cell.acquire(2, "/l", SHARED)) is ErrorCode.LOCK_CONFLICT
    assert holders(cell) == [2]


def test_trying_while_waiting_is_a_conflict_and_keeps_the_place(cell: Cell) -> None:
    """TryAcquire never answers that it waits, not even if the same handle does so by another call."""
    cell.acquire(1, "/l")
    cell.acquire(2, "/l")
    assert code_of(cell.acquire(2, "/l", wait=False)) is ErrorCode.LOCK_CONFLICT
    assert waiters(cell) == [2]


def test_release_needs_the_lock(cell: Cell) -> None:
    """LOCK_NOT_HELD for anybody else, waiters included; releasing twice fails the second time."""
    cell.acquire(1, "/l")
    cell.acquire(2, "/l")
    assert code_of(cell.release(2, "/l")) is ErrorCode.LOCK_NOT_HELD
    assert code_of(cell.release(3, "/l")) is ErrorCode.LOCK_NOT_HELD
    assert waiters(cell) == [2]
    assert standing_of(cell.release(1, "/l")) is NONE
    assert code_of(cell.release(1, "/l")) is ErrorCode.LOCK_NOT_HELD


def test_cancel_leaves_the_queue_and_never_the_lock(cell: Cell) -> None:
    """python-zk/kazoo#732: idempotent, leaves no orphan; a grant that came first stays, and the answer says so."""
    token = token_of(cell.acquire(1, "/l"))
    cell.acquire(2, "/l")
    assert standing_of(cell.cancel(2, "/l")) is NONE
    assert standing_of(cell.cancel(2, "/l")) is NONE
    assert waiters(cell) == []
    assert token_of(cell.cancel(1, "/l")) == token
    assert holders(cell) == [1]


def test_who_leaves_the_queue_lets_others_join(cell: Cell) -> None:
    """A shared one that stood only behind an exclusive one joins the holders when that one leaves."""
    token = token_of(cell.acquire(1, "/l", SHARED))
    ways: list[Callable[[], Outcome]] = [
        lambda: cell.cancel(2, "/l"),
        lambda: cell.close(2, "/l"),
        lambda: cell.do(ExpireSession(2)),
    ]
    for leave in ways:
        cell.acquire(2, "/l", EXCLUSIVE)
        cell.acquire(3, "/l", SHARED)
        cell.acquire(4, "/l", SHARED)
        outcome = leave()
        assert granted(outcome) == [3, 4]
        assert {grant.token for grant in outcome.grants} == {token}
        cell.release(3, "/l")
        cell.release(4, "/l")


def test_closing_the_handle_releases_or_leaves_the_queue(cell: Cell) -> None:
    """What Close means to the machine (paper §2.3: Close releases nothing of others)."""
    cell.acquire(1, "/l", handle=1)
    cell.acquire(2, "/l")
    cell.acquire(3, "/l")
    cell.close(1, "/l", handle=2)
    assert holders(cell) == [1]
    cell.close(2, "/l")
    assert waiters(cell) == [3]
    assert granted(cell.close(1, "/l", handle=1)) == [3]


@pytest.mark.parametrize("body", [CloseSession(2), ExpireSession(2)])
def test_a_dead_session_is_never_granted(cell: Cell, body: CloseSession | ExpireSession) -> None:
    """etcd-io/etcd#11456: its end removes it from all queues, in the command itself, before anything is granted."""
    cell.create(1, "/m")
    cell.acquire(1, "/l")
    cell.acquire(2, "/m")
    cell.acquire(2, "/l", handle=1)
    cell.acquire(2, "/l", handle=2)
    cell.acquire(3, "/l")
    cell.acquire(2, "/m", handle=2)
    cell.acquire(4, "/m")
    outcome = cell.do(body)
    assert granted(outcome) == [4], "of /m, the lock it held; not its own second handle"
    assert waiters(cell) == [3]
    assert granted(cell.release(1, "/l")) == [3]
    assert cell.machine.locks_of(2) == ()


def test_locks_of_an_ended_session_are_granted_in_path_order(cell: Cell) -> None:
    """The order of tokens must be the same on every replica, however its tables came to be."""
    for path in ("/z", "/b", "/k"):
        cell.create(1, path)
        cell.acquire(1, path)
        cell.acquire(2, path)
    outcome = cell.do(CloseSession(1))
    assert [grant.path for grant in outcome.grants] == ["/b", "/k", "/z"]
    assert [grant.token for grant in outcome.grants] == sorted(grant.token for grant in outcome.grants)


def test_deletion_orphans_holders_and_waiters(cell: Cell) -> None:
    """DESIGN §4: whoever waits is told HANDLE_INVALID; holders first, then waiters, each in order."""
    cell.acquire(1, "/l", SHARED, handle=3)
    cell.acquire(2, "/l", SHARED)
    cell.acquire(4, "/l", EXCLUSIVE)
    cell.acquire(3, "/l", SHARED)
    outcome = cell.remove(5, "/l")
    assert outcome.orphaned == (LockOwner(1, 3), LockOwner(2, 1), LockOwner(4, 1), LockOwner(3, 1))
    assert outcome.grants == ()
    assert (cell.machine.lock("/l"), cell.machine.lock_count) == (None, 0)
    assert cell.machine.locks_of(1) == ()


def test_a_new_node_of_the_name_has_a_lock_of_its_own(cell: Cell) -> None:
    """Deleted and made again within one transaction too: the new instance is free."""
    cell.acquire(1, "/l")
    outcome = cell.transact(2, Remove("/l"), Create("/l"))
    assert outcome.orphaned == (LockOwner(1, 1),)
    assert standing_of(cell.acquire(2, "/l")) is HELD


def test_a_failed_transaction_orphans_nobody(cell: Cell) -> None:
    """All or nothing holds for locks too."""
    cell.acquire(1, "/l")
    outcome = cell.transact(2, Remove("/l"), Create("/l"), Create("/l"))
    assert (outcome.orphaned, holders(cell)) == ((), [1])


def test_commands_for_another_instance_are_invalid(cell: Cell) -> None:
    """A handle is bound to an instance: HANDLE_INVALID if the node was deleted, also if there is a new one."""
    old = cell.instance("/l")
    cell.remove(1, "/l")
    cell.create(1, "/l")
    cell.acquire(2, "/l")
    for path in ("/l", "/none", "no path at all"):
        for action in (
            AcquireLock(1, path, old, EXCLUSIVE, True, 0),
            CancelAcquire(1, path, old),
            ReleaseLock(1, path, old),
        ):
            assert code_of(cell.request(2, action)) is ErrorCode.HANDLE_INVALID
        assert cell.machine.standing(LockOwner(2, 1), path, old).standing is NONE
    assert holders(cell) == [2]


def test_holders_are_told_of_a_conflict(cell: Cell) -> None:
    """Paper §2.5, event 6: each time somebody begins to wait, all who hold; not for attempts and repeats."""
    cell.acquire(1, "/l", SHARED)
    assert cell.acquire(2, "/l", SHARED).conflicts == ()
    assert cell.acquire(3, "/l").conflicts == (Conflict("/l", (LockOwner(1, 1), LockOwner(2, 1))),)
    assert cell.acquire(3, "/l").conflicts == ()
    assert cell.acquire(4, "/l", wait=False).conflicts == ()
    assert cell.acquire(4, "/l").conflicts == (Conflict("/l", (LockOwner(1, 1), LockOwner(2, 1))),)


def test_who_is_granted_a_lock_that_others_want_is_told(cell: Cell) -> None:
    """A holder that keeps its lock until somebody wants it would keep it for ever, had it to wait for the next."""
    for session in (1, 2, 3):
        cell.acquire(session, "/l")
    assert cell.release(1, "/l").conflicts == (Conflict("/l", (LockOwner(2, 1),)),)
    assert cell.release(2, "/l").conflicts == ()


def test_lock_info_shows_everything(cell: Cell) -> None:
    """Mode, numbers, holders, waiters with their modes, the longest lock-delay among the holders."""
    cell.acquire(1, "/l", SHARED, delay=3)
    cell.acquire(2, "/l", SHARED, delay=9)
    cell.acquire(3, "/l", EXCLUSIVE, delay=20)
    info = cell.machine.lock("/l")
    assert info is not None
    assert (info.path, info.mode, info.generation, info.token) == ("/l", SHARED, 1, 1)
    assert info.holders == (LockOwner(1, 1), LockOwner(2, 1))
    assert info.waiters == ((LockOwner(3, 1), EXCLUSIVE),)
    assert (info.delayed, info.delay) == (False, 9)
    for session in (3, 2, 1):
        cell.close(session, "/l")
    free = cell.machine.lock("/l")
    assert free is not None
    assert (free.mode, free.generation, free.token, free.holders, free.delay) == (None, 1, 1, (), 0)
    assert (free.waiters, free.delayed) == ((), False)
    never = cell.machine.lock("/")
    assert never is not None
    assert (never.generation, never.token) == (0, 0)


@pytest.mark.parametrize("delay", [-1, 60_000_000_001])
def test_lock_delays_beyond_a_minute_are_refused(cell: Cell, delay: int) -> None:
    """DESIGN §4: the client's choice, at most 60 s."""
    assert code_of(cell.acquire(1, "/l", delay=delay)) is ErrorCode.BAD_ARGUMENT
    assert holders(cell) == []


def test_any_node_has_a_lock(cell: Cell) -> None:
    """Directories and the root too."""
    assert standing_of(cell.acquire(1, "/", LockMode.EXCLUSIVE)) is HELD
    assert standing_of(cell.acquire(1, "/acl", LockMode.SHARED)) is HELD


def test_a_long_queue_keeps_its_order(cell: Cell) -> None:
    """Hundreds of waiters, some of whom leave from the middle, from the head and from the end."""
    cell.acquire(1, "/l")
    for handle in range(1, 301):
        cell.acquire(2, "/l", handle=handle)
    gone = {1, 2, 150, 151, 299, 300}
    for handle in gone:
        cell.cancel(2, "/l", handle=handle)
    cell.acquire(2, "/l", handle=1)
    order = []
    outcome = cell.release(1, "/l")
    while outcome.grants:
        order.append(outcome.grants[0].owner.handle)
        outcome = cell.release(2, "/l", handle=order[-1])
    assert order == [handle for handle in range(1, 301) if handle not in gone] + [1]
