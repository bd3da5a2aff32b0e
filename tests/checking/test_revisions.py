"""The check along the revisions: what it proves, what it refutes, and what it leaves to the search."""

from __future__ import annotations

import pytest

from tests.checking import linearizability, revisions
from tests.checking.history import UNKNOWN, History, Operation, Unknown
from tests.checking.nodes import Create, Delete, Look, Made, NodeCall, NodeModel, NodeResult, Said, View, Write, Wrote
from tests.checking.verdict import Judgement, Verdict

NodeOperation = Operation[NodeCall, NodeResult]


def change(
    client: str, invoked: int, returned: int, call: NodeCall, result: NodeResult, revision: int
) -> NodeOperation:
    """An answered change."""
    return Operation(client, call, invoked, returned, result, made=revision)


def look(client: str, invoked: int, returned: int, view: View, revision: int) -> NodeOperation:
    """A read that was told the revision of what it saw."""
    return Operation(client, Look(), invoked, returned, view, saw=revision)


def absent(client: str, invoked: int, returned: int) -> NodeOperation:
    """A read that found nothing, which has no revision."""
    return Operation(client, Look(), invoked, returned, Said.ABSENT)


MADE = change("c1", 0, 10, Create(b"0"), Made(7), 100)
ONE = change("c1", 11, 20, Write(7, b"1"), Wrote(2), 103)
TWO = change("c2", 11, 25, Write(7, b"2"), Wrote(3), 104)
GONE = change("c1", 30, 40, Delete(7), Said.DELETED, 110)


def judge(*operations: NodeOperation) -> Verdict[NodeCall, NodeResult]:
    """The verdict, which is no better than that of the search."""
    history = History(operations)
    verdict = revisions.check(history, NodeModel())
    searched = linearizability.check(history, NodeModel())
    assert searched.passed or not verdict.passed, f"{verdict.explain()}\n{searched.explain()}"
    return verdict


def broken(*operations: NodeOperation) -> str:
    """Why it is broken, which it must be."""
    verdict = judge(*operations)
    assert verdict.judgement is Judgement.BROKEN, verdict.explain()
    return verdict.explain()


def test_a_life_in_order() -> None:
    """Changes, reads with revisions, and absences without."""
    verdict = judge(
        absent("c9", 0, 5),
        MADE,
        TWO,
        ONE,
        look("c3", 12, 18, View(7, 1, b"0"), 100),
        look("c3", 20, 22, View(7, 3), 104),
        GONE,
        absent("c4", 35, 36),
    )
    assert verdict.passed
    assert [each.made for each in verdict.order] == [100, 103, 104, 110]
    assert verdict.state == "no node, the last was instance 7"


def test_revisions_order_what_time_does_not() -> None:
    """Two writes that ran together, numbered in either order; but not against time."""
    assert judge(MADE, ONE, TWO).passed
    early = change("c2", 11, 12, Write(7, b"2"), Wrote(3), 104)
    late = change("c1", 13, 20, Write(7, b"1"), Wrote(2), 103)
    text = broken(MADE, early, late)
    assert "over before" in text and "c1 [13, 20]" in text and "c2 [11, 12]" in text


@pytest.mark.parametrize(
    ("what", "operation"),
    [
        ("a stale read", look("c3", 26, 29, View(7, 2, b"1"), 103)),
        ("a read of contents never written", look("c3", 26, 29, View(7, 3, b"x"), 104)),
        ("a read of what is not yet there", look("c3", 0, 5, View(7, 3, b"2"), 104)),
        ("a revision that nobody made", look("c3", 26, 29, View(7, 4, b"z"), 105)),
        ("a lost update", change("c3", 26, 29, Write(7, b"3"), Wrote(3), 106)),
        ("a lost compare-and-set that won", change("c3", 26, 29, Write(7, b"3", expected=2), Wrote(4), 106)),
        ("a node missed", absent("c3", 26, 29)),
        ("a second node", change("c3", 26, 29, Create(), Made(8), 106)),
    ],
)
def test_what_breaks_is_caught(what: str, operation: NodeOperation) -> None:
    """After a creation and two writes, all answered. The search finds these too."""
    assert broken(MADE, ONE, TWO, operation), what
    assert not linearizability.check(History([MADE, ONE, TWO, operation]), NodeModel()).passed


def test_revisions_say_more_than_results() -> None:
    """These are linearizable, and yet nobody can have told them."""
    assert "does not follow" in broken(MADE, ONE, TWO, look("c3", 12, 22, View(7, 2, b"1"), 104))
    assert "made twice" in broken(MADE, ONE, TWO, change("c3", 26, 29, Write(7, b"3"), Wrote(4), 104))


def test_the_dead_stay_dead() -> None:
    """Seen after its deletion was answered; made again under the same instance."""
    assert broken(MADE, GONE, look("c3", 41, 45, View(7, 1, b"0"), 100))
    assert broken(MADE, GONE, change("c3", 41, 45, Create(), Made(7), 120))
    assert judge(MADE, GONE, change("c3", 41, 45, Create(), Made(8), 120)).passed


def test_a_lost_compare_and_set_needs_a_reason() -> None:
    """Some state that lasted during it had another generation."""
    lost: NodeOperation = Operation("c3", Write(7, b"x", expected=1), 12, 15, Said.MISMATCH)
    assert judge(MADE, ONE, lost).passed
    lost = Operation("c3", Write(7, b"x", expected=2), 26, 28, Said.MISMATCH)
    assert "no state that lasted" in broken(MADE, ONE, lost)


