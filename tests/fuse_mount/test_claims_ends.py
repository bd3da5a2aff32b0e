"""How claims end otherwise than by unlocking: open files, nodes and sessions that go; what they answer when asked."""

from __future__ import annotations

from itertools import product

import pytest

from chubby.types.nodes import LockInfo, LockMode, LockOwner
from fuse_mount.grips import BEGINNINGS, ENDINGS, Claimant, Deed, Finish, Kind, Node, Outcome, Phase, Verdict, Wait
from fuse_mount.obstacles import Obstacle, Standing, attainable, elsewhere
from fuse_mount.ranges import WHOLE, Span
from tests.fuse_mount.lock_world import (
    EXCLUSIVE,
    FILE_1,
    GRANTED,
    NODE,
    OWNER_9,
    SHARED,
    World,
    flock,
    posix,
    world,
)

__all__ = ["world"]


# ------------------------------------------------------------------------------------------------------- open files


def test_a_released_file_drops_what_it_took(world: World) -> None:
    """flock, and locks that never get an unlock (open file description locks; a killed process)."""
    world.settle(flock(1, process=5))
    world.settle(posix(9, 1, process=5))
    world.drop(1)
    world.run()
    world.is_empty()
    assert not world.claims._nodes


def test_a_released_file_keeps_what_was_taken_through_others_too(world: World) -> None:
    """An fcntl owner that locked through two open files of the node has its lock until the second one goes."""
    world.settle(posix(9, 1))
    world.settle(posix(9, 2))
    world.drop(1)
    world.run()
    assert OWNER_9 in world.told
    world.drop(2)
    world.run()
    world.is_empty()


def test_a_released_file_ends_who_waits_through_it(world: World) -> None:
    """Its place in line is left at once, not when its turn has come."""
    world.settle(flock(3))
    waiter = world.settle(flock(1))
    world.drop(1)
    assert not world.lock.waiters
    world.run()
    assert waiter.verdict is Verdict.DROPPED
    assert len(world.open_handles) == 1


def test_a_file_released_in_the_moment_of_the_grant(world: World) -> None:
    """The handle is closed under the thread that was granted the lock: it does not believe it."""
    world.settle(flock(3))
    waiter = world.settle(flock(1))
    world.unlock(Claimant(Kind.FLOCK, 3))
    world.drop(1)
    world.claims.drain()
    assert not isinstance(waiter.step, Finish | Wait)
    waiter.step = world.claims.report(waiter.step.grip, Outcome.DONE)
    assert not isinstance(waiter.step, Finish | Wait)
    assert waiter.step.deed is Deed.CLOSE
    world.run()
    world.is_empty()


def test_nobody_is_granted_what_a_closed_handle_held(world: World) -> None:
    """The same with somebody who waits along: the lock that came is gone with the handle, it gets one of its own."""
    world.settle(flock(3))
    first, second = world.settle(flock(1, process=5)), world.settle(posix(9, 2, process=5))
    world.unlock(Claimant(Kind.FLOCK, 3))
    world.drop(1)
    assert not isinstance(first.step, Finish | Wait)
    first.step = world.claims.report(first.step.grip, Outcome.DONE)
    assert second.verdict is None
    world.run()
    assert second.verdict is GRANTED
    assert list(world.handles.values()) == list(world.lock.holders)


def test_others_go_on_when_the_file_of_the_one_in_line_is_released(world: World) -> None:
    """Who waited with it takes over, on a handle of its own."""
    world.settle(flock(3))
    first, second = world.settle(flock(1, process=5)), world.settle(posix(9, 2, process=5))
    world.drop(1)
    world.run()
    assert (first.verdict, second.verdict) == (Verdict.DROPPED, None)
    world.unlock(Claimant(Kind.FLOCK, 3))
    world.run()
    assert second.verdict is GRANTED


# -------------------------------------------------------------------------------------------- nodes, sessions that end


def test_a_deleted_node_ends_all_who_wait_for_it(world: World) -> None:
    """They all asked for an instance that is no more."""
    world.settle(flock(3))
    first, second = world.settle(flock(1, process=5)), world.settle(posix(9, 1, process=5))
    world.node_is_there = False
    world.run()
    assert (first.verdict, second.verdict) == (Verdict.STALE, Verdict.STALE)


