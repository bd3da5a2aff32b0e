"""Nobody dead is granted a lock, however many die together (DESIGN §4 Locks)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.namespace.commands import ExpireSession
from chubby.types.calls import Acquire, CreateMode, Mode, ReadDir, Release, SetContents
from chubby.types.nodes import LockMode
from chubby.types.results import Done, LockGranted
from chubby.types.time import SECOND
from tests.master.caching import acknowledge
from tests.master.cell import Cell, Client
from tests.master.counting import count_calls
from tests.master.locking import SHARED, contenders

EXCLUSIVE = LockMode.EXCLUSIVE


def die(cell: Cell, *living: Client) -> None:
    """All sessions run out in the same instant, but for those of the living."""
    cell.advance(6 * SECOND)
    for client in living:
        client.keep_alive()
    cell.advance(6 * SECOND)


def granted_since(cell: Cell, first: int) -> list[int]:
    """The sessions that were granted a lock by the commands from that one on."""
    return [grant.owner.session for outcome in cell.outcomes[first:] for grant in outcome.grants]


@pytest.mark.parametrize("dead", [2, 3, 4, 7])
@pytest.mark.parametrize("mode", [EXCLUSIVE, SHARED])
def test_a_queue_of_the_dead_is_cleared_from_its_end(dead: int, mode: LockMode) -> None:
    """The holder goes last: else each dead waiter would be granted the lock, and lock-delay after lock-delay run."""
    cell, clients, handles = contenders(dead + 1)
    numbers = [
        client.start(Acquire(handle, EXCLUSIVE if client in (clients[0], clients[-1]) else mode, lock_delay=SECOND))
        for client, handle in zip(clients, handles, strict=True)
    ]
    before = len(cell.outcomes)
    die(cell, clients[-1])
    ends = [command.body.session for command in cell.proposed(ExpireSession) if isinstance(command.body, ExpireSession)]
    assert ends == [client.session for client in reversed(clients[:-1])]
    cell.advance(SECOND)
    assert isinstance(clients[-1].answer(numbers[-1]), LockGranted), "after one lock-delay"
    assert granted_since(cell, before) == [clients[-1].session]


def test_whoever_leaves_a_queue_lets_in_those_behind_alone() -> None:
    """A dead exclusive waiter between shared ones: the dead behind it goes first, the living one ahead is no matter."""
    cell, clients, handles = contenders(5)
    holder, ahead, between, behind, last = clients
    for client, handle in zip(clients, handles, strict=True):
        client.start(Acquire(handle, EXCLUSIVE if client in (holder, between) else SHARED))
    before = len(cell.outcomes)
    die(cell, holder, ahead, last)
    ends = [command.body for command in cell.proposed(ExpireSession)]
    assert ends == [ExpireSession(behind.session), ExpireSession(between.session)]
    assert granted_since(cell, before) == []


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=8))
def test_of_any_queue_only_the_living_are_served(people: list[tuple[bool, bool]]) -> None:
    """Whoever asks in whatever mode, and whoever dies: nobody dead is granted, nobody living forgotten."""
    cell, clients, handles = contenders(len(people))
    for client, handle, (shared, _) in zip(clients, handles, people, strict=True):
        client.start(Acquire(handle, SHARED if shared else EXCLUSIVE))
    living = [client for client, (_, lives) in zip(clients, people, strict=True) if lives]
    before = len(cell.outcomes)
    for _ in range(4):
        cell.advance(4 * SECOND)
        for client in living:
            client.keep_alive()
    assert cell.machine.session_count == len(living)
    assert set(granted_since(cell, before)) <= {client.session for client in living}
    lock = cell.machine.lock("/l")
    assert lock is not None and bool(lock.holders) is bool(living)


@settings(max_examples=100)
@given(st.lists(st.permutations(range(3)), min_size=2, max_size=6), st.booleans())
def test_circles_come_to_an_end(orders: list[list[int]], side_by_side: bool) -> None:
    """Whoever holds and awaits whatever: all the dead are gone at once, and the living get all there is.

    If each of the dead has a file in one directory as well, their ends touch that: none of them may wait there behind
    one that waits for it.
    """
    cell = Cell()
    living = cell.client("living")
    mine = [living.open_handle(f"/{name}") for name in range(3)]
    dead = [cell.client(f"dead{number}") for number in range(len(orders))]
    for client in dead if side_by_side else ():
        client.open_handle(f"/of{client.session}", create=CreateMode.MUST, ephemeral=True)
    for turn in range(3):
        for client, order in zip(dead, orders, strict=True):
            client.start(Acquire(client.open_handle(f"/{order[turn]}", Mode.READ | Mode.WRITE)))
    numbers = [living.start(Acquire(handle)) for handle in mine]
    die(cell, living)
    assert cell.machine.session_count == 1
    assert all(isinstance(living.answer(number), LockGranted) for number in numbers)


def test_an_end_that_is_kept_back_keeps_nobody_back() -> None:
    """A holder's end waits for a reader that is away, then for the end of who waits behind it: that goes first."""
    cell = Cell()
    holder, waiter, living = (cell.client(name) for name in ("holder", "waiter", "living"))
    for client in (holder, waiter):
        client.open_handle(f"/of{client.session}", create=CreateMode.MUST, ephemeral=True)
    number = 0
    for client in (holder, waiter, living):
        number = client.start(Acquire(client.open_handle("/l", Mode.READ | Mode.WRITE)))
    cell.advance(3 * SECOND)
    waiter.keep_alive()
    living.keep_alive()
    cell.advance(9 * SECOND - 1)
    living.keep_alive()
    deaf_reader(cell)
    before = len(cell.outcomes)
    cell.advance(1)
    assert not cell.proposed(ExpireSession), "the holder's lease is over, and the reader does not acknowledge"
    for _ in range(6):
        cell.advance(3 * SECOND)
        living.keep_alive()
    assert cell.machine.session_count == 1 and isinstance(living.answer(number), LockGranted)
    assert granted_since(cell, before) == [living.session]


