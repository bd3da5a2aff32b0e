"""Hand-made histories of a node (DESIGN §4 Node)."""

from __future__ import annotations

import pytest

from tests.checking.history import UNKNOWN, History
from tests.checking.nodes import (
    BORN,
    Create,
    Delete,
    Look,
    Made,
    Mark,
    NodeCall,
    NodeModel,
    NodeResult,
    NodeState,
    Restrict,
    Restricted,
    Said,
    Vanish,
    View,
    Write,
    Wrote,
)
from tests.checking.stories import Line, holds, lost, story

LOOK = Look()
MADE: Line[NodeCall, NodeResult] = ("c1", 0, 1, Create(b"a"), Made(7))
SHARED = Create(b"z", may_exist=True)


def good(*lines: Line[NodeCall, NodeResult]) -> bool:
    """Whether a node can have given these answers."""
    history: History[NodeCall, NodeResult] = story(lines)
    return holds(history, NodeModel())


def test_the_life_of_a_node() -> None:
    """Absent, made, written, compared and set, deleted, made again as a later instance."""
    assert good(
        ("c1", 0, 1, LOOK, Said.ABSENT),
        ("c1", 2, 3, Create(b"a"), Made(7)),
        ("c1", 4, 5, LOOK, View(7, 1, b"a")),
        ("c1", 6, 7, Write(7, b"b", expected=1), Wrote(2)),
        ("c1", 8, 9, LOOK, View(7, 2, b"b")),
    )
    assert good(
        MADE,
        ("c1", 10, 11, Delete(7), Said.DELETED),
        ("c1", 12, 13, LOOK, Said.ABSENT),
        ("c1", 14, 15, Create(b"c"), Made(9)),
        ("c1", 16, 17, LOOK, View(9, 1)),
    )


@pytest.mark.parametrize(
    ("what", "call", "result"),
    [
        ("a stale read", LOOK, View(7, 1, b"a")),
        ("a read of contents never written", LOOK, View(7, 2, b"x")),
        ("a read of a generation never made", LOOK, View(7, 3, b"b")),
        ("a read of another instance", LOOK, View(8, 2, b"b")),
        ("a node told absent that is there", LOOK, Said.ABSENT),
        ("a second node of that name", Create(b"c"), Made(9)),
        ("a write that leaves a generation out", Write(7, b"c"), Wrote(4)),
        ("two writes of one generation", Write(7, b"c"), Wrote(2)),
        ("a lost update", Write(7, b"c", expected=1), Wrote(3)),
        ("a compare-and-set refused without reason", Write(7, b"c", expected=2), Said.MISMATCH),
        ("an unconditional write refused", Write(7, b"c"), Said.MISMATCH),
        ("a write to an instance that is none", Write(6, b"c"), Wrote(3)),
        ("a write to whichever instance refused", Write(None, b"c"), Said.GONE),
        ("another generation of whichever instance", LOOK, View(None, 1)),
        ("a deletion refused without reason", Delete(7), Said.GONE),
        ("a deletion of an instance that is none", Delete(6), Said.DELETED),
        ("an existing node made by who may find it", SHARED, Made(9)),
        ("an existing node refused to who may find it", SHARED, Said.EXISTS),
        ("a node found by who must make it", Create(b""), View(7, 2)),
    ],
)
def test_what_a_node_never_says(what: str, call: NodeCall, result: NodeResult) -> None:
    """After it was made and written to once, both answered."""
    before = MADE, ("c1", 2, 3, Write(7, b"b"), Wrote(2))
    assert not good(*before, ("c2", 4, 5, call, result)), what


MARKED: Line[NodeCall, NodeResult] = ("c1", 2, 3, Mark(7, b"m"), Said.MARKED)
CLOSED: Line[NodeCall, NodeResult] = ("c1", 4, 5, Restrict(7, "nobody", expected=1), Restricted(2))


