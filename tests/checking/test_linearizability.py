"""The search: bounded, without recursion, small where it can be, and able to say why not."""

from __future__ import annotations

import sys

import pytest

from tests.checking import linearizability
from tests.checking.history import UNKNOWN, History, Operation
from tests.checking.registers import (
    Append,
    Get,
    ReadRegister,
    RegisterCall,
    RegisterModel,
    RegisterResult,
    StringCall,
    StringModel,
    Swap,
    WriteRegister,
)
from tests.checking.verdict import Judgement, Verdict, worst

RegisterHistory = History[RegisterCall, RegisterResult]
RegisterOperation = Operation[RegisterCall, RegisterResult]
READ = ReadRegister()


def write(client: str, invoked: int, returned: int | None, value: int) -> RegisterOperation:
    """A write; answered if it returned."""
    return Operation(client, WriteRegister(value), invoked, returned, UNKNOWN if returned is None else True)


def read(client: str, invoked: int, returned: int, value: int) -> RegisterOperation:
    """An answered read."""
    return Operation(client, READ, invoked, returned, value)


def swap(client: str, invoked: int, returned: int, old: int, new: int) -> RegisterOperation:
    """An answered compare-and-set that worked."""
    return Operation(client, Swap(old, new), invoked, returned, True)


def judge(*operations: RegisterOperation, bound: int = linearizability.BOUND) -> Verdict[RegisterCall, RegisterResult]:
    """The verdict on a register."""
    return linearizability.check(History(operations), RegisterModel(), bound)


def test_nothing_is_linearizable() -> None:
    """Nor is there anything wrong with operations that nobody heard of again."""
    assert judge().passed
    assert judge(write("c1", 0, None, 1)).passed


def test_the_order_is_a_witness() -> None:
    """It has every answered operation, those of the unknown that are needed, and obeys real time and the model."""
    verdict = judge(
        write("c1", 0, 10, 1),
        write("c2", 0, 10, 2),
        read("c3", 11, 12, 1),
        write("c4", 0, None, 3),
        read("c3", 13, 14, 3),
    )
    assert verdict.passed
    assert [each.client for each in verdict.order] == ["c2", "c1", "c3", "c4", "c3"]
    assert verdict.state == "3"


def test_a_broken_history_is_explained() -> None:
    """The longest order, the state it leaves, and what could come next but cannot."""
    verdict = judge(
        write("c1", 0, 1, 1), write("c1", 2, 3, 2), read("c2", 4, 6, 1), read("c3", 5, 9, 9), read("c4", 7, 8, 2)
    )
    assert verdict.judgement is Judgement.BROKEN and not verdict.passed
    assert [each.line() for each in verdict.order] == [
        "c1 [0, 1] WriteRegister(value=1) -> True",
        "c1 [2, 3] WriteRegister(value=2) -> True",
    ]
    assert [each.client for each in verdict.stuck] == ["c2", "c3"], "c4 comes after c2, so it is not to blame"
    text = verdict.explain()
    assert "not linearizable" in text and "leaves: 2" in text and "c2 [4, 6] ReadRegister() -> 1" in text


def test_the_walk_that_got_furthest_is_told() -> None:
    """Also if others were tried after it: the first choice here leads further than the second."""
    verdict = judge(
        write("c1", 0, 9, 1),
        write("c2", 0, 9, 2),
        swap("c3", 10, 11, 2, 5),
        swap("c3", 12, 13, 5, 6),
        read("c3", 14, 15, 0),
    )
    assert [each.client for each in verdict.order] == ["c1", "c2", "c3", "c3"]
    assert verdict.state == "6"


def test_a_long_order_is_told_in_short() -> None:
    """The end of it matters."""
    writes = [write("c1", 2 * number, 2 * number + 1, number) for number in range(50)]
    text = judge(*writes, read("c2", 200, 201, 0)).explain()
    assert "(42 before)" in text and len(text.splitlines()) == 14


def test_out_of_work_is_undecided() -> None:
    """And no pass: 14 concurrent writes, and a chain of swaps that no order allows."""
    writes = [write(f"c{number}", 0, 100, number) for number in range(14)]
    swaps = [swap(f"d{number}", 0, 100, number, number + 20) for number in range(14)]
    verdict = judge(*writes, *swaps, read("e", 101, 102, 99), bound=500)
    assert verdict.judgement is Judgement.UNDECIDED and not verdict.passed
    assert 500 < verdict.work < 600, "the bound is kept to within one step"
    assert "given up" in verdict.explain()


def test_depth_is_no_limit() -> None:
    """Far more operations than Python has stack frames, all forced into one order; then one that breaks it."""
    count = 3 * sys.getrecursionlimit()
    operations = [swap(f"c{number % 2}", number * 10, number * 10 + 15, number, number + 1) for number in range(count)]
    operations.append(write("c9", -5, -1, 0))
    assert judge(*operations).passed
    broken = judge(*operations, read("c9", count * 10 + 20, count * 10 + 21, 1))
    assert broken.judgement is Judgement.BROKEN and len(broken.order) == count + 1