def deaf_reader(cell: Cell) -> Client:
    """Who caches what is in the root and acknowledges nothing: whoever deletes a file there has to wait."""
    reader = cell.client("reader")
    reader.call(ReadDir(reader.open_handle("/", Mode.READ)))
    reader.auto_ack = False
    return reader


def test_what_is_no_circle_is_not_broken() -> None:
    """The last of a chain over three locks takes its time; those before it wait, each for the next."""
    cell = Cell()
    living, one, two, three = (cell.client(name) for name in ("living", "one", "two", "three"))
    living.call(Acquire(living.open_handle("/m")))
    one.call(Acquire(one.open_handle("/l")))
    two.call(Acquire(two.open_handle("/k")))
    one.start(Acquire(one.open_handle("/m")))
    two.start(Acquire(two.open_handle("/l")))
    three.start(Acquire(three.open_handle("/k")))
    three.open_handle("/e", ephemeral=True)
    cell.advance(9 * SECOND)
    reader = deaf_reader(cell)
    living.keep_alive()
    before = len(cell.outcomes)
    cell.advance(3 * SECOND)
    assert not cell.proposed(ExpireSession)
    acknowledge(reader)
    ends = [command.body for command in cell.proposed(ExpireSession)]
    assert ends == [ExpireSession(client.session) for client in (three, two, one)]
    assert granted_since(cell, before) == []


def test_who_holds_and_waits_at_once_is_a_holder() -> None:
    """Through two handles: what it gives back goes to those before its other place as well."""
    cell, (dead, other), (first, second) = contenders()
    third = dead.open_handle("/l")
    dead.call(Acquire(first, SHARED))
    other.start(Acquire(second))
    dead.start(Acquire(third))
    other.open_handle("/e", ephemeral=True)
    cell.advance(9 * SECOND)
    reader = deaf_reader(cell)
    before = len(cell.outcomes)
    cell.advance(3 * SECOND)
    assert not cell.proposed(ExpireSession)
    acknowledge(reader)
    assert [command.body for command in cell.proposed(ExpireSession)] == [
        ExpireSession(other.session),
        ExpireSession(dead.session),
    ]
    assert granted_since(cell, before) == []


def test_a_place_that_was_under_way_counts_as_soon_as_it_is_taken() -> None:
    """The acquire was proposed in time and is applied when its session is overdue, with more of it to come."""
    cell, (holder, dead), (one, two) = contenders()
    holder.call(Acquire(one))
    cell.advance(6 * SECOND)
    holder.keep_alive()
    cell.applying = False
    dead.start(Acquire(two))
    dead.start(SetContents(two, b"more"))
    cell.advance(6 * SECOND)
    cell.apply()
    release = holder.start(Release(one))
    before = len(cell.outcomes)
    cell.applying = True
    cell.settle()
    assert isinstance(holder.answer(release), Done)
    assert granted_since(cell, before) == []


def holders(size: int) -> Cell:
    """So many sessions with a lock of their own."""
    cell = Cell()
    cell.client().open_handle("/d")
    for number in range(size):
        client = cell.client()
        client.call(Acquire(client.open_handle(f"/d/{number}")))
        cell.clients.clear()
    return cell


def queue(size: int) -> Cell:
    """So many sessions that wait for one lock, and one that holds it."""
    cell = Cell()
    for _ in range(size):
        client = cell.client()
        client.start(Acquire(client.open_handle("/l")))
        cell.clients.clear()
    return cell


@pytest.mark.parametrize("crowd", [holders, queue])
def test_a_mass_of_dead_costs_what_each_of_them_does(crowd: Callable[[int], Cell]) -> None:
    """Ten thousand clients behind one router: their end must not keep the master from renewing its lease."""
    costs = []
    for size in (50, 200):
        cell = crowd(size)
        cell.now += 13 * SECOND
        costs.append(count_calls(cell.tick))
        assert cell.machine.session_count == 0
    assert costs[1] < 6 * costs[0], f"four times as many cost {costs}"