@pytest.mark.parametrize(
    ("what", "call", "result", "right"),
    [
        ("both as they are", LOOK, View(7, 1, b"a", b"m", ("nobody", 2)), True),
        ("nothing of it is looked at", LOOK, View(7, 1), True),
        ("the mark as it was", LOOK, View(7, 1, None, b""), False),
        ("the names as they were", LOOK, View(7, 1, None, None, BORN), False),
        ("other names of that generation", LOOK, View(7, 1, None, None, ("anyone", 2)), False),
        ("a generation that was skipped", Restrict(7, "x"), Restricted(4), False),
        ("the next generation", Restrict(7, "x"), Restricted(3), True),
        ("a condition that does not hold", Restrict(7, "x", expected=1), Restricted(3), False),
        ("a condition that holds", Restrict(7, "x", expected=2), Said.MISMATCH, False),
        ("a condition that does not hold, and is told", Restrict(7, "x", expected=1), Said.MISMATCH, True),
        ("another instance", Restrict(8, "x"), Said.GONE, True),
        ("this instance", Restrict(7, "x"), Said.GONE, False),
        ("a mark on another instance", Mark(8, b""), Said.GONE, True),
        ("a mark on this one", Mark(7, b""), Said.GONE, False),
    ],
)
def test_metadata_is_as_true_as_contents(what: str, call: NodeCall, result: NodeResult, right: bool) -> None:
    """DESIGN §5 Invalidate first: cacheable data is content, stat, absence and child lists."""
    assert good(MADE, MARKED, CLOSED, ("c2", 6, 7, call, result)) is right, what


def test_metadata_goes_with_its_instance() -> None:
    """Whoever makes the node again begins with none; what was not answered may have happened."""
    again = (MADE, MARKED, CLOSED, ("c1", 6, 7, Delete(7), Said.DELETED), ("c1", 8, 9, Create(b""), Made(8)))
    for mark, acl, right in ((b"", BORN, True), (b"m", BORN, False), (b"", ("nobody", 2), False)):
        assert good(*again, ("c2", 10, 11, LOOK, View(8, 1, b"", mark, acl))) is right
    for mark in (b"", b"m"):
        assert good(MADE, lost("c1", 2, Mark(7, b"m")), ("c2", 6, 7, LOOK, View(7, 1, None, mark)))


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (LOOK, View(7, 2)),
        (SHARED, View(7, 2, b"b")),
        (Create(b""), Said.EXISTS),
        (Write(7, b"c", expected=1), Said.MISMATCH),
        (Write(6, b"c"), Said.GONE),
        (Delete(6), Said.GONE),
        (Delete(7), Said.DELETED),
        (Write(7, b"c", expected=2), Wrote(3)),
        (Write(None, b"c", expected=2), Wrote(3)),
        (LOOK, View(None, 2, b"b")),
    ],
)
def test_what_a_node_says(call: NodeCall, result: NodeResult) -> None:
    """The same node, the right answers."""
    before = MADE, ("c1", 2, 3, Write(7, b"b"), Wrote(2))
    assert good(*before, ("c2", 4, 5, call, result))


@pytest.mark.parametrize(
    ("call", "result", "right"),
    [
        (LOOK, Said.ABSENT, True),
        (LOOK, View(7, 1, b"a"), False),
        (Write(7, b"b"), Wrote(2), False),
        (Write(7, b"b"), Said.GONE, True),
        (Delete(7), Said.DELETED, False),
        (Delete(7), Said.GONE, True),
        (Write(None, b"b"), Said.GONE, True),
        (LOOK, View(None, 1), False),
        (Create(b"b"), Said.EXISTS, False),
        (Create(b"b"), Made(8), True),
        (Create(b"b"), Made(7), False),
        (SHARED, View(7, 1), False),
    ],
)
def test_the_dead_stay_dead(call: NodeCall, result: NodeResult, right: bool) -> None:
    """A deleted instance is never seen, written or made again."""
    before = MADE, ("c1", 2, 3, Delete(7), Said.DELETED)
    assert good(*before, ("c2", 4, 5, call, result)) is right


