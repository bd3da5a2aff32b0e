"""Clients' requests: once and only once (DESIGN §4 Sessions; §4 Locks).

A request goes through four gates before it does anything:

| gate                                     | else                                          |
|------------------------------------------|-----------------------------------------------|
| its session lives                        | void, SESSION_EXPIRED                         |
| its number is above what is acknowledged | void, CANCELLED: nobody waits for the answer  |
| its number is not in the reply table     | repeated: the answer it had                   |
| the reply table has room                 | void, OVERLOADED: acknowledge, then try again |

What the client acknowledges counts from the second gate on, also if the request itself is void or repeated.
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import AcquireLock, Action, CancelAcquire, CloseHandle, ReleaseLock, Request, Transaction
from chubby.namespace.draft import Draft
from chubby.namespace.facts import Facts
from chubby.namespace.locks import NO_STANDING
from chubby.namespace.outcomes import Applied, LockAnswer, LockStanding, Reply
from chubby.namespace.sessions import LockRequested
from chubby.namespace.state import State
from chubby.namespace.transactions import transact
from chubby.namespace.wording import quoted
from chubby.types.identity import CallNumber, SessionId
from chubby.types.limits import LOCK_DELAY_MAXIMUM, REPLY_TABLE_LIMIT
from chubby.types.nodes import LockOwner

__all__ = ["handle_request", "stored_reply"]


def handle_request(state: State, request: Request, time_ms: int, facts: Facts) -> Reply:
    """Carry out a client's request, or find that it was carried out, or that it must not be."""
    session, number = facts.session, facts.number = request.session, request.number
    sessions = state.sessions
    if sessions.get(session) is None:
        return facts.refuse(ErrorCode.SESSION_EXPIRED, f"session {session} is no more")
    if number <= sessions.acknowledge(session, request.acknowledged).acknowledged:
        return facts.refuse(ErrorCode.CANCELLED, f"call {number} is acknowledged")
    stored = stored_reply(state, session, number)
    if stored is not None:
        facts.repeated = True
        return stored
    if not sessions.has_room(session):
        return facts.refuse(
            ErrorCode.OVERLOADED, f"{REPLY_TABLE_LIMIT} replies to session {session} are not acknowledged"
        )
    action = request.action
    reply = _perform(state, session, action, time_ms, facts)
    if isinstance(action, AcquireLock) and isinstance(reply, LockAnswer) and reply.standing is LockStanding.WAITING:
        sessions.store(session, number, LockRequested(action.handle, action.path, action.instance))
    else:
        sessions.store(session, number, reply)
    return reply


def stored_reply(state: State, session: SessionId, number: CallNumber) -> Reply | None:
    """The answer to a call that was carried out and is not acknowledged; None for any other call."""
    stored = state.sessions.stored(session, number)
    if not isinstance(stored, LockRequested):
        return stored
    if not _is_there(state, stored.path, stored.instance):
        return _invalid(stored.path)
    return state.locks.standing(LockOwner(session, stored.handle), stored.path)


def _perform(state: State, session: SessionId, action: Action, time_ms: int, facts: Facts) -> Reply:
    if isinstance(action, Transaction):
        return transact(state, session, action, time_ms, facts)
    if action.handle <= 0:
        return Failure(ErrorCode.BAD_ARGUMENT, "handles are numbered from 1")
    owner = LockOwner(session, action.handle)
    if isinstance(action, CloseHandle):
        return _close(state, owner, action, facts)
    if not _is_there(state, action.path, action.instance):
        return _invalid(action.path)
    match action:
        case AcquireLock():
            return _acquire(state, owner, action, facts)
        case CancelAcquire():
            return _cancel(state, owner, action, facts)
        case ReleaseLock():
            return _release(state, owner, action, facts)


def _acquire(state: State, owner: LockOwner, action: AcquireLock, facts: Facts) -> Reply:
    if not 0 <= action.delay <= LOCK_DELAY_MAXIMUM:
        return Failure(ErrorCode.BAD_ARGUMENT, f"a lock-delay is from 0 to {LOCK_DELAY_MAXIMUM} ns")
    return state.locks.acquire(owner, action.path, action.mode, action.wait, action.delay, facts)


def _cancel(state: State, owner: LockOwner, action: CancelAcquire, facts: Facts) -> Reply:
    """Leave the queue; what was granted already stays held, and the answer says so."""
    standing = state.locks.standing(owner, action.path)
    if standing.standing is not LockStanding.WAITING:
        return standing
    state.locks.withdraw(owner, action.path, died=False)
    state.locks.settle(action.path, facts)
    return NO_STANDING


def _release(state: State, owner: LockOwner, action: ReleaseLock, facts: Facts) -> Reply:
    if state.locks.standing(owner, action.path).standing is not LockStanding.HELD:
        return Failure(ErrorCode.LOCK_NOT_HELD, f"the lock of {quoted(action.path)} is not held by this handle")
    state.locks.withdraw(owner, action.path, died=False)
    state.locks.settle(action.path, facts)
    return NO_STANDING


def _close(state: State, owner: LockOwner, action: CloseHandle, facts: Facts) -> Reply:
    """What the handle holds, awaits and keeps alive is given up, in one step: a node that goes grants no lock."""
    node = state.tree.get(action.path)
    if node is not None and node.instance == action.instance:
        state.locks.withdraw(owner, action.path, died=False)
        if state.tree.has_open(action.path, owner):
            draft = Draft(state.tree, state.register, 0)
            draft.leave(action.path, node, owner)
            draft.reap(action.path)
            state.commit(draft, facts)
        state.locks.settle(action.path, facts)
    return Applied(state.register.revision)


def _is_there(state: State, path: str, instance: int) -> bool:
    node = state.tree.get(path)
    return node is not None and node.instance == instance


def _invalid(path: str) -> Failure:
    return Failure(ErrorCode.HANDLE_INVALID, f"the node {quoted(path)} of this handle is deleted")