def test_another_node_of_the_same_name_is_another_lock(world: World) -> None:
    """A lock belongs to an instance."""
    world.settle(flock(1))
    assert not world.claims.unlock(Node(NODE.path, NODE.instance + 1), FILE_1)
    assert FILE_1 in world.told


def test_a_lost_session_ends_everything(world: World) -> None:
    """Those in line, those who wait for them, and whoever comes later."""
    world.settle(flock(3))
    first, second = world.settle(flock(1, process=5)), world.settle(posix(9, 1, process=5))
    world.claims.abandon()
    world.woken.update(world.claims.drain().woken)
    assert world.claims.next(second.ticket) == Finish(Verdict.ABANDONED)
    assert not isinstance(first.step, Finish | Wait)
    assert world.claims.report(first.step.grip, Outcome.FAILED) == Finish(Verdict.ABANDONED)
    late = world.claims.ask(flock(4))
    assert world.claims.next(late) == Finish(Verdict.ABANDONED)
    assert second.ticket in world.woken
    assert (world.claims._grips, world.claims._open, world.claims._pending, world.claims._nodes) == ({}, {}, {}, {})
    assert world.claims.holding(NODE, 5) is None


# ------------------------------------------------------------------------------------------------------- questions


def test_what_is_in_the_way_on_this_mount(world: World) -> None:
    """F_GETLK: somebody's lock, with its process and the bytes that are asked about; the whole file if none are."""
    world.settle(posix(8, 1, process=8, span=Span(0, 10)))

    def obstacle(span: Span, mode: LockMode = SHARED) -> Obstacle | None:
        return world.claims.standing(NODE, OWNER_9, 9, mode, span).obstacle

    assert obstacle(Span(5, 20)) == Obstacle(EXCLUSIVE, 8, Span(0, 10))
    assert obstacle(Span(50, 60)) == Obstacle(EXCLUSIVE, 8, WHOLE)


def test_readers_are_not_in_each_others_way(world: World) -> None:
    """But a reader is in a writer's."""
    world.settle(posix(8, 1, SHARED, process=8))
    assert world.claims.standing(NODE, OWNER_9, 9, SHARED, WHOLE) == Standing(None, None)
    assert world.claims.standing(NODE, OWNER_9, 9, EXCLUSIVE, WHOLE).obstacle == Obstacle(SHARED, 8)


def test_one_is_not_in_ones_own_way(world: World) -> None:
    """Nor is the flock of one's own process."""
    world.settle(flock(1, process=9))
    assert world.claims.standing(NODE, OWNER_9, 9, EXCLUSIVE, WHOLE) == Standing(None, EXCLUSIVE)


def test_who_waits_is_not_in_the_way(world: World) -> None:
    """Only what is held is."""
    world.lock.delayed = True
    world.settle(flock(1, process=8))
    assert world.claims.standing(NODE, OWNER_9, 9, EXCLUSIVE, WHOLE) == Standing(None, None)


def test_what_is_being_given_up_is_neither_held_nor_in_the_way(world: World) -> None:
    """From the moment on that its release is under way, nobody may count on it."""
    world.settle(flock(1, SHARED, process=5))
    up = world.ask(flock(1, process=5))
    assert not isinstance(up.step, Finish | Wait)
    assert up.step.deed is Deed.RELEASE
    assert world.claims.holding(NODE, 5) is None
    assert world.claims.standing(NODE, OWNER_9, 9, EXCLUSIVE, WHOLE) == Standing(None, None)
    assert world.claims.standing(NODE, Claimant(Kind.POSIX, 8), 5, SHARED, WHOLE) == Standing(None, None)


def test_what_a_process_holds(world: World) -> None:
    """The strongest of its locks on the node; nothing for those out of sight, nor under a conversion."""
    world.settle(flock(1, SHARED, process=5))
    world.settle(flock(2, SHARED, process=0))
    grip = world.claims.holding(NODE, 5)
    assert grip is not None
    assert world.lock.holders[world.handles[grip]] is SHARED
    assert world.claims.holding(NODE, 6) is None
    assert world.claims.holding(NODE, 0) is None
    world.settle(flock(1, process=5))
    assert world.claims.holding(NODE, 5) is None


