"""The rules of claims, one by one: who shares a lock, what a thread does for one, and what becomes of it when others
unlock, leave or fail meanwhile.
"""

from __future__ import annotations

import pytest

from chubby.types.nodes import LockMode
from fuse_mount.grips import Ask, Claimant, Deed, Kind, Verdict
from fuse_mount.ranges import Span
from tests.fuse_mount.lock_world import (
    EXCLUSIVE,
    FILE_1,
    GRANTED,
    OWNER_9,
    REFUSED,
    SHARED,
    World,
    flock,
    posix,
    world,
)

__all__ = ["world"]


# ------------------------------------------------------------------------------------------------------ one by itself


def test_a_lock_is_opened_acquired_and_closed(world: World) -> None:
    """One handle for a grip, and none for an idle one."""
    actor = world.settle(flock(1))
    assert (actor.verdict, actor.did) == (GRANTED, [Deed.OPEN, Deed.ACQUIRE])
    world.unlock(FILE_1)
    world.run()
    world.is_empty()


@pytest.mark.parametrize(("wait", "deed"), [(True, Deed.ACQUIRE), (False, Deed.TRY)])
def test_who_does_not_wait_tries(world: World, wait: bool, deed: Deed) -> None:
    """LOCK_NB and F_SETLK never stand in line."""
    assert world.settle(flock(1, wait=wait)).did == [Deed.OPEN, deed]


@pytest.mark.parametrize("mode", [EXCLUSIVE, SHARED])
@pytest.mark.parametrize("wait", [True, False])
def test_asking_again_for_what_one_has_is_nothing(world: World, mode: LockMode, wait: bool) -> None:
    """No call to the cell, which would queue or refuse."""
    world.settle(flock(1, mode))
    again = world.settle(flock(1, mode, wait=wait))
    assert (again.verdict, again.did) == (GRANTED, [])


def test_refused_leaves_nothing(world: World) -> None:
    """Who is refused holds no handle."""
    world.settle(flock(1))
    refused = world.settle(flock(2, wait=False))
    assert (refused.verdict, refused.did) == (REFUSED, [Deed.OPEN, Deed.TRY, Deed.CLOSE])
    assert len(world.open_handles) == 1


def test_a_waiter_gets_it_when_it_is_unlocked(world: World) -> None:
    """In line, in the cell."""
    world.settle(flock(1))
    waiter = world.settle(flock(2))
    assert waiter.verdict is None
    world.unlock(FILE_1)
    world.run()
    assert waiter.verdict is GRANTED


# ---------------------------------------------------------------------------------------------------- conversions


def test_an_upgrade_that_waits_lets_go_first(world: World) -> None:
    """The cell refuses whoever asks again in another mode: release, then acquire."""
    world.settle(flock(1, SHARED))
    other = world.settle(flock(2, SHARED))
    up = world.settle(flock(1))
    assert (up.verdict, up.did) == (None, [Deed.RELEASE])
    world.unlock(other.ask.claimant if other.ask else FILE_1)
    world.run()
    assert up.verdict is GRANTED
    assert world.lock.mode is EXCLUSIVE


def test_two_that_upgrade_do_not_wait_for_each_other(world: World) -> None:
    """Both let go: the first one gets it, then the second one."""
    for file in (1, 2):
        world.settle(flock(file, SHARED))
    first, second = world.settle(flock(1)), world.settle(flock(2))
    assert [first.verdict, second.verdict] == [None, None] or first.verdict is GRANTED
    world.run()
    assert first.verdict is GRANTED
    world.unlock(FILE_1)
    world.run()
    assert second.verdict is GRANTED


def test_an_upgrade_that_is_refused_keeps_what_was_had(world: World) -> None:
    """It looks before it lets go (fcntl(2): a refused F_SETLK changes nothing)."""
    world.settle(posix(9, 1, SHARED, process=9))
    world.settle(posix(8, 2, SHARED, process=8))
    up = world.settle(posix(9, 1, process=9, wait=False))
    assert (up.verdict, up.did) == (REFUSED, [Deed.PEEK])
    assert OWNER_9 in world.told


def test_an_upgrade_that_does_not_wait_and_is_alone(world: World) -> None:
    """Looks, lets go, tries."""
    world.settle(flock(1, SHARED))
    up = world.settle(flock(1, wait=False))
    assert (up.verdict, up.did) == (GRANTED, [Deed.PEEK, Deed.RELEASE, Deed.TRY])


def test_an_upgrade_that_loses_the_race_gets_the_old_lock_back(world: World) -> None:
    """Another reader came between the look and the attempt: refused, and as before."""
    world.settle(posix(9, 1, SHARED, process=9))
    up = world.ask(posix(9, 1, process=9, wait=False))
    world.step(up)  # the look
    reader = world.ask(flock(2, SHARED))
    while world.step(reader):
        pass
    world.run()
    assert (up.verdict, up.did) == (REFUSED, [Deed.PEEK, Deed.RELEASE, Deed.TRY, Deed.TRY])
    assert OWNER_9 in world.told


