"""Fail-over as the paper's steps (DESIGN §5 Fail-over; paper §2.9)."""

from __future__ import annotations

import pytest

from chubby.master import MasterSettings
from chubby.master.failover import PERMITTED, TRANSITIONS, Failover, Permission, Phase, Recovery, Trigger
from chubby.namespace.commands import (
    BeginEpoch,
    Command,
    EndLockDelay,
    ExpireSession,
    LeaseCaps,
    Limits,
    Request,
    RotateKey,
    SetLimits,
)
from chubby.types.calls import (
    Acquire,
    GetContentsAndStat,
    Release,
    SetContents,
)
from chubby.types.results import Contents, Done, LockGranted, StatResult
from chubby.types.stream import CallFrame, OpenSession, Redirect
from chubby.types.time import NEVER, SECOND
from tests.master.cell import Cell, Client

# ------------------------------------------------------------------------------------------------------- the automaton


def test_the_table_leads_through_the_steps() -> None:
    """Location only → rebuild → KeepAlive and Resume → all."""
    automaton = Failover()
    for trigger, phase in (
        (Trigger.ELECTED, Phase.LOCATION_ONLY),
        (Trigger.EPOCH_BEGUN, Phase.REBUILDING),
        (Trigger.REBUILT, Phase.RECOVERING),
        (Trigger.SETTLED, Phase.SERVING),
        (Trigger.DEPOSED, Phase.FOLLOWING),
    ):
        automaton.move(trigger)
        assert automaton.phase is phase


def test_every_phase_can_be_deposed_and_no_step_is_skipped() -> None:
    """What the table does not say is a bug of the caller."""
    assert all((phase, Trigger.DEPOSED) in TRANSITIONS for phase in Phase)
    assert len(TRANSITIONS) == len(Phase) + 4
    with pytest.raises(AssertionError):
        Failover().move(Trigger.EPOCH_BEGUN)


def test_what_each_phase_permits() -> None:
    """Reads, acquire and release go on at once; changes come last."""
    assert PERMITTED[Phase.LOCATION_ONLY] == PERMITTED[Phase.REBUILDING] == frozenset()
    assert PERMITTED[Phase.RECOVERING] == {Permission.SESSIONS, Permission.READS_AND_LOCKS}
    assert PERMITTED[Phase.SERVING] == frozenset(Permission)


def test_recovery_waits_for_caching_sessions_or_the_cap() -> None:
    """Step 6 of the paper, with the cache lease in place of the session lease."""
    recovery = Recovery()
    recovery.begin([1, 2], until=100)
    recovery.over(1)
    assert not recovery.settled(99) and recovery.until == 100
    assert recovery.settled(100)
    recovery.postpone(10)
    assert not recovery.settled(109)
    recovery.over(2)
    recovery.over(2)
    assert recovery.settled(0) and recovery.until == NEVER


# --------------------------------------------------------------------------------------------------- location only


def elected_and_waiting() -> Cell:
    """A master whose BeginEpoch is on its way."""
    cell = Cell(elect=False)
    cell.applying = False
    cell.master.elected(cell.now, cell.wall_ms)
    cell.pump()
    return cell


def test_nothing_is_answered_before_the_epoch_has_begun() -> None:
    """DESIGN §3: no reads before BeginEpoch is applied. Greetings wait and are answered then."""
    cell = elected_and_waiting()
    assert not cell.master.serving and cell.master.phase is Phase.LOCATION_ONLY
    client = Client(cell)
    client.connect()
    client.send(OpenSession(5))
    assert client.opened is None and client.end is None
    cell.applying = True
    cell.settle()
    cell.tick()
    client.read()
    assert client.opened is not None and client.opened.epoch == cell.machine.epoch


def test_begin_epoch_carries_the_replica_and_is_recognised() -> None:
    """Another master's BeginEpoch that we adopt in phase 1 is not ours."""
    cell = elected_and_waiting()
    ours = cell.log.popleft()
    assert ours.body == BeginEpoch(1)
    cell.log.append(Command(0, ours.sequence + 1, 0, BeginEpoch(2)))
    cell.apply()
    assert not cell.master.serving
    cell.log.append(ours)
    cell.apply()
    assert cell.master.serving and cell.master.statistics().epoch == cell.machine.epoch


def test_a_higher_epoch_in_the_log_deposes_at_once() -> None:
    """Every later command is void under another epoch: this master has nothing to say any more."""
    cell = Cell()
    client = cell.client()
    cell.log.append(Command(0, 1 << 47, 0, BeginEpoch(2)))
    cell.settle()
    client.read()
    assert client.end == Redirect("", cell.machine.epoch) and not cell.master.serving
    assert cell.master.wake_at == NEVER


