"""Transactions: guards, one of two branches, all or nothing (DESIGN §4; *Paxos Made Live*, MultiOp).

1. Find the first guard that does not hold. None: the branch is `then`; else it is `otherwise`.
2. Perform the branch on a draft. If an operation fails, throw the draft away: its failure is the result.
3. Commit the draft. The revision grows by one if a change was made that clients can see.
"""

from __future__ import annotations

from collections.abc import Sequence

from chubby.errors import ChubbyError, ErrorCode, Failure
from chubby.namespace.commands import Transaction
from chubby.namespace.draft import Draft
from chubby.namespace.facts import Facts
from chubby.namespace.operations import Branch
from chubby.namespace.outcomes import Reply, Transacted
from chubby.namespace.state import State
from chubby.types.identity import SessionId
from chubby.types.limits import TRANSACTION_LIMIT
from chubby.types.transaction import (
    Absent,
    AclGenerationIs,
    ContentIs,
    Exists,
    GenerationIs,
    Guard,
    OperationResult,
    TokenIs,
    TransactionResult,
)

__all__ = ["failing_guard", "transact"]


def transact(state: State, session: SessionId, transaction: Transaction, time_ms: int, facts: Facts) -> Reply:
    """Carry out a transaction of a live session. Its failures are part of the result, unless it is too large at all."""
    size = len(transaction.guards) + len(transaction.then) + len(transaction.otherwise)
    if size > TRANSACTION_LIMIT:
        return Failure(
            ErrorCode.TOO_LARGE, f"the transaction has {size} guards and operations, the limit is {TRANSACTION_LIMIT}"
        )
    register = state.register
    failed = failing_guard(state, transaction.guards)
    operations = transaction.then if failed is None else transaction.otherwise
    draft = Draft(state.tree, register, time_ms)
    branch = Branch(draft, register.limits, session)
    results: list[OperationResult] = []
    for index, operation in enumerate(operations):
        try:
            results.append(branch.perform(operation))
        except ChubbyError as error:
            return Transacted(
                TransactionResult(failed is None, register.revision, (), failed, index, Failure.of(error))
            )
    branch.finish()
    assert len(results) == len(operations), "each operation has a result"
    state.commit(draft, facts)
    return Transacted(TransactionResult(failed is None, register.revision, tuple(results), failed))


def failing_guard(state: State, guards: Sequence[Guard]) -> int | None:
    """The index of the first guard that does not hold; None if all hold."""
    for index, guard in enumerate(guards):
        if not _holds(state, guard):
            return index
    return None


def _holds(state: State, guard: Guard) -> bool:
    """Whether the guard holds now. A path that is not legal names no node."""
    node = state.tree.get(guard.path)
    if node is None:
        return isinstance(guard, Absent)
    match guard:
        case Absent():
            return False
        case Exists():
            return guard.instance is None or guard.instance == node.instance
        case GenerationIs():
            return guard.generation == node.stat.content_generation
        case AclGenerationIs():
            return guard.generation == node.stat.acl_generation
        case ContentIs():
            return guard.contents == node.contents
        case TokenIs():
            return state.locks.is_held_under(guard.path, guard.token)
