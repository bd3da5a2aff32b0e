"""The checker of what handles with masks are told: a good run passes, each broken one is caught (DESIGN §5 Events)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from chubby.namespace.commands import BeginEpoch
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.nodes import LockOwner
from chubby.types.time import SECOND, Instant
from tests.simulation.checkers import handle_events
from tests.simulation.checkers.handle_events import Listening
from tests.simulation.checkers.recorded_cell import RecordedCell
from tests.simulation.network import Weather
from tests.simulation.plan import draw
from tests.simulation.scenario import Scenario
from tests.simulation.violation import Violation
from tests.simulation.workloads.listeners import Listeners

HANDLE = 9
END = 1000


class Room:
    """A file in a directory, locked by turns under two masters, and who listens to it.

    Something happens at each multiple of ten; who listens hears it one later, and of the second master at 75.
    """

    def __init__(self) -> None:
        cell = self.cell = RecordedCell()
        self.me, one, two = cell.session(), cell.session(), cell.session()
        cell.create(one, "/d")
        cell.create(one, "/d/f")
        first = cell.machine.epoch
        steps: tuple[Callable[[], object], ...] = (
            lambda: cell.write(one, "/d/f", b"1"),
            lambda: cell.acquire(one, "/d/f"),
            lambda: cell.acquire(two, "/d/f"),
            lambda: cell.release(one, "/d/f"),
            lambda: cell.do(BeginEpoch(2), epoch=0),
            lambda: cell.write(one, "/d/f", b"2"),
            lambda: cell.release(two, "/d/f"),
            lambda: cell.acquire(self.me, "/d/f", handle=HANDLE),
            lambda: cell.acquire(one, "/d/f"),
        )
        for step in steps:
            cell.now += 10
            step()
        self.followed = [(first, 1), (cell.machine.epoch, 55)]
        self.node = cell.node("/d/f").stat.instance
        self.good = [
            (11, self.history(0)),
            (21, self.event(EventKind.LOCK_ACQUIRED, 1)),
            (41, self.event(EventKind.LOCK_ACQUIRED, 2)),
            (56, self.event(EventKind.MASTER_FAILED_OVER)),
            (56, self.event(EventKind.LOCK_ACQUIRED, 2)),
            (61, self.history(1)),
            (81, self.event(EventKind.LOCK_ACQUIRED, 3)),
            (91, self.event(EventKind.LOCK_CONFLICT)),
        ]

    def event(self, kind: EventKind, generation: int = 0) -> Event:
        """An event of the file that is not from the history."""
        return Event(kind, "/d/f", 0, self.node, generation, HANDLE)

    def history(self, number: int, handle: int = HANDLE) -> Event:
        """The event of one of the two writes."""
        changes = [each for told in self.cell.told for each in told.outcome.changes]
        change = [each for each in changes if each.kind is EventKind.CONTENTS_MODIFIED][number]
        return Event(change.kind, change.path, change.revision, change.instance, change.generation, handle)

    def listening(self, told: list[tuple[Instant, Event]], mask: EventMask = EventMask.ALL) -> Listening:
        """Who was told that."""
        owner = LockOwner(self.me, HANDLE)
        return Listening("c1/9", owner, "/d/f", self.node, mask, 5, self.followed, told, whole=True)

    def check(self, told: list[tuple[Instant, Event]], mask: EventMask = EventMask.ALL) -> int:
        """Judge it."""
        held = [("/d/f", 3)]
        return handle_events.check(self.cell.told, [self.listening(told, mask)], held, END)


def test_who_is_told_everything_passes() -> None:
    """What was told before the fail-over may be told again after it."""
    room = Room()
    assert room.check(room.good) == 8
    room.check([*room.good[:4], *room.good[5:]])
    room.check([*room.good, room.good[-1]])


def test_each_event_that_is_missing_is_caught() -> None:
    """But for the one that was told twice."""
    room = Room()
    for index in (0, 1, 3, 5, 6, 7):
        with pytest.raises(Violation, match=r"never told|but not|and not 1 times"):
            room.check(room.good[:index] + room.good[index + 1 :])


def test_a_hold_period_may_be_missed_while_masters_change() -> None:
    """Nobody knows which lock events were on their way; who holds the lock is told by the next master."""
    room = Room()
    lost = [room.good[index] for index in (0, 1, 3, 5, 6, 7)]
    room.check(lost)
    with pytest.raises(Violation, match="hold period 1"):
        room.check([room.good[0], *room.good[2:]])
    late = room.listening(room.good[5:], EventMask.ALL & ~EventMask.MASTER_FAILED_OVER)
    asleep = msgspec.structs.replace(late, opened=59)
    handle_events.check(room.cell.told, [asleep], [("/d/f", 3)], END)


def test_who_did_not_ask_is_not_told() -> None:
    """By kind."""
    room = Room()
    masks = {
        EventMask.CONTENTS_MODIFIED: (0, 5),
        EventMask.LOCK_ACQUIRED: (1, 2, 4, 6),
        EventMask.LOCK_CONFLICT: (7,),
        EventMask.MASTER_FAILED_OVER: (3,),
    }
    for mask, wanted in masks.items():
        told = [room.good[index] for index in wanted]
        room.check(told, mask)
        for index, strange in enumerate(room.good):
            if index not in wanted:
                with pytest.raises(Violation, match=r"did not ask|not in the log"):
                    room.check([*told, strange], mask)


def test_what_never_was_is_not_told() -> None:
    """A hold period, the end of a node that is there, a fail-over or a waiter where there was none."""
    room = Room()
    for strange in (room.event(EventKind.LOCK_ACQUIRED, 99), room.event(EventKind.HANDLE_INVALID)):
        with pytest.raises(Violation, match=r"never was|which is there"):
            room.check([*room.good, (99, strange)])
    calm = msgspec.structs.replace(room.listening(room.good), followed=room.followed[:1])
    with pytest.raises(Violation, match="has had one master"):
        handle_events.check(room.cell.told, [calm], [], END)
    other = msgspec.structs.replace(room.listening(room.good), owner=LockOwner(room.me, 8))
    with pytest.raises(Violation, match="nobody ever did"):
        handle_events.check(room.cell.told, [other], [], END)


def test_the_end_of_a_node_is_told() -> None:
    """To those who asked, whatever else they miss from then on."""
    room = Room()
    room.cell.now += 10
    room.cell.remove(room.me, "/d/f")
    with pytest.raises(Violation, match="never told that /d/f is gone"):
        room.check(room.good)
    room.check([*room.good, (101, room.event(EventKind.HANDLE_INVALID))])
    room.check([], EventMask.LOCK_ACQUIRED)


def test_a_directory_hears_of_its_children() -> None:
    """All that happens to them, in order and once."""
    room = Room()
    above = msgspec.structs.replace(
        room.listening([(11, room.history(0)), (61, room.history(1))], EventMask.CHILD_CHANGED),
        path="/d",
        instance=room.cell.node("/d").stat.instance,
    )
    assert handle_events.check(room.cell.told, [above], [], END) == 2
    for told in (above.told[1:], above.told[:1], [*above.told, above.told[0]]):
        with pytest.raises(Violation, match=r"but not|never told|second time"):
            handle_events.check(room.cell.told, [msgspec.structs.replace(above, told=told)], [], END)


def test_listeners_ask_for_everything_and_are_told_of_it() -> None:
    """All kinds of events come in a run with another master."""
    plan = msgspec.structs.replace(
        draw(5, 25 * SECOND),
        faults=("hand_over",),
        clients=4,
        weather=Weather(),
        workloads=("listeners",),
        bounded=True,
    )
    scenario = Scenario(plan)
    scenario.run()
    listeners = scenario.workloads["listeners"]
    assert isinstance(listeners, Listeners)
    told = {event.kind for each in listeners.listening() for event in each.events}
    assert told >= set(EventKind) - {EventKind.ACL_MODIFIED, EventKind.ATTRIBUTES_MODIFIED, EventKind.RESYNC}
