"""What a history is made of, and parts of one: what one node's checker needs, what may be believed without bounded
clocks,
and transactions as the checkers know them.
"""

from __future__ import annotations

from chubby.types import calls
from chubby.types.transaction import GenerationIs
from chubby.types.transaction import Write as WriteNode
from tests.checking import nodes
from tests.checking.history import History, Operation, Unknown
from tests.checking.locks import LockCall, LockModel, LockResult
from tests.checking.nodes import Look, NodeCall, NodeModel, NodeResult, View
from tests.checking.transactions import At, Failed, Guard, Results, Transaction

NodeTransaction = Transaction[NodeCall, NodeResult]
AnyCall = NodeCall | NodeTransaction
AnyResult = NodeResult | Results[NodeResult] | Failed


def changes_of_nodes(history: History[AnyCall, AnyResult]) -> History[AnyCall, AnyResult]:
    """What changed something, or may have."""
    model = NodeModel()

    def observes(each: Operation[AnyCall, AnyResult]) -> bool:
        if isinstance(each.call, Transaction) or isinstance(each.result, Results | Failed | Unknown):
            return isinstance(each.result, Failed)
        return model.observes(each.call, each.result)

    return History([each for each in history.operations if not observes(each)])


def changes_of_locks(history: History[LockCall, LockResult]) -> History[LockCall, LockResult]:
    """What took or gave back a lock, or may have."""
    model = LockModel()
    return History(
        [
            each
            for each in history.operations
            if isinstance(each.result, Unknown) or not model.observes(each.call, each.result)
        ]
    )


def without_transactions(history: History[AnyCall, AnyResult]) -> History[NodeCall, NodeResult] | None:
    """The same history, if it is that of one node by itself; else None."""
    operations: list[Operation[NodeCall, NodeResult]] = []
    for each in history.operations:
        call, result = each.call, each.result
        if isinstance(call, Transaction) or isinstance(result, Results | Failed):
            return None
        operations.append(
            Operation(each.client, call, each.invoked, each.returned, result, each.keys, each.made, each.saw)
        )
    return History(operations)


def transaction_of(call: calls.Transact) -> NodeTransaction:
    """A transaction as the checkers know it: generations that must be right, then contents."""
    guards: list[Guard[NodeCall, NodeResult]] = []
    then: list[At[NodeCall]] = []
    assert not call.otherwise, "no simulated client makes one with an else"
    for guard in call.guards:
        assert isinstance(guard, GenerationIs), "no simulated client asks for anything else"
        guards.append(Guard(guard.path, Look(), View(None, guard.generation)))
    for operation in call.then:
        assert isinstance(operation, WriteNode), "no simulated client does anything else"
        then.append(At(operation.path, nodes.Write(None, operation.contents)))
    return Transaction(tuple(guards), tuple(then))