def test_a_change_that_nobody_was_told_of() -> None:
    """It shows by the revision that a read saw, or by a generation that was left out."""
    unknown: NodeOperation = Operation("c2", Write(7, b"2"), 12)
    seen = look("c3", 26, 29, View(7, 3, b"2"), 104)
    assert judge(MADE, ONE, unknown, seen).passed
    assert judge(MADE, ONE, unknown, change("c3", 26, 29, Write(7, b"3"), Wrote(4), 109)).passed
    assert judge(MADE, ONE, unknown, look("c3", 26, 29, View(7, 2), 103)).passed
    made: NodeOperation = Operation("c2", Create(b"x"), 5)
    assert judge(made, look("c3", 26, 29, View(3, 1, b"x"), 90)).passed


def test_it_cannot_have_come_before_it_was_invoked() -> None:
    """The only one that fits is too late: nothing unknown could help, so that is a proof."""
    unknown: NodeOperation = Operation("c2", Write(7, b"2"), 40)
    broken(MADE, ONE, unknown, look("c3", 26, 29, View(7, 3, b"2"), 104))


def test_where_a_guess_fails_the_search_decides() -> None:
    """Two unknown writes fit into one gap; the first is taken, though a later read shows that it was the other."""
    first: NodeOperation = Operation("c2", Write(7, b"2"), 12)
    other: NodeOperation = Operation("c4", Write(7, b"4"), 13)
    history = [
        MADE,
        ONE,
        first,
        other,
        change("c3", 26, 29, Write(7, b"3"), Wrote(4), 109),
        look("c3", 30, 31, View(7, 5, b"2"), 111),
    ]
    assert judge(*history).judgement is Judgement.UNDECIDED
    assert linearizability.check(History(history), NodeModel()).passed


class LengthModel:
    """A string, of which those who add to it are told the length only. A call is what to add, or nothing: to read."""

    def initial(self) -> str:
        """Empty."""
        return ""

    def step(self, state: str, call: str, result: int | str | Unknown) -> str | None:
        """See `Model`."""
        longer = state + call
        return longer if result is UNKNOWN or result == (len(longer) if call else state) else None

    def observes(self, call: str, result: int | str) -> bool:
        """See `Model`."""
        return not call

    def show(self, state: str) -> str:
        """See `Model`."""
        return state


def test_a_guess_at_the_order_is_a_guess_too() -> None:
    """Both unknown additions were needed, in the order that was not tried; nothing unknown is left when that shows."""
    operations: list[Operation[str, int | str]] = [
        Operation("c1", "a", 0),
        Operation("c2", "b", 1),
        Operation("c3", "c", 10, 11, 3, made=5),
        Operation("c3", "d", 12, 13, 4, made=6),
        Operation("c3", "", 14, 15, "bacd", saw=6),
    ]
    history = History(operations)
    assert revisions.check(history, LengthModel()).judgement is Judgement.UNDECIDED
    assert linearizability.check(history, LengthModel()).passed


def test_the_line_is_told_up_to_where_it_breaks() -> None:
    """What came later does not help who reads."""
    verdict = judge(MADE, ONE, TWO, look("c3", 26, 29, View(7, 2, b"1"), 103), GONE)
    assert [each.made for each in verdict.order] == [100] and verdict.state == "instance 7, generation 1, b'0'"
    assert [each.client for each in verdict.stuck] == ["c2", "c3"], "the write of revision 104, and the read it blocks"


def test_several_gaps_at_once() -> None:
    """Up to three changes between two that are known; beyond that the search decides."""
    unknown: list[NodeOperation] = [Operation(f"d{number}", Write(7, b"%d" % number), 12) for number in range(5)]
    for gap, judgement in ((3, Judgement.LINEARIZABLE), (4, Judgement.UNDECIDED)):
        after = change("c3", 26, 29, Write(7, b"3"), Wrote(3 + gap), 109)
        assert judge(MADE, ONE, *unknown, after).judgement is judgement


def test_each_key_by_itself() -> None:
    """Revisions are the cell's, so that one key's have gaps."""
    elsewhere: NodeOperation = Operation("c4", Create(), 0, 3, Made(8), ("/b",), made=101)
    here: NodeOperation = Operation("c1", Create(), 0, 3, Made(7), ("/a",), made=100)
    verdicts = revisions.check_each(History([elsewhere, here]), lambda keys: NodeModel())
    assert {keys: verdict.passed for keys, verdict in verdicts.items()} == {("/a",): True, ("/b",): True}


def test_long_histories_take_their_length() -> None:
    """Ten thousand writes and reads: a few steps of the model each."""
    count = 5000
    operations: list[NodeOperation] = [MADE]
    for number in range(count):
        begun, revision = 20 + 10 * number, 200 + 2 * number
        contents = b"%d" % number
        operations.append(change(f"c{number % 5}", begun, begun + 30, Write(7, contents), Wrote(number + 2), revision))
        operations.append(look(f"d{number % 5}", begun + 2, begun + 40, View(7, number + 2, contents), revision))
    verdict = revisions.check(History(operations), NodeModel())
    assert verdict.passed and verdict.work < 4 * len(operations)