def test_deposed_streams_are_redirected_and_pending_calls_forgotten() -> None:
    """DESIGN §5: outcome unknown; the clients resume elsewhere."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/l"), bob.open_handle("/l")
    alice.call(Acquire(handle))
    waiting = bob.start(Acquire(other))
    cell.depose("10.0.0.9:7000", 99)
    alice.read()
    assert alice.end == Redirect("10.0.0.9:7000", 99) and bob.answer(waiting) is None
    assert bob.end == alice.end and set(cell.ended) == {alice.stream, bob.stream}
    figures = cell.master.statistics()
    assert (figures.handles, figures.sessions_connected, figures.sessions_awaited, figures.calls_pending) == (0,) * 4
    late = Client(cell)
    late.connect()
    late.send(OpenSession(9))
    assert late.end == Redirect("10.0.0.9:7000", 99)


def test_a_follower_is_told_the_masters_whereabouts() -> None:
    """`deposed` on a follower only changes what new streams are answered."""
    cell = Cell(elect=False)
    client = Client(cell)
    client.connect()
    cell.master.deposed(cell.now, "10.0.0.3:7000", 4)
    cell.settle()
    assert client.read() == []
    client.send(OpenSession(1))
    assert client.end == Redirect("10.0.0.3:7000", 4)


# --------------------------------------------------------------------------------------------------------- rebuild


def test_first_acts() -> None:
    """Limits are set if they differ, the key is rotated if asked; a master that changes nothing proposes nothing."""
    limits = Limits(nodes=500)
    cell = Cell(MasterSettings(replica=1, limits=limits, rotate_key=True))
    assert [type(command.body) for command in cell.commands] == [BeginEpoch, RotateKey, SetLimits]
    assert cell.machine.limits == limits and cell.machine.keys[1:] == (b"k" * 32,)
    assert [type(command.body) for command in Cell().commands] == [BeginEpoch]
    again = Cell(MasterSettings(replica=1, limits=limits), machine=cell.machine)
    assert [type(command.body) for command in again.commands] == [BeginEpoch]


def test_session_leases_start_at_the_cap() -> None:
    """DESIGN §5: a new master extends by the cap; not a moment earlier may a session expire."""
    cell = Cell()
    client = cell.client()
    cell.advance(11 * SECOND)
    cell.fail_over()
    begun = cell.now
    cell.advance(12 * SECOND - 1)
    assert cell.machine.session(client.session) is not None
    cell.advance(1)
    assert cell.machine.session(client.session) is None and cell.now == begun + 12 * SECOND
    assert len(cell.proposed(ExpireSession)) == 1


def test_lock_delays_start_again_in_full() -> None:
    """DESIGN §4: a lock-delay restarts in full after a fail-over; how much of it had passed, nobody knows."""
    cell = Cell()
    holder, other = cell.client(), cell.client("bob")
    holder.call(Acquire(holder.open_handle("/l"), lock_delay=20 * SECOND))
    holder.disconnect()
    for _ in range(5):
        cell.advance(5 * SECOND)
        other.keep_alive()
    assert cell.machine.session(holder.session) is None and len(cell.machine.delays()) == 1
    cell.fail_over()
    other.resume()
    for _ in range(3):
        cell.advance(5 * SECOND)
        other.keep_alive()
    cell.advance(5 * SECOND - 1)
    assert cell.proposed(EndLockDelay) == []
    cell.advance(1)
    assert len(cell.proposed(EndLockDelay)) == 1 and cell.machine.delays() == ()


# ------------------------------------------------------------------------------------------------------ recovering


def two_sessions() -> tuple[Cell, Client, Client, int]:
    """Alice has `/f` open, bob (who may cache anything) has not come back after the fail-over."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/f", contents=b"old")
    bob.call(GetContentsAndStat(bob.open_handle("/f")))
    cell.fail_over()
    alice.resume()
    assert cell.master.phase is Phase.RECOVERING
    return cell, alice, bob, handle


def test_reads_and_locks_go_on_at_once() -> None:
    """DESIGN §5: reads, acquire and release go on as soon as BeginEpoch is applied."""
    _, alice, _, handle = two_sessions()
    assert isinstance(alice.call(GetContentsAndStat(handle)), Contents) and alice.last.cacheable
    assert isinstance(alice.call(Acquire(handle)), LockGranted)
    assert isinstance(alice.call(Release(handle)), Done)


def test_changes_wait_for_the_resume_of_caching_sessions() -> None:
    """Bob's Resume comes with an empty cache, which is his acknowledgement."""
    cell, alice, bob, handle = two_sessions()
    call = alice.start(SetContents(handle, b"new"))
    cell.advance(SECOND)
    assert alice.answer(call) is None and cell.proposed(Request)[-1].epoch < cell.epoch
    bob.resume()
    assert isinstance(alice.answer(call), StatResult) and cell.master.phase is Phase.SERVING