def test_who_has_something(world: World) -> None:
    """Not who waits for it, nor who has given the last byte back."""
    world.settle(posix(9, 1, span=Span(0, 10)))
    world.settle(flock(2))
    assert world.claims.has(NODE, OWNER_9)
    assert not world.claims.has(NODE, Claimant(Kind.FLOCK, 2))
    assert not world.claims.has(Node(NODE.path, 2), OWNER_9)
    world.unlock(OWNER_9, Span(0, 10))
    assert not world.claims.has(NODE, OWNER_9)


def test_a_child_that_locks_an_inherited_file_holds_it_too(world: World) -> None:
    """It asked for it, and has it."""
    world.settle(flock(1, process=5))
    world.settle(flock(1, process=6))
    assert world.claims.holding(NODE, 5) == world.claims.holding(NODE, 6) is not None


def info(holders: int, mode: LockMode | None, *waiters: LockMode, delayed: bool = False) -> LockInfo:
    """What the cell says of a lock."""
    owners = tuple(LockOwner(1, number) for number in range(holders))
    queue = tuple((LockOwner(2, number), wanted) for number, wanted in enumerate(waiters))
    return LockInfo("/f", mode, 1, 1, owners, queue, delayed, 0)


def test_whether_a_conversion_would_succeed() -> None:
    """Exclusively: alone, and nobody in line. Shared: nobody in line who would take it away."""
    assert attainable(info(1, SHARED), EXCLUSIVE)
    assert not attainable(info(2, SHARED), EXCLUSIVE)
    assert not attainable(info(1, SHARED, EXCLUSIVE), EXCLUSIVE)
    assert attainable(info(1, EXCLUSIVE, SHARED, SHARED), SHARED)
    assert not attainable(info(1, EXCLUSIVE, SHARED, EXCLUSIVE), SHARED)


@pytest.mark.parametrize(
    ("state", "held", "mode", "expected"),
    [
        (info(0, None), None, EXCLUSIVE, None),
        (info(1, SHARED), None, SHARED, None),
        (info(1, SHARED), None, EXCLUSIVE, Obstacle(SHARED)),
        (info(1, EXCLUSIVE), None, SHARED, Obstacle(EXCLUSIVE)),
        (info(1, SHARED), SHARED, EXCLUSIVE, None),
        (info(2, SHARED), SHARED, EXCLUSIVE, Obstacle(SHARED)),
        (info(1, SHARED, EXCLUSIVE), None, SHARED, Obstacle(EXCLUSIVE)),
        (info(0, None, delayed=True), None, SHARED, Obstacle(EXCLUSIVE)),
    ],
)
def test_what_is_in_the_way_elsewhere(
    state: LockInfo, held: LockMode | None, mode: LockMode, expected: Obstacle | None
) -> None:
    """Whatever would have an attempt refused: holders, lock-delay, and those in line, for there is no barging."""
    assert elsewhere(state, held, mode) == expected


# ------------------------------------------------------------------------------------------------------- the tables


def test_the_tables_speak_of_each_phase_once() -> None:
    """A phase is at rest or at work; work ends at rest."""
    assert set(BEGINNINGS).isdisjoint(ENDINGS)
    assert set(BEGINNINGS) | set(ENDINGS) == set(Phase)
    assert {after for row in ENDINGS.values() for after in row.values()} == set(BEGINNINGS)
    assert {after for row in BEGINNINGS.values() for after in row.values()} == set(ENDINGS)


def test_every_deed_that_may_fail_has_a_row_for_it() -> None:
    """Only closing never fails, and only an attempt or a look can be refused."""
    failures = {Outcome.STALE, Outcome.FAILED, Outcome.INTERRUPTED}
    for phase, row in ENDINGS.items():
        assert Outcome.DONE in row
        assert failures.isdisjoint(row) if phase is Phase.CLOSING else failures <= set(row)
        assert (Outcome.REFUSED in row) == (phase in {Phase.TRYING, Phase.PEEKING})


@pytest.mark.parametrize(("phase", "outcome"), [*product([Phase.ACQUIRING, Phase.TRYING, Phase.RELEASING], Outcome)])
def test_what_is_not_known_is_broken(phase: Phase, outcome: Outcome) -> None:
    """A handle on which a call failed may hold the lock or not: nothing is done with it but to close it."""
    if outcome in {Outcome.FAILED, Outcome.INTERRUPTED, Outcome.STALE}:
        assert ENDINGS[phase][outcome] is Phase.BROKEN
        assert set(BEGINNINGS[Phase.BROKEN]) == {Deed.CLOSE}
