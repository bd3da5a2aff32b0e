"""Checkers of what clients were told, against the log: good histories pass, each broken one is caught."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from chubby.client.state import SessionState
from chubby.errors import ErrorCode, Failure
from chubby.types import calls
from chubby.types.calls import Call
from chubby.types.events import Event, EventKind
from chubby.types.nodes import AclNames
from chubby.types.results import Answer, Contents, Done, LockGranted, Opened, StatResult, Transacted
from chubby.types.transaction import Remove, Write
from tests.namespace.cell import Cell, token_of
from tests.simulation.checkers import acknowledged, events, suffix
from tests.simulation.checkers.acknowledged import Acknowledgement
from tests.simulation.checkers.events import Watched
from tests.simulation.checkers.recorded_cell import RecordedCell
from tests.simulation.clients import ClientHost
from tests.simulation.fake_clients import stat
from tests.simulation.violation import Violation
from tests.simulation.world import World

LOOK = calls.GetStat(1)
EXPIRED = Failure(ErrorCode.SESSION_EXPIRED, "over")


def wrote(cell: Cell, session: int, contents: bytes, number: int) -> Acknowledgement:
    """A write in the log, and the answer that its client got."""
    outcome = cell.write(session, "/a", contents)
    assert outcome.number == number
    answer = StatResult(cell.node("/a").stat, cell.machine.revision)
    return Acknowledgement("c1", session, number, calls.SetContents(1, contents), answer)


def test_what_was_acknowledged_is_in_the_log() -> None:
    """A creation, a write, a grant, a release and a deletion."""
    cell = RecordedCell()
    one, two = cell.session(), cell.session()
    cell.create(one, "/a")
    made = Opened(b"", "/a", True, cell.node("/a").stat)
    cell.acquire(two, "/a")
    token = token_of(cell.told[-1].outcome)
    cell.release(two, "/a")
    write = wrote(cell, one, b"x", 2)
    removed = cell.remove(one, "/a")
    told = [
        Acknowledgement("c1", one, 1, calls.Open(1, "/a", create=calls.CreateMode.MAY), made),
        Acknowledgement("c2", two, 1, calls.Acquire(1), LockGranted(token, 1)),
        Acknowledgement("c2", two, 2, calls.Release(1), Done(3)),
        write,
        Acknowledgement("c1", one, removed.number, calls.Delete(1), Done(cell.machine.revision)),
    ]
    assert all(acknowledged.changed(each.call, each.answer) for each in told)
    acknowledged.check(cell.told, told)
    for index, each in enumerate(told):
        key = (each.session, each.number)
        lost = [entry for entry in cell.told if (entry.outcome.session, entry.outcome.number) != key]
        with pytest.raises(Violation, match=r"in the log|knows nothing"):
            acknowledged.check(lost, told[index : index + 1])


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (calls.SetContents(1, b"x"), StatResult(stat(), 77)),
        (calls.Delete(1), Done(77)),
        (calls.Open(1, "/a"), Opened(b"", "/a", True, stat(instance=77))),
        (calls.Release(1), Done(1)),
        (calls.Acquire(1), LockGranted(77, 1)),
    ],
)
def test_an_answer_that_says_something_else_than_the_log_is_caught(call: Call, answer: Answer) -> None:
    """Another revision, another instance, a token that nobody was granted."""
    cell = RecordedCell()
    one = cell.session()
    cell.create(one, "/a")
    cell.write(one, "/a", b"x")
    with pytest.raises(Violation, match="the log"):
        acknowledged.check(cell.told, [Acknowledgement("c1", one, 2, call, answer)])


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (calls.GetContentsAndStat(1), Contents(b"", stat())),
        (calls.GetStat(1), StatResult(stat())),
        (calls.Open(1, "/a"), Opened(b"", "/a", False, stat())),
        (calls.SetAcl(1, AclNames("", "", "")), EXPIRED),
        (calls.CancelAcquire(1), Done()),
    ],
)
def test_what_changed_nothing_need_not_be_in_the_log(call: Call, answer: Answer) -> None:
    """Reads, failures, and what was there already."""
    assert not acknowledged.changed(call, answer)


def test_a_transaction_is_acknowledged_with_its_own_result() -> None:
    """Of another one, or of one that failed, it is no acknowledgement."""
    cell = RecordedCell()
    one = cell.session()
    cell.create(one, "/a")
    first, second = cell.result(one, Write("/a", b"1")), cell.result(one, Write("/a", b"2"))
    failed = cell.result(one, Remove("/none"))
    call = calls.Transact((), (Write("/a", b"1"),))
    acknowledged.check(cell.told, [Acknowledgement("c1", one, 2, call, Transacted(first))])
    with pytest.raises(Violation, match="the log has"):
        acknowledged.check(cell.told, [Acknowledgement("c1", one, 2, call, Transacted(second))])
    assert acknowledged.changed(call, Transacted(first)) and not acknowledged.changed(call, Transacted(failed))


# --- a session's end -------------------------------------------------------------------------------------------------


class Program:
    """A client whose session is number 1, and who makes calls when its session has ended."""

    def __init__(self) -> None:
        self.world = World(1)
        self.place, self.alive, self.paused_until, self.last_number = "c1", True, 0, 0
        self.core = SimpleNamespace(identity=SimpleNamespace(session=1))
        self.on_answer: list[object] = []
        self.on_state: list[object] = []
        self.on_call = lambda call, done: done
        self.made: list[Call] = []
        self.end = suffix.End(self.world, cast(ClientHost, self))

    def call(self, call: Call, done: object) -> None:
        """Make a call."""
        self.made.append(call)

    def told(self, number: int, answer: Answer, call: Call = LOOK) -> None:
        """An answer to the call of that number, the last one made."""
        self.last_number = max(self.last_number, number)
        self.end.answered(number, call, answer)


def test_a_session_loses_a_suffix() -> None:
    """DESIGN §6: what was on its way may still be told; what comes later is told of the end; Close never fails."""
    program = Program()
    program.last_number = 4
    program.told(3, EXPIRED)
    program.told(4, StatResult(stat()))
    program.told(5, EXPIRED)
    program.told(6, Done(), calls.Close(1))


@pytest.mark.parametrize("number", [0, 5], ids=["from the cache", "from the master"])
def test_a_success_after_the_end_is_caught(number: int) -> None:
    """Whoever was told that it lost its locks must not read on from a cache as if it had them."""
    program = Program()
    program.told(4, EXPIRED)
    with pytest.raises(Violation, match="after its session had expired"):
        program.told(number, StatResult(stat()))


def test_every_program_goes_on_for_a_while_after_the_end() -> None:
    """With the handles that it opened last."""
    program = Program()
    for handle in range(1, 6):
        program.told(handle, Opened(b"", "/a", False, stat()), calls.Open(handle, "/a"))
    program.end._entered(SessionState.EXPIRED)
    program.world.run(program.world.now + 20 * 10**9)
    assert {call.handle for call in program.made if isinstance(call, calls.SetContents)} == {3, 4, 5}
    assert len(program.made) == 3 * 3 * 4


def test_a_call_that_takes_effect_after_the_end_is_caught() -> None:
    """As the log has it."""
    cell = RecordedCell()
    one = cell.session()
    cell.create(one, "/a")
    cell.write(one, "/a", b"x")
    program = Program()
    program.core.identity.session = one
    program.told(2, EXPIRED)
    suffix.check(cell.told, [program.end])
    cell.write(one, "/a", b"late")
    with pytest.raises(Violation, match="carries out call 3"):
        suffix.check(cell.told, [program.end])


# --- events ----------------------------------------------------------------------------------------------------------


def watched(cell: RecordedCell, *, whole: bool = True, drop: int | None = None) -> Watched:
    """A watch of everything below /a from the first revision on, told all of it but for one event."""
    told = [
        Event(change.kind, change.path, change.revision, change.instance, change.generation, watch=1)
        for each in cell.told
        for change in each.outcome.changes
        if change.path.startswith("/a")
    ]
    if drop is not None:
        del told[drop]
    return Watched("c1", "/a", True, 0, told, whole)


def story_of_a() -> RecordedCell:
    """Five changes below /a and one elsewhere, at true times 1 to 6."""
    cell = RecordedCell()
    one = cell.session()
    for step in (
        lambda: cell.create(one, "/a"),
        lambda: cell.create(one, "/b"),
        lambda: cell.create(one, "/a/x"),
        lambda: cell.write(one, "/a/x", b"1"),
        lambda: cell.write(one, "/a/x", b"2"),
        lambda: cell.remove(one, "/a/x"),
    ):
        cell.now += 1
        step()
    return cell


def test_all_events_in_order_pass() -> None:
    """DESIGN §5 Events; a watch that ended is told the beginning; what is new may still be on its way."""
    cell = story_of_a()
    assert events.check(cell.told, [watched(cell)], 9) == 5
    events.check(cell.told, [watched(cell, whole=False, drop=-1)], 9)
    events.check(cell.told, [watched(cell, drop=-1)], 5)


def test_a_watch_that_is_answered_twice_may_be_told_of_what_was_in_between() -> None:
    """The first answer was lost, not the watch; but nothing old comes after something new, and nothing is missing."""
    cell = story_of_a()
    good = watched(cell)
    later = msgspec.structs.replace(good, floor=good.events[1].revision)
    events.check(cell.told, [later], 9)
    events.check(cell.told, [msgspec.structs.replace(later, events=good.events[1:])], 9)
    with pytest.raises(Violation, match="not in the log"):
        events.check(cell.told, [msgspec.structs.replace(later, events=[*good.events[2:], good.events[0]])], 9)
    with pytest.raises(Violation, match="but not"):
        events.check(cell.told, [msgspec.structs.replace(later, events=[*good.events[:2], *good.events[3:]])], 9)


def test_an_event_that_is_missing_is_caught() -> None:
    """In the middle at any time, at the end when there was time enough."""
    cell = story_of_a()
    for drop, whole in ((0, False), (2, False), (-1, True)):
        with pytest.raises(Violation, match=r"but not|never told"):
            events.check(cell.told, [watched(cell, whole=whole, drop=drop)], 9)


def test_an_event_told_twice_or_out_of_order_is_caught() -> None:
    """Across a fail-over too: the cursor sees to it."""
    cell = story_of_a()
    good = watched(cell)
    for order in ((0, 1, 1), (0, 1, 2, 0), (0, 2, 1)):
        with pytest.raises(Violation, match=r"second time|but not"):
            told = [good.events[index] for index in order]
            events.check(cell.told, [msgspec.structs.replace(good, events=told, whole=False)], 9)


def test_an_event_of_something_else_is_caught() -> None:
    """Not in the log, not below the watch, or of another instance."""
    cell = story_of_a()
    good = watched(cell)
    strange = [
        Event(EventKind.DELETED, "/a", 2, 3, 1, watch=1),
        Event(EventKind.CREATED, "/b", 2, 4, 1, watch=1),
        msgspec.structs.replace(good.events[0], instance=99),
        msgspec.structs.replace(good.events[0], generation=99),
    ]
    for event in strange:
        with pytest.raises(Violation, match=r"not in the log|and it was"):
            events.check(cell.told, [msgspec.structs.replace(good, events=[event], whole=False)], 9)


def test_a_resync_allows_a_gap_and_nothing_else() -> None:
    """DESIGN §5: or says RESYNC when the cursor is too old."""
    cell = story_of_a()
    good = watched(cell)
    resync = Event(EventKind.RESYNC, watch=1)
    first, *rest = good.events
    events.check(cell.told, [msgspec.structs.replace(good, events=[first, resync, *rest[2:]])], 9)
    events.check(cell.told, [msgspec.structs.replace(good, events=[first, resync])], 9)
    with pytest.raises(Violation, match="second time"):
        events.check(cell.told, [msgspec.structs.replace(good, events=[first, resync, first])], 9)
    with pytest.raises(Violation, match="but not"):
        events.check(cell.told, [msgspec.structs.replace(good, events=[first, resync, rest[0], rest[2]])], 9)
