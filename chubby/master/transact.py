"""Transact: the one mutating command, offered to clients (DESIGN §4; Paxos Made Live, MultiOp).

Guards and operations are the client's own; nothing is added. Which branch runs is decided when it is applied, so both
count for what is invalidated. If the branch that would run now only reads, the call is answered as a read: behind
proposals in flight that touch what its guards look at, and without disturbing any cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from chubby.errors import BadPath, ErrorCode, Failure
from chubby.master.desk import Desk, Plan, Settled
from chubby.master.footprints import keys_of_operations, node_key
from chubby.master.moment import Moment
from chubby.master.pending import Footprint, Rank, Token
from chubby.master.permissions import denied_transaction
from chubby.master.session import Session
from chubby.namespace.commands import Transaction
from chubby.namespace.outcomes import Reply
from chubby.namespace.outcomes import Transacted as TransactedReply
from chubby.paths import validate
from chubby.types.calls import Transact
from chubby.types.limits import TRANSACTION_LIMIT
from chubby.types.results import Transacted
from chubby.types.stream import CacheKey
from chubby.types.transaction import (
    Create,
    Operation,
    OperationResult,
    Read,
    TokenIs,
    TransactionResult,
)

_SEQUENCE_DIGITS = "0" * 10


def footprint(desk: Desk, session: Session, call: Transact) -> Footprint:
    """What it looks at and what it may change, in either branch."""
    if _malformed(call) is not None:
        return Footprint(Rank.READ)
    keys = _keys(desk, call)
    rank = Rank.CONDITIONAL if keys else Rank.READ
    return Footprint(rank, 0, tuple(dict.fromkeys((*_looked_at(call), *keys))))


def transact(desk: Desk, session: Session, call: Transact, at: Moment) -> Plan | Settled:
    """Carry out `if all guards: then, else otherwise`."""
    refusal = _malformed(call) or denied_transaction(
        desk.machine, session.principal, call.guards, (call.then, call.otherwise)
    )
    if refusal is not None:
        return Settled(refusal)
    failed = desk.machine.failing_guard(call.guards)
    branch = call.then if failed is None else call.otherwise
    if all(isinstance(operation, Read) for operation in branch):
        return Settled(Transacted(_read(desk, failed, branch)), behind=_looked_at(call))
    return Plan(Transaction(call.guards, call.then, call.otherwise), _keys(desk, call))


def settle_transact(desk: Desk, session: Session, call: Transact, reply: Reply) -> Settled:
    """The result, its failures included."""
    if isinstance(reply, Failure):
        return Settled(reply)
    assert isinstance(reply, TransactedReply), "a transaction was asked for"
    return Settled(Transacted(reply.result))


def _malformed(call: Transact) -> Failure | None:
    size = len(call.guards) + len(call.then) + len(call.otherwise)
    if size > TRANSACTION_LIMIT:
        message = f"the transaction has {size} guards and operations, the limit is {TRANSACTION_LIMIT}"
        return Failure(ErrorCode.TOO_LARGE, message)
    try:
        for guard in call.guards:
            validate(guard.path)
        for operation in (*call.then, *call.otherwise):
            sequential = isinstance(operation, Create) and operation.sequential
            validate(operation.path + _SEQUENCE_DIGITS if sequential else operation.path)
    except BadPath as error:
        return Failure.of(error)
    return None


def _keys(desk: Desk, call: Transact) -> tuple[CacheKey, ...]:
    return keys_of_operations(desk.machine, desk.departures, (*call.then, *call.otherwise))


def _looked_at(call: Transact) -> tuple[Token, ...]:
    """What decides which branch runs: nodes, and locks where a guard asks for a token."""
    tokens: list[Token] = []
    for guard in call.guards:
        tokens.append(node_key(guard.path))
        if isinstance(guard, TokenIs):
            tokens.append(guard.path)
    for operation in (*call.then, *call.otherwise):
        if isinstance(operation, Read):
            tokens.append(node_key(operation.path))
    return tuple(dict.fromkeys(tokens))


def _read(desk: Desk, failed: int | None, branch: Sequence[Operation]) -> TransactionResult:
    """What the machine would answer for a branch that only reads."""
    machine = desk.machine
    results: list[OperationResult] = []
    for index, operation in enumerate(branch):
        node = machine.node(operation.path)
        if node is None:
            missing = Failure(ErrorCode.NO_NODE, f"{operation.path} is not there")
            return TransactionResult(failed is None, machine.revision, (), failed, index, missing)
        results.append(OperationResult(operation.path, node.stat, node.contents))
    return TransactionResult(failed is None, machine.revision, tuple(results), failed)
