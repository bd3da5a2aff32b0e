"""Several threads at once on one lock: who works, who waits along, and what becomes of them when one is interrupted,
fails, or unlocks.
"""

from __future__ import annotations

from fuse_mount.claims import Outbox
from fuse_mount.grips import Claimant, Deed, Finish, Kind, Outcome, Verdict, Wait
from tests.fuse_mount.lock_world import (
    EXCLUSIVE,
    FILE_1,
    GRANTED,
    NODE,
    OWNER_9,
    REFUSED,
    SHARED,
    Luck,
    World,
    flock,
    posix,
    world,
)

__all__ = ["world"]


def test_who_joins_while_it_is_acquired_waits_and_gets_it_too(world: World) -> None:
    """One place in the cell's line for both."""
    world.settle(flock(3))
    first, second = world.settle(flock(1, process=5)), world.settle(posix(9, 1, process=5))
    assert isinstance(second.step, Wait)
    assert len(world.lock.waiters) == 1
    world.unlock(Claimant(Kind.FLOCK, 3))
    world.run()
    assert (first.verdict, second.verdict) == (GRANTED, GRANTED)


def test_who_does_not_wait_is_refused_while_others_do(world: World) -> None:
    """Also if it was told to wait for what then turned out to be the line."""
    world.settle(flock(3))
    first = world.ask(flock(1, process=5))
    hasty = world.ask(posix(9, 1, process=5, wait=False))
    assert isinstance(hasty.step, Wait)
    world.run()
    assert (first.verdict, hasty.verdict) == (None, REFUSED)
    assert world.settle(posix(9, 1, process=5, wait=False)).verdict is REFUSED


def test_one_is_interrupted_and_the_other_goes_on(world: World) -> None:
    """Through a handle of its own, for what the interrupted call left is not known."""
    world.settle(flock(3))
    first, second = world.settle(flock(1, process=5)), world.settle(posix(9, 1, process=5))
    world.step(first, Luck.INTERRUPTED)
    world.run()
    assert (first.verdict, second.verdict) == (Verdict.INTERRUPTED, None)
    world.unlock(Claimant(Kind.FLOCK, 3))
    world.run()
    assert second.verdict is GRANTED
    assert len(world.open_handles) == 1


def test_the_one_that_only_waited_is_interrupted(world: World) -> None:
    """The other's place in line is not touched."""
    world.settle(flock(3))
    first, second = world.settle(flock(1, process=5)), world.settle(posix(9, 1, process=5))
    world.step(second, Luck.INTERRUPTED)
    assert second.verdict is Verdict.INTERRUPTED
    assert first.did == [Deed.OPEN]
    assert len(world.lock.waiters) == 1


def test_a_grant_that_races_an_interruption_is_given_back(world: World) -> None:
    """The thread was interrupted, the lock had come: nobody knows of it, so nobody may keep it."""
    actor = world.ask(flock(1))
    world.step(actor)
    world.step(actor, Luck.INTERRUPTED)
    assert actor.verdict is Verdict.INTERRUPTED
    assert world.lock.holders
    world.run()
    world.is_empty()


def test_an_interrupted_thread_does_nothing_more(world: World) -> None:
    """Its caller waits for it to end: what is left is named to others."""
    ticket = world.claims.ask(flock(1))
    work = world.claims.next(ticket)
    assert not isinstance(work, Finish | Wait)
    world.claims.report(work.grip, Outcome.DONE)
    assert world.claims.report(work.grip, Outcome.INTERRUPTED) == Finish(Verdict.INTERRUPTED)
    assert world.claims.drain() == Outbox(neglected=(work.grip,))


def test_an_interrupted_upgrade_gets_the_old_lock_back(world: World) -> None:
    """Without waiting for it, and by somebody else's hand."""
    world.settle(posix(9, 1, SHARED))
    world.settle(flock(2, SHARED))
    up = world.settle(posix(9, 1))
    world.step(up, Luck.INTERRUPTED)
    world.run()
    assert up.verdict is Verdict.INTERRUPTED
    assert list(world.lock.holders.values()) == [SHARED, SHARED]
    assert OWNER_9 in world.told


def test_what_an_interrupted_upgrade_cannot_get_back_is_said(world: World) -> None:
    """A writer took the lock: the flock of the same process is gone, and that is told."""
    world.settle(flock(1, SHARED, process=5))
    world.settle(flock(2, SHARED))
    up = world.settle(posix(9, 1, process=5))
    world.settle(flock(3))
    world.step(up, Luck.INTERRUPTED)
    assert FILE_1 in world.told
    world.run()
    assert FILE_1 not in world.told
    world.unlock(FILE_1)
    assert not world.claims.unlock(NODE, FILE_1)


def test_who_comes_before_the_upkeep_regains_for_all(world: World) -> None:
    """The exclusive lock that a downgrade gave up is due to its owner until it is found lost."""
    world.settle(flock(1, process=5))
    down = world.ask(flock(1, SHARED, process=5))
    world.step(down)  # the look
    world.step(down)  # the release
    world.step(down, Luck.INTERRUPTED)
    reader = world.ask(posix(9, 1, SHARED, process=5))
    while world.step(reader):
        pass
    assert reader.verdict is GRANTED
    assert world.lock.mode is EXCLUSIVE
    world.run()


def test_the_last_one_leaves_before_its_turn(world: World) -> None:
    """It was woken to go on, and interrupted: the grip that was kept for it is closed."""
    world.settle(flock(3))
    hasty = world.ask(flock(1, process=5, wait=False))
    patient = world.ask(posix(9, 1, process=5))
    while world.step(hasty):
        pass
    assert patient.ticket in world.woken
    world.step(patient, Luck.INTERRUPTED)
    world.run()
    assert len(world.open_handles) == len(world.grips) == 1


def test_a_failed_look_gives_nothing_up(world: World) -> None:
    """Whatever fails before the release leaves the lock as it is."""
    world.settle(flock(1, SHARED))
    up = world.ask(flock(1, wait=False))
    world.step(up, Luck.FAILED)
    assert up.verdict is Verdict.FAILED
    assert FILE_1 in world.told
    assert world.lock.mode is SHARED


def test_a_failed_attempt_is_undone(world: World) -> None:
    """It may have had its effect: the handle is closed, whatever it holds."""
    actor = world.ask(flock(1, wait=False))
    world.step(actor)
    world.step(actor, Luck.FAILED)
    world.run()
    assert actor.verdict is Verdict.FAILED
    world.is_empty()


def test_unlocking_does_not_end_a_waiter(world: World) -> None:
    """LOCK_UN by another thread speaks of what is held (flock(2)); the waiter goes on and gets its lock."""
    world.settle(flock(3))
    waiter = world.settle(flock(1))
    world.unlock(FILE_1)
    world.run()
    assert waiter.verdict is None
    world.unlock(Claimant(Kind.FLOCK, 3))
    world.run()
    assert waiter.verdict is GRANTED


def test_unlocking_under_an_upgrade(world: World) -> None:
    """The old lock is not regained for whoever unlocked it meanwhile."""
    world.settle(flock(1, SHARED))
    world.settle(flock(2, SHARED))
    up = world.settle(flock(1))
    world.unlock(FILE_1)
    world.step(up, Luck.INTERRUPTED)
    world.run()
    assert up.verdict is Verdict.INTERRUPTED
    assert len(world.lock.holders) == len(world.open_handles) == 1
