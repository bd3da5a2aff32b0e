"""Whatever is given up, and whenever: no ghost waits for a lock, no ghost holds one (DESIGN §6; pains: kazoo#732).

The cell's book of holders and waiters is compared with what the client's callers were told, once all has settled.
Between: acquires that are cancelled, run out of time, meet their own grant, are lost with their stream or their master.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.client.state import SessionState
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Acquire, CreateMode, Release
from chubby.types.identity import CallNumber, HandleNumber
from chubby.types.nodes import LockMode, LockOwner
from chubby.types.results import Answer, Done, LockGranted
from chubby.types.time import MILLISECOND, SECOND
from tests.client.fake_tree import FakeNode
from tests.client.world import SimClient, World

PATH = "/lock"

DEEDS = ("acquire", "hurry", "try", "cancel", "flurry", "release", "partition", "heal", "fail over")
"""`hurry` is an acquire with little patience; a `flurry` is to cancel, ask again, and cancel again, all at once."""

STEPS = st.lists(
    st.tuples(st.sampled_from(DEEDS), st.integers(0, 2), st.sampled_from([0, 0, 2, 15, 60, 400])), max_size=20
)
"""What is done, by which caller, and how many milliseconds pass after it."""


class Caller:
    """Somebody who uses one handle, and keeps a book of what it was told about its lock."""

    def __init__(self, client: SimClient) -> None:
        self.client = client
        self.handle: HandleNumber = client.open(PATH)
        self.waiting: dict[CallNumber, None] = {}
        self.releasing: dict[CallNumber, None] = {}
        self.holds = False

    @property
    def owner(self) -> LockOwner:
        """How the cell knows it."""
        return LockOwner(self.client.core.identity.session, self.handle)

    def acquire(self, wait: bool, timeout: int | None) -> None:
        """Ask for the lock."""
        self.waiting[self.client.call(Acquire(self.handle, LockMode.EXCLUSIVE, wait), timeout)] = None

    def cancel(self) -> None:
        """Give up the oldest acquire that was not answered yet."""
        self.settle()
        if self.waiting:
            number = next(iter(self.waiting))
            del self.waiting[number]
            self.client.act(lambda: self.client.core.cancel(number, self.client.clock))

    def release(self) -> None:
        """Give back what one holds, if nothing else is under way: then nobody can be in doubt about the order."""
        self.settle()
        if self.holds and not self.waiting and not self.releasing:
            self.holds = False
            self.releasing[self.client.call(Release(self.handle))] = None

    def settle(self) -> None:
        """Read one's answers."""
        for number in [number for number in self.waiting if number in self.client.answers]:
            del self.waiting[number]
            self.holds = self.holds or isinstance(self.client.answers[number], LockGranted)
        for number in [number for number in self.releasing if number in self.client.answers]:
            del self.releasing[number]
            assert self.client.answers[number] == Done(), "what one was told that one holds can be given back"


def play(world: World, callers: list[Caller], step: str, which: int, pause: int) -> None:
    """One step of the story."""
    caller = callers[which]
    if step in ("acquire", "hurry", "try"):
        caller.acquire(wait=step != "try", timeout=50 * MILLISECOND if step == "hurry" else None)
    elif step == "cancel":
        caller.cancel()
    elif step == "flurry":
        caller.cancel()
        caller.acquire(wait=True, timeout=None)
        caller.cancel()
    elif step == "release":
        caller.release()
    elif step == "fail over":
        world.cell.fail_over(world.now)
    elif step in ("partition", "heal"):
        caller.client.reachable = step == "heal"
    world.run(pause * MILLISECOND)


def finish(world: World, callers: list[Caller]) -> FakeNode:
    """Everything works again, and everybody who still waits gives up; the node, once all is quiet."""
    for caller in callers:
        caller.client.reachable = True
    world.run(20 * SECOND)
    for caller in callers:
        while caller.waiting:
            caller.cancel()
    world.run(20 * SECOND)
    for caller in callers:
        caller.settle()
        assert caller.client.core.state in (SessionState.NORMAL, SessionState.SAFE)
        assert len(caller.client.core.desk.flights) == 0, "aftercare comes to an end"
    return world.cell.tree.nodes[PATH]


@settings(deadline=None, max_examples=300)
@given(steps=STEPS, seed=st.integers(0, 1000))
def test_the_cell_and_the_callers_agree_in_the_end(steps: list[tuple[str, int, int]], seed: int) -> None:
    """Who was told that it holds the lock does, nobody else does, and nobody is left in the queue."""
    world = World(seed)
    world.latency = lambda: world.random.randrange(1, 40) * MILLISECOND
    first, second = SimClient(world).opened(), SimClient(world).opened()
    first.open(PATH, CreateMode.MAY)
    callers = [Caller(first), Caller(first), Caller(second)]
    for step, which, pause in steps:
        play(world, callers, step, which, pause)
    node = finish(world, callers)
    assert list(node.holders) == [caller.owner for caller in callers if caller.holds]
    assert not node.waiters


@pytest.mark.parametrize("delay", range(0, 45, 3))
def test_a_cancel_that_races_its_grant(delay: int) -> None:
    """Before, during and after: the next in line gets the lock in the end, whichever was first."""
    world = World(1)
    world.latency = lambda: 10 * MILLISECOND
    client, other = SimClient(world).opened(), SimClient(world).opened()
    client.open(PATH, CreateMode.MAY)
    holder, waiter, following = Caller(client), Caller(client), Caller(other)
    holder.acquire(wait=True, timeout=None)
    world.run(SECOND)
    waiter.acquire(wait=True, timeout=None)
    world.run(SECOND)
    following.acquire(wait=True, timeout=None)
    world.run(SECOND)
    holder.release()
    world.run(delay * MILLISECOND)
    waiter.cancel()
    world.run(SECOND)
    for caller in (waiter, following):
        caller.settle()
    if not waiter.holds:
        assert following.holds, "the one that gave up is not in the way"
        assert list(world.cell.tree.nodes[PATH].holders) == [following.owner]
    else:
        assert list(world.cell.tree.nodes[PATH].holders) == [waiter.owner]


@pytest.mark.parametrize("outage", [0, 200, 5_000])
@pytest.mark.parametrize("delay", range(0, 60, 12))
def test_out_of_time_around_the_grant(delay: int, outage: int) -> None:
    """An acquire either succeeds or leaves nothing, though its deadline, the grant and a fail-over come together."""
    world = World(2)
    world.latency = lambda: 10 * MILLISECOND
    client, other = SimClient(world).opened(), SimClient(world).opened()
    client.open(PATH, CreateMode.MAY)
    holder, waiter = Caller(client), Caller(other)
    holder.acquire(wait=True, timeout=None)
    world.run(SECOND)
    number = other.call(Acquire(waiter.handle), 100 * MILLISECOND)
    world.run((60 + delay) * MILLISECOND)
    holder.release()
    if outage:
        world.cell.fail_over(world.now)
        other.reachable = False
        world.run(outage * MILLISECOND)
        other.reachable = True
    world.run(20 * SECOND)
    told = other.answers[number]
    holders = list(world.cell.tree.nodes[PATH].holders)
    assert holders == ([waiter.owner] if isinstance(told, LockGranted) else []), told
    assert isinstance(told, LockGranted) or code(told) in (ErrorCode.DEADLINE_EXCEEDED, ErrorCode.OUTCOME_UNKNOWN)
    assert not world.cell.tree.nodes[PATH].waiters


def code(answer: Answer) -> ErrorCode | None:
    """Of a failure."""
    return answer.code if isinstance(answer, Failure) else None