@pytest.mark.parametrize(("kind", "verdict"), [(Kind.FLOCK, REFUSED), (Kind.POSIX, Verdict.LOST)])
def test_an_upgrade_that_loses_the_race_to_a_writer(world: World, kind: Kind, verdict: Verdict) -> None:
    """The old lock is lost: of flock that is told as it is on Linux, an fcntl owner must not believe it is there."""
    old, new = (flock(1, SHARED), flock(1, wait=False))
    if kind is Kind.POSIX:
        old, new = (posix(9, 1, SHARED), posix(9, 1, wait=False))
    world.settle(old)
    up = world.ask(new)
    world.step(up)  # the look
    world.step(up)  # the release
    writer = world.ask(flock(2))
    while world.step(writer):
        pass
    world.run()
    assert (up.verdict, writer.verdict) == (verdict, GRANTED)
    world.unlock(Claimant(Kind.FLOCK, 2))
    world.run()
    world.is_empty()


def test_a_downgrade_lets_readers_in(world: World) -> None:
    """flock -x, then -s: those who waited to read do."""
    world.settle(flock(1))
    reader = world.settle(flock(2, SHARED))
    assert world.settle(flock(1, SHARED)).verdict is GRANTED
    world.run()
    assert reader.verdict is GRANTED
    assert world.lock.mode is SHARED


@pytest.mark.parametrize("wait", [True, False])
def test_a_downgrade_never_waits_nor_loses(world: World, wait: bool) -> None:
    """A writer in line would take the lock in the gap: it is kept exclusively instead, which allows no less."""
    world.settle(flock(1))
    world.settle(flock(2))
    down = world.settle(flock(1, SHARED, wait=wait))
    assert (down.verdict, down.did) == (GRANTED, [Deed.PEEK])
    assert world.lock.mode is EXCLUSIVE


def test_a_part_more_strongly_locked_makes_the_whole_so(world: World) -> None:
    """Ranges count as the whole file: the strongest mode is the lock's."""
    world.settle(posix(9, 1, SHARED, span=Span(0, 10)))
    assert world.settle(posix(9, 1, EXCLUSIVE, span=Span(10, 20))).verdict is GRANTED
    assert world.lock.mode is EXCLUSIVE
    assert world.settle(flock(2, SHARED, wait=False)).verdict is REFUSED


def test_ranges_end_one_by_one(world: World) -> None:
    """The lock is given back with the last byte of it, not before."""
    world.settle(posix(9, 1, span=Span(0, 10)))
    world.settle(posix(9, 1, span=Span(20, 30)))
    world.unlock(OWNER_9, Span(0, 25))
    world.run()
    assert world.lock.holders
    world.unlock(OWNER_9, Span(25))
    world.run()
    world.is_empty()


# -------------------------------------------------------------------------------------------------- who shares a lock

JOINS = [
    ("flock and fcntl of one process", flock(1, process=5), posix(9, 2, process=5), True),
    ("flock and fcntl through one open file", flock(1, process=5), posix(9, 1, process=6), True),
    ("two open files of one process", flock(1, process=5), flock(2, process=5), False),
    ("two processes through one open file", posix(8, 1, process=8), posix(9, 1, process=9), False),
    ("one open file, flocked by a child", flock(1, process=5), flock(1, process=6), True),
    ("one owner, two open files", posix(9, 1, process=5), posix(9, 2, process=5), True),
    ("strangers", flock(1, process=5), posix(9, 2, process=6), False),
    ("processes out of sight", flock(1, process=0), posix(9, 2, process=0), False),
]


@pytest.mark.parametrize(("first", "second", "together"), [row[1:] for row in JOINS], ids=[row[0] for row in JOINS])
def test_who_shares_a_lock(world: World, first: Ask, second: Ask, together: bool) -> None:
    """A process does not wait for itself; two of one kind exclude each other, and so do strangers."""
    world.settle(first)
    assert (world.settle(second).verdict is GRANTED) is together
    assert len(world.open_handles) == (1 if together else 2)


def test_nobody_joins_beside_a_rival_who_waits(world: World) -> None:
    """A place that another claimant of the same kind has only asked for is taken too."""
    world.settle(flock(3))
    world.settle(posix(8, 1, process=8))
    world.settle(posix(9, 1, process=9))
    assert len(world.lock.waiters) == 2


def test_the_closest_is_joined(world: World) -> None:
    """Of two locks of a process, fcntl goes with the one on its own open file."""
    world.settle(flock(1, SHARED, process=5))
    world.settle(flock(2, SHARED, process=5))
    world.settle(posix(9, 2, SHARED, process=5))
    assert [list(grip.claims) for grip in world.grips] == [[FILE_1], [Claimant(Kind.FLOCK, 2), OWNER_9]]


def test_what_one_unlocks_the_other_keeps(world: World) -> None:
    """flock is unlocked, fcntl of the same process still has it, as strongly as it was held."""
    world.settle(flock(1, process=5))
    world.settle(posix(9, 1, SHARED, process=5))
    world.unlock(FILE_1)
    world.run()
    assert world.lock.mode is EXCLUSIVE
    world.unlock(OWNER_9)
    world.run()
    world.is_empty()


def test_a_lock_is_not_weakened_under_another_claim(world: World) -> None:
    """A conversion would put at risk what somebody else has."""
    world.settle(flock(1, process=5))
    world.settle(posix(9, 1, process=5))
    down = world.settle(flock(1, SHARED, process=5))
    assert (down.verdict, down.did) == (GRANTED, [])


def test_a_stronger_claim_strengthens_what_is_shared(world: World) -> None:
    """flock shared, then lockf exclusively, by one process: one lock, exclusive."""
    world.settle(flock(1, SHARED, process=5))
    assert world.settle(posix(9, 1, EXCLUSIVE, process=5)).verdict is GRANTED
    assert list(world.lock.holders.values()) == [EXCLUSIVE]