def test_changes_wait_no_longer_than_the_cache_lease() -> None:
    """DESIGN §5: a dead reader delays a fail-over by seconds at most."""
    cell, alice, _, handle = two_sessions()
    begun = cell.now
    call = alice.start(SetContents(handle, b"new"))
    cell.advance(4 * SECOND - 1)
    assert alice.answer(call) is None
    cell.advance(1)
    assert isinstance(alice.answer(call), StatResult) and cell.now == begun + 4 * SECOND


def test_a_stall_makes_changes_wait_longer() -> None:
    """DESIGN §3: the Resume of a caching session may have come meanwhile, and is read only now."""
    cell, alice, _, handle = two_sessions()
    call = alice.start(SetContents(handle, b"new"))
    cell.now += 3 * SECOND
    cell.master.stalled(3 * SECOND, cell.now)
    cell.advance(4 * SECOND - 1)
    assert alice.answer(call) is None
    cell.advance(1)
    assert isinstance(alice.answer(call), StatResult)


def test_sessions_that_have_ended_are_not_waited_for() -> None:
    """Who has expired holds nothing in its cache: a hit needs the session lease too."""
    settings = MasterSettings(replica=1, session_lease=3 * SECOND, cache_lease=10 * SECOND)
    cell = Cell(settings, caps=LeaseCaps(3 * SECOND, 10 * SECOND))
    alice = cell.client(caching=False)
    handle = alice.open_handle("/f")
    cell.client("bob")
    cell.fail_over()
    alice.resume()
    call = alice.start(SetContents(handle, b"new"))
    cell.advance(2 * SECOND)
    alice.keep_alive()
    assert alice.answer(call) is None
    cell.advance(SECOND)
    assert isinstance(alice.answer(call), StatResult)


def test_sessions_that_never_cache_are_not_waited_for() -> None:
    """`caching` false promises never to cache."""
    cell = Cell()
    alice = cell.client(caching=False)
    handle = alice.open_handle("/f")
    cell.client("bob", caching=False)
    cell.fail_over()
    assert cell.master.phase is Phase.SERVING
    alice.resume()
    assert isinstance(alice.call(SetContents(handle, b"new")), StatResult)


def test_a_read_waiting_behind_the_gate_is_none() -> None:
    """While a change waits for the gate, reads of its node are answered with the old value, not cacheable."""
    cell, alice, _, handle = two_sessions()
    alice.start(SetContents(handle, b"new"))
    carol = cell.client("carol")
    answer = carol.call(GetContentsAndStat(carol.open_handle("/f")))
    assert isinstance(answer, Contents) and answer.contents == b"old" and not carol.last.cacheable


def test_pending_acquires_survive() -> None:
    """DESIGN §1: locks, handles and queued lock requests survive."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/l"), bob.open_handle("/l")
    alice.call(Acquire(handle))
    waiting = bob.start(Acquire(other))
    cell.fail_over()
    alice.resume()
    bob.resume()
    bob.again(waiting)
    assert bob.answer(waiting) is None
    alice.call(Release(handle))
    assert isinstance(bob.answer(waiting), LockGranted)


def test_a_grant_while_nobody_was_there_to_be_told() -> None:
    """Bob was granted the lock before he resumed; his repeated Acquire finds it."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/l"), bob.open_handle("/l")
    alice.call(Acquire(handle))
    waiting = bob.start(Acquire(other))
    cell.fail_over()
    alice.resume()
    alice.call(Release(handle))
    bob.resume()
    bob.again(waiting)
    assert isinstance(bob.answer(waiting), LockGranted)


def test_a_repeat_after_a_lost_reply_is_answered_not_repeated() -> None:
    """DESIGN §4: a request repeated after a fail-over is answered from the reply table."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    alice.number += 1
    cell.applying = False
    frame = CallFrame(alice.number, alice.acknowledged, 0, SetContents(handle, b"once"), caching=True)
    alice.send(frame)
    cell.apply()
    cell.frames.clear()
    cell.applying = True
    cell.fail_over()
    alice.resume()
    alice.send(frame)
    answer = alice.replies[alice.number].answer
    assert isinstance(answer, StatResult) and answer.stat.content_generation == 2
    assert not alice.last.cacheable, "the answer may be old: somebody may have written since"
    requests = [one.body for one in cell.proposed(Request)]
    assert len([body for body in requests if isinstance(body, Request) and body.number == alice.number]) == 1
    assert cell.master.statistics().calls_repeated == 1


def test_a_command_that_was_lost_is_proposed_again() -> None:
    """It was never applied: the repeat is the first."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.applying = False
    call = alice.start(SetContents(handle, b"once"))
    cell.log.clear()
    cell.applying = True
    cell.fail_over()
    alice.resume()
    alice.again(call)
    assert isinstance(alice.answer(call), StatResult)