def test_a_creation_of_unknown_outcome_shows_its_instance_later() -> None:
    """Greater than all before; once it was seen it is that one for everybody."""
    unknown = lost("c1", 4, Create(b"x"))
    before = MADE, ("c2", 2, 3, Delete(7), Said.DELETED), unknown
    assert good(*before, ("c2", 5, 6, LOOK, Said.ABSENT))
    assert good(*before, ("c2", 5, 6, LOOK, View(9, 1, b"x")))
    assert not good(*before, ("c2", 5, 6, LOOK, View(7, 1, b"x")))
    assert not good(*before, ("c2", 5, 6, LOOK, View(9, 1)), ("c2", 7, 8, LOOK, View(8, 1)))
    assert not good(*before, ("c2", 5, 6, Write(9, b""), Wrote(2)), ("c2", 7, 8, LOOK, View(8, 2)))


def test_what_may_be_is_not_certain() -> None:
    """A node of an unknown instance may be, or not be, the one that was asked for."""
    state = NodeState(7, 1, b"x", exact=False)
    model = NodeModel()
    assert model.step(state, Delete(9), Said.GONE) == state
    assert model.step(state, Write(9, b""), Said.GONE) == state
    assert model.step(state, Delete(9), Said.DELETED) == NodeState(9)
    assert model.step(state, Delete(7), Said.DELETED) is None
    assert model.step(state, Write(9, b"", expected=2), Said.MISMATCH) == NodeState(9, 1, b"x")
    assert model.step(NodeState(9, 1), Delete(9), Said.GONE) is None


def test_unknown_writes_and_deletions() -> None:
    """Of the instance they were meant for, at any later time or never."""
    write, delete = lost("c1", 2, Write(7, b"b")), lost("c1", 2, Delete(7))
    for seen, right in ((View(7, 1, b"a"), True), (View(7, 2, b"b"), True), (View(7, 3, b"b"), False)):
        assert good(MADE, write, ("c2", 3, 4, LOOK, seen)) is right
    assert good(MADE, delete, ("c2", 3, 4, LOOK, Said.ABSENT))
    again = ("c2", 3, 4, Delete(7), Said.DELETED), ("c2", 5, 6, Create(b"c"), Made(8))
    assert not good(MADE, delete, *again, ("c2", 7, 8, LOOK, Said.ABSENT))
    assert good(MADE, write, *again, ("c2", 7, 8, LOOK, View(8, 1, b"c")))


def test_only_ephemeral_nodes_vanish() -> None:
    """One deletion by nobody for each creation of one."""
    temporary = ("c1", 0, 1, Create(b"a", ephemeral=True), Made(7))
    vanish = lost("cell", 0, Vanish())
    seen = ("c2", 2, 3, LOOK, View(7, 1, b"a"))
    absent = ("c2", 4, 5, LOOK, Said.ABSENT)
    assert good(temporary, vanish, seen, absent)
    assert not good(temporary, seen, absent)
    assert not good(MADE, vanish, seen, absent)
    again = ("c2", 6, 7, Create(b"b", ephemeral=True), Made(8)), ("c2", 8, 9, LOOK, Said.ABSENT)
    assert not good(temporary, vanish, seen, absent, *again)


def test_who_only_looks_is_known() -> None:
    """What never changes a state; and unknown looks change none."""
    model = NodeModel()
    for call, result in ((LOOK, Said.ABSENT), (SHARED, View(1, 1)), (Write(1, b""), Said.GONE), (Delete(1), Said.GONE)):
        assert model.observes(call, result)
    for call, change in ((SHARED, Made(1)), (Write(1, b""), Wrote(2)), (Delete(1), Said.DELETED)):
        assert not model.observes(call, change)
    assert model.step(NodeState(), LOOK, UNKNOWN) == NodeState()
    assert model.step(NodeState(3, 1), Create(), UNKNOWN) == NodeState(3, 1)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (NodeState(), "no node, the last was instance 0"),
        (NodeState(4, exact=False), "no node, the last was instance above 4"),
        (NodeState(4, 2, b"x", True), "ephemeral, instance 4, generation 2, b'x'"),
    ],
)
def test_states_tell_themselves(state: NodeState, words: str) -> None:
    """For who reads why."""
    assert NodeModel().show(state) == words
