"""The judges of what is there in the end, shown good and broken ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.torture.deeds import (
    Deed,
    Fates,
    counted,
    counter_complaints,
    fates,
    growth_complaints,
    sequence_complaints,
    set_fate,
)
from tests.torture.recording import Begun, Ended, Line


def told(*deeds: tuple[str, int, int | None]) -> Fates:
    """Deeds of one place."""
    return Fates([Deed(*deed) for deed in deeds])


THREE = told(("a", 0, 10), ("b", 20, 30), ("c", 25, 40))
"""a before b and c; those two at one time."""


# ------------------------------------------------------------------------------------------------- what was written


def test_the_fates_of_deeds() -> None:
    """Certain, of unknown outcome in three ways, refused, failed for certain; by place."""
    lines: list[Line] = []
    for number, (place, said) in enumerate(
        [("x", "done"), ("x", "OutcomeUnknown"), ("x", "refused"), ("x", "NoQuorum"), ("y", "SessionExpired")]
    ):
        lines += [Begun(number, "c", number * 10, "add", (place,), f"e{number}")]
        lines += [Ended(number, number * 10 + 5, said)]
    lines += [Begun(9, "c", 90, "add", ("x",), "killed"), Begun(10, "c", 95, "other", ("x",), "no")]
    found = fates([lines], "add", "done")
    assert found["x"].deeds == [Deed("e0", 0, 5), Deed("e1", 10, None), Deed("killed", 90, None)]
    assert (found["x"].refused, found["x"].failed) == (1, 1)
    assert found["y"].deeds == [Deed("e4", 40, None)]


# -------------------------------------------------------------------------------------------------------- sequences


@pytest.mark.parametrize("found", [["a", "b", "c"], ["a", "c", "b"]])
def test_good_sequences(found: list[str]) -> None:
    """What was at one time may stand either way."""
    assert not sequence_complaints(THREE, found)


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (["a", "b"], "1 acknowledged and not there: c"),
        (["a", "b", "b", "c"], "1 there more than once: b"),
        (["a", "b", "x", "c"], "1 there, and nobody wrote it: x"),
        (["b", "a", "c"], "1 before what was over when it began: b"),
        (["b", "c", "a"], "2 before what was over when it began: c, b"),
        ([], "3 acknowledged and not there: a, b, c"),
    ],
)
def test_broken_sequences(found: list[str], complaint: str) -> None:
    """Lost, doubled, made up, out of order."""
    assert complaint in sequence_complaints(THREE, found)


@pytest.mark.parametrize("found", [["a", "b"], ["a", "x", "b"], ["a", "b", "x"]])
def test_what_may_have_happened_may_be_there(found: list[str]) -> None:
    """Or not; at any time after it began."""
    assert not sequence_complaints(told(("a", 0, 10), ("x", 5, None), ("b", 20, 30)), found)


def test_what_may_have_happened_did_not_happen_before_it_began() -> None:
    """Nobody writes ahead of time."""
    uncertain = told(("a", 0, 10), ("x", 15, None))
    assert sequence_complaints(uncertain, ["x", "a"]) == ["1 before what was over when it began: x"]


def test_only_some_examples_are_shown() -> None:
    """A thousand lost entries make one line."""
    many = told(*((f"e{number}", number * 2, number * 2 + 1) for number in range(1000)))
    (complaint,) = sequence_complaints(many, [])
    assert complaint == "1000 acknowledged and not there: e0, e1, e2, e3, e4, ..."


# ------------------------------------------------------------------------------------------------------------- sets


def test_a_set_and_what_was_lost_of_it() -> None:
    """Lost: acknowledged and not there. Of unknown outcome: there or not."""
    fate = set_fate(told(("a", 0, 1), ("b", 2, 3), ("x", 4, None), ("y", 5, None)), ["a", "y"])
    assert (fate.acknowledged, fate.unknown, fate.lost, fate.strange) == (2, 2, ("b",), ())


@pytest.mark.parametrize(("found", "strange"), [(["a", "q"], ("q",)), (["a", "a"], ("a",)), (["a"], ())])
def test_a_set_has_nothing_that_nobody_added(found: Sequence[str], strange: tuple[str, ...]) -> None:
    """Nor anything twice. (What was refused is not among the deeds.)"""
    assert set_fate(told(("a", 0, 1)), found).strange == strange


# --------------------------------------------------------------------------------------------------------- counters


@pytest.mark.parametrize(
    ("certain", "maybe", "number"),
    [([1, 2, 3], [], 3), ([1, 3], [2], 3), ([1, 2], [3], 2), ([1, 2], [2, 3], 3), ([], [], 0)],
)
def test_good_counters(certain: list[int], maybe: list[int], number: int) -> None:
    """Each number was written by somebody who knows, or may have been by one who does not."""
    assert not counter_complaints(certain, maybe, number)


@pytest.mark.parametrize(
    ("certain", "maybe", "number", "complaint"),
    [
        ([1, 2, 2], [], 2, "1 counted twice: 2"),
        ([1, 2], [], 1, "1 counted, and above what is there: 2"),
        ([1], [], 3, "2 passed over, and nobody may have counted it: 2, 3"),
    ],
)
def test_broken_counters(certain: list[int], maybe: list[int], number: int, complaint: str) -> None:
    """A lost update is a number that two are certain of."""
    assert complaint in counter_complaints(certain, maybe, number)


def test_what_was_counted() -> None:
    """For certain, perhaps, and not at all."""
    lines: list[Line] = [Begun(number, "c", number * 10, "count", ("counter",)) for number in range(1, 5)]
    lines += [
        Ended(1, 11, "counted", generations=(1,)),
        Ended(2, 21, "OSError", generations=(2,)),
        Ended(3, 31, "NotBegun"),
    ]
    assert counted([lines, []]) == ([1], [2])


# ----------------------------------------------------------------------------------------------------------- growth


def growth(verb: str, said: str, generation: int, print_: str) -> list[str]:
    """One call on a file whose versions are v0, v1, v2; what is wrong with it."""
    wrote = said == "wrote"
    lines: list[Line] = [
        Begun(1, "c", 0, verb, ("/f",), contents=print_ if wrote else ""),
        Ended(1, 5, said, generations=(generation,), contents="" if wrote else print_),
    ]
    return growth_complaints([lines], {"/f": ["a", "b"]}, {"/f": ["v0", "v1", "v2"]})


@pytest.mark.parametrize(("verb", "said"), [("append", "wrote"), ("look", "view")])
def test_versions_are_what_they_were_told_to_be(verb: str, said: str) -> None:
    """Generation 1 has no entry, each append makes the next one of exactly what was there."""
    assert not growth(verb, said, 2, "v1")
    assert growth(verb, said, 2, "v2") == ["1 not the beginning of what is there in the end: /f with 1 entries"]
    assert growth(verb, said, 4, "v3") == ["1 not the beginning of what is there in the end: /f with 3 entries"]