def test_reads_cost_nothing_to_order() -> None:
    """Thirty concurrent reads have 30! orders; whatever may come next and was only seen comes next."""
    reads = [read(f"c{number}", 0, 100, -1) for number in range(30)]
    assert judge(*reads, bound=100).passed
    verdict = judge(*reads, read("d", 101, 102, 5), bound=100)
    assert verdict.judgement is Judgement.BROKEN


def test_what_was_tried_is_not_tried_again() -> None:
    """Twelve concurrent writes of few values have 12! orders, and far fewer configurations."""
    writes = [write(f"c{number}", 0, 100, number) for number in range(12)]
    verdict = judge(*writes, read("d", 101, 102, 50))
    assert verdict.judgement is Judgement.BROKEN
    assert verdict.work < 12 * 12 * 2**12


def test_twins_of_unknown_outcome_are_one_choice() -> None:
    """Forty clients that all gave up the same write have 2^40 subsets; only the earliest that are free count."""
    unknown = [write(f"c{number}", number, None, 1) for number in range(40)]
    later = [write("d", 100, 101, 2), read("d", 102, 103, 2), read("d", 104, 105, 3)]
    verdict = judge(*unknown, *later, bound=10_000)
    assert verdict.judgement is Judgement.BROKEN
    enough = [write("d", 100 + 4 * number, 101 + 4 * number, 2) for number in range(40)]
    seen = [read("d", 102 + 4 * number, 103 + 4 * number, 1) for number in range(40)]
    assert judge(*unknown, *enough, *seen, bound=10_000).passed
    more = [write("d", 300, 301, 2), read("d", 302, 303, 1)]
    assert judge(*unknown, *enough, *seen, *more, bound=20_000).judgement is Judgement.BROKEN


def test_unknown_ones_that_were_spent_for_nothing_are_not_followed() -> None:
    """Twenty different writes of unknown outcome, any of which may come between: 2^20 subsets, few states."""
    unknown = [write(f"c{number}", 0, None, number) for number in range(20)]
    later = [write("d", 10, 11, 50), read("d", 12, 13, 50), read("d", 14, 15, 60)]
    verdict = judge(*unknown, *later, bound=50_000)
    assert verdict.judgement is Judgement.BROKEN


def test_a_twin_is_not_used_before_it_was_invoked() -> None:
    """The second of two equal calls comes too late for the read between them."""
    used = [read("d", 4, 5, 1), write("d", 6, 7, 2), read("d", 8, 9, 1)]
    assert judge(write("c1", 0, None, 1), write("c2", 8, None, 1), *used).passed
    assert not judge(write("c1", 0, None, 1), write("c2", 10, None, 1), *used).passed


def test_what_returns_together_is_concurrent() -> None:
    """And what is invoked at the instant of a return is concurrent with it."""
    assert judge(write("c1", 0, 5, 1), write("c2", 5, 6, 2), read("c3", 7, 8, 1)).passed
    assert not judge(write("c1", 0, 4, 1), write("c2", 5, 6, 2), read("c3", 7, 8, 1)).passed
    assert judge(write("c1", 5, 5, 1), read("c2", 5, 5, 1), write("c3", 5, 5, 2), read("c4", 5, 5, 2)).passed


def test_each_key_is_judged_by_itself() -> None:
    """And the worst verdict is that of the whole."""
    operations: list[Operation[StringCall, str]] = [
        Operation("c1", Append("a"), 0, 1, "", ("/a",)),
        Operation("c2", Get(), 2, 3, "a", ("/a",)),
        Operation("c1", Append("b"), 2, 3, "", ("/b",)),
        Operation("c2", Get(), 4, 5, "a", ("/b",)),
    ]
    verdicts = linearizability.check_each(History(operations), lambda keys: StringModel())
    assert [verdict.passed for verdict in verdicts.values()] == [True, False]
    assert worst(verdicts.values()) is verdicts["/b",]


@pytest.mark.parametrize(
    ("judgements", "together"),
    [
        ([], Judgement.LINEARIZABLE),
        ([Judgement.LINEARIZABLE, Judgement.UNDECIDED], Judgement.UNDECIDED),
        ([Judgement.UNDECIDED, Judgement.BROKEN, Judgement.LINEARIZABLE], Judgement.BROKEN),
    ],
)
def test_bad_news_outweighs_good_news(judgements: list[Judgement], together: Judgement) -> None:
    """Broken before undecided before linearizable; and undecided is no pass."""
    verdicts: list[Verdict[RegisterCall, RegisterResult]] = [Verdict(judgement) for judgement in judgements]
    verdict = worst(verdicts)
    assert verdict.judgement is together
    assert verdict.passed == (together is Judgement.LINEARIZABLE)


def test_the_same_history_gives_the_same_walk() -> None:
    """Whatever the order in which it was taken down."""
    operations = [write(f"c{number}", number % 3, 50 + number % 5, number % 4) for number in range(12)]
    one, other = judge(*operations, read("d", 60, 61, 2)), judge(read("d", 60, 61, 2), *operations)
    assert one == other and one.work > 0
