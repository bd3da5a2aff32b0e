"""Several nodes as one: transactions take effect at one instant, on all of them or on none (DESIGN §4 Transaction)."""

from __future__ import annotations

import pytest

from tests.checking import brute, linearizability
from tests.checking.history import History, Keys, Operation
from tests.checking.nodes import (
    Create,
    Look,
    Made,
    NodeCall,
    NodeModel,
    NodeResult,
    NodeState,
    Said,
    View,
    Write,
    Wrote,
)
from tests.checking.transactions import (
    At,
    Failed,
    GroupCall,
    GroupModel,
    GroupState,
    Guard,
    Results,
    Transaction,
    as_group,
)
from tests.checking.verdict import worst

NodeGroupCall = GroupCall[NodeCall, NodeResult]
NodeGroupResult = NodeResult | Results[NodeResult] | Failed
NodeTransaction = Transaction[NodeCall, NodeResult]
GroupOperation = Operation[NodeGroupCall, NodeGroupResult]

A: Keys = ("/a",)
B: Keys = ("/b",)
BOTH: Keys = ("/a", "/b")
MADE: list[GroupOperation] = [
    Operation("c1", At("/a", Create(b"0")), 0, 1, Made(1), A),
    Operation("c1", At("/b", Create(b"0")), 2, 3, Made(2), B),
]
MOVE = NodeTransaction(
    guards=(Guard("/a", Look(), View(1, 1)), Guard("/b", Look(), View(2, 1))),
    then=(At("/a", Write(1, b"1")), At("/b", Write(2, b"1"))),
)
MOVED = Results[NodeResult]((Wrote(2), Wrote(2)))


def model_of(keys: Keys) -> GroupModel[NodeCall, NodeResult, NodeState]:
    """Nodes of these names."""
    return GroupModel(keys, NodeModel())


def look(client: str, invoked: int, returned: int, key: str, generation: int) -> GroupOperation:
    """A read of one of the two nodes."""
    return Operation(client, At(key, Look()), invoked, returned, View(1 if key == "/a" else 2, generation), (key,))


def good(*operations: GroupOperation) -> bool:
    """Whether both nodes together can have given these answers: by the search, and by the definition."""
    history: History[NodeGroupCall, NodeGroupResult] = History([*MADE, *operations])
    verdict = worst(linearizability.check_each(history, model_of).values())
    together = model_of(BOTH)
    assert verdict.passed == brute.linearizable(history, together), verdict.explain()
    return verdict.passed


def test_all_at_one_instant() -> None:
    """Who sees one half of it done sees the other half done from then on."""
    move: GroupOperation = Operation("c2", MOVE, 4, 9, MOVED, BOTH)
    assert good(move, look("c3", 5, 6, "/a", 2), look("c3", 7, 8, "/b", 2))
    assert good(move, look("c3", 5, 6, "/a", 1), look("c3", 7, 8, "/b", 2))
    assert not good(move, look("c3", 5, 6, "/a", 2), look("c3", 7, 8, "/b", 1))


def test_each_node_alone_would_not_show_it() -> None:
    """The torn transaction above is fine for each node by itself: that is why they are judged together."""
    move: GroupOperation = Operation("c2", MOVE, 4, 9, MOVED, BOTH)
    halves = [look("c3", 5, 6, "/a", 2), look("c3", 7, 8, "/b", 1)]
    assert list(History([*MADE, *halves]).partition()) == [A, B]
    assert list(History([*MADE, move, *halves]).partition()) == [BOTH]


def test_guards_hold_or_they_do_not() -> None:
    """Success needs all of them, failure a reason."""
    elsewhere: GroupOperation = Operation("c1", At("/b", Write(2, b"x")), 4, 5, Wrote(2), B)
    failed: GroupOperation = Operation("c2", MOVE, 6, 7, Failed(), BOTH)
    done: GroupOperation = Operation("c2", MOVE, 6, 7, MOVED, BOTH)
    assert good(elsewhere, failed) and not good(elsewhere, done)
    assert good(done) and not good(failed)


def test_nothing_of_a_failed_one_is_done() -> None:
    """Not even the half whose guard held."""
    elsewhere: GroupOperation = Operation("c1", At("/b", Write(2, b"x")), 4, 5, Wrote(2), B)
    failed: GroupOperation = Operation("c2", MOVE, 6, 7, Failed(), BOTH)
    assert good(elsewhere, failed, look("c3", 8, 9, "/a", 1))
    assert not good(elsewhere, failed, look("c3", 8, 9, "/a", 2))


def test_an_unknown_one_is_all_or_nothing_too() -> None:
    """At one later instant, or never; and only where its guards hold."""
    unknown: GroupOperation = Operation("c2", MOVE, 4, keys=BOTH)
    assert good(unknown, look("c3", 5, 6, "/a", 2), look("c3", 7, 8, "/b", 2))
    assert good(unknown, look("c3", 5, 6, "/a", 1), look("c3", 7, 8, "/b", 1))
    assert not good(unknown, look("c3", 5, 6, "/a", 2), look("c3", 7, 8, "/b", 1))
    elsewhere: GroupOperation = Operation("c1", At("/b", Write(2, b"x")), 4, 5, Wrote(2), B)
    assert not good(elsewhere, Operation("c2", MOVE, 6, keys=BOTH), look("c3", 7, 8, "/a", 2))


def test_a_failure_that_may_have_a_reason_is_believed() -> None:
    """A node whose instance nobody was told may or may not be the one that a guard wants."""
    model = model_of(BOTH)
    state: GroupState[NodeState] = (NodeState(0, 1, b"", exact=False), NodeState(2, 1))
    assert model.step(state, MOVE, Failed()) == state
    assert model.step(state, MOVE, MOVED) == (NodeState(1, 2, b"1"), NodeState(2, 2, b"1"))
    assert model.step((NodeState(1, 1), NodeState(2, 1)), MOVE, Failed()) is None


def test_a_result_for_each_call() -> None:
    """Too few, or of another kind: the recording is wrong."""
    model = model_of(BOTH)
    state = NodeState(1, 1), NodeState(2, 1)
    with pytest.raises(ValueError, match="shorter"):
        model.step(state, MOVE, Results((Wrote(2),)))
    with pytest.raises(AssertionError):
        model.step(state, MOVE, Said.GONE)
    with pytest.raises(AssertionError):
        model.step(state, At("/a", Look()), Failed())


def test_guards_that_held_teach() -> None:
    """Who was told which instance is there was told it for everybody."""
    made: GroupOperation = Operation("c4", At("/c", Create(b"")), 0, keys=("/c",))
    guards = (Guard[NodeCall, NodeResult]("/c", Look(), View(9, 1)),)
    call = NodeTransaction(guards, (At("/a", Write(1, b"1")),))
    done: GroupOperation = Operation("c2", call, 4, 5, Results((Wrote(2),)), ("/a", "/c"))
    for instance, right in ((9, True), (8, False)):
        seen: GroupOperation = Operation("c3", At("/c", Look()), 6, 7, View(instance, 1), ("/c",))
        history: History[NodeGroupCall, NodeGroupResult] = History([MADE[0], made, done, seen])
        assert linearizability.check(history, model_of(("/a", "/c"))).passed is right


def test_single_calls_join_a_group() -> None:
    """A history in which only transactions name several nodes; everything else of it stays as it was."""
    plain: Operation[NodeCall | NodeTransaction, NodeGroupResult] = Operation("c1", Look(), 4, 5, Said.ABSENT, A, saw=3)
    moved: Operation[NodeCall | NodeTransaction, NodeGroupResult] = Operation("c2", MOVE, 6, 7, MOVED, BOTH, made=9)
    first, second = as_group(History([plain, moved])).operations
    assert first == Operation("c1", At("/a", Look()), 4, 5, Said.ABSENT, A, saw=3)
    assert second == Operation("c2", MOVE, 6, 7, MOVED, BOTH, made=9)


def test_who_only_looks_is_known() -> None:
    """A transaction that failed, or only looked; and a member's own."""
    model = model_of(BOTH)
    looks = NodeTransaction((), (At("/a", Look()), At("/b", Look())))
    assert model.observes(MOVE, Failed())
    assert model.observes(looks, Results((Said.ABSENT, Said.ABSENT)))
    assert not model.observes(MOVE, MOVED)
    assert model.observes(At("/a", Look()), Said.ABSENT) and not model.observes(At("/a", Create()), Made(1))
    assert model.show(model.initial()) == "; ".join(f"{key}: no node, the last was instance 0" for key in BOTH)
