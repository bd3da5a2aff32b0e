"""One handler for each kind of command, and the rule before them all: the epoch (DESIGN §3 Epoch, §4).

A command of another epoch than the one that is open is void, whatever it is; BeginEpoch alone opens its own. So a
master that was deposed without knowing can change nothing any more, not even expire a session.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import (
    BeginEpoch,
    Body,
    CheckDigest,
    CloseSession,
    Command,
    EndLockDelay,
    ExpireSession,
    Limits,
    OpenSession,
    RaiseCaps,
    Request,
    RotateKey,
    SetLimits,
    SetVersion,
)
from chubby.namespace.draft import Draft
from chubby.namespace.facts import Facts
from chubby.namespace.outcomes import Applied, Reply, SessionMade
from chubby.namespace.requests import handle_request
from chubby.namespace.sessions import SessionRow
from chubby.namespace.state import State
from chubby.namespace.wording import quoted
from chubby.types.identity import SessionId

__all__ = ["handle"]

_KEY_LIMIT: Final = 64


def handle(state: State, command: Command, facts: Facts) -> Reply:
    """Carry out a command of the slot that the register names as applied."""
    body, register = command.body, state.register
    if isinstance(body, BeginEpoch):
        assert register.epoch <= register.applied, "an epoch is the slot of its first command"
        register.epoch = register.applied
        register.master = body.master
        return Applied(register.revision)
    if command.epoch != register.epoch:
        return facts.refuse(
            ErrorCode.NOT_MASTER, f"proposed under epoch {command.epoch}, which ended: now it is {register.epoch}"
        )
    return _handle_body(state, body, command.time_ms, facts)


def _handle_body(state: State, body: Body, time_ms: int, facts: Facts) -> Reply:
    match body:
        case Request():
            return handle_request(state, body, time_ms, facts)
        case OpenSession():
            return _open_session(state, body, facts)
        case CloseSession():
            return _end_session(state, body.session, facts, died=False)
        case ExpireSession():
            return _end_session(state, body.session, facts, died=True)
        case EndLockDelay():
            return _end_lock_delay(state, body, facts)
        case RaiseCaps():
            return _raise_caps(state, body)
        case SetLimits():
            return _set_limits(state, body)
        case RotateKey():
            return _rotate_key(state, body)
        case SetVersion():
            return _set_version(state, body)
        case CheckDigest() | BeginEpoch():
            return Applied(state.register.revision)


def _open_session(state: State, body: OpenSession, facts: Facts) -> Reply:
    """A new session, or the one that this command made when it was proposed before."""
    sessions, limit = state.sessions, state.register.limits.sessions
    found = sessions.find(body.principal, body.nonce)
    if found is not None:
        facts.session, facts.repeated = found, True
        return SessionMade(found)
    if limit and len(sessions.table) >= limit:
        return Failure(ErrorCode.QUOTA_EXCEEDED, f"the quota of sessions in the cell is {limit}, and all are open")
    facts.session = sessions.open(SessionRow(body.principal, body.caching, body.nonce))
    return SessionMade(facts.session)


def _end_session(state: State, session: SessionId, facts: Facts, *, died: bool) -> Reply:
    """The session is no more: first it lets go of everything, then others are granted what became free.

    In this order nobody is granted the lock of an ephemeral that the same command deletes.
    """
    facts.session = session
    if state.sessions.get(session) is None:
        return facts.refuse(ErrorCode.SESSION_EXPIRED, f"session {session} is no more")
    unsettled = state.locks.withdraw_session(session, died=died)
    opened = state.tree.opened_by(session)
    if opened:
        draft = Draft(state.tree, state.register, 0)
        for path, owner in opened:
            draft.leave(path, draft.require(path), owner)
        for path, _ in opened:
            draft.reap(path)
        state.commit(draft, facts)
    for path in unsettled:
        state.locks.settle(path, facts)
    state.sessions.end(session)
    assert not state.tree.opened_count(session) and not state.locks.book.count_of(session), "it has let go of all"
    facts.ended.append(session)
    return Applied(state.register.revision)


def _end_lock_delay(state: State, body: EndLockDelay, facts: Facts) -> Reply:
    if state.locks.end_delay(body.path, body.instance, body.generation, facts):
        return Applied(state.register.revision)
    return facts.refuse(
        ErrorCode.GENERATION_MISMATCH,
        f"the lock of {quoted(body.path)} is not in lock-delay after generation {body.generation}",
    )


def _raise_caps(state: State, body: RaiseCaps) -> Reply:
    if body.caps.session_lease <= 0 or body.caps.cache_lease < 0:
        return Failure(ErrorCode.BAD_ARGUMENT, "a lease cap is positive, that of cache leases may be 0")
    state.register.caps = body.caps
    return Applied(state.register.revision)


def _set_limits(state: State, body: SetLimits) -> Reply:
    """New limits. What is beyond one already stays; only the history is cut at once."""
    if min(msgspec.structs.astuple(body.limits)) < 0:
        return Failure(ErrorCode.BAD_ARGUMENT, f"a limit is negative: one of {', '.join(Limits.__struct_fields__)}")
    state.register.limits = body.limits
    state.history.trim()
    return Applied(state.register.revision)


def _rotate_key(state: State, body: RotateKey) -> Reply:
    """A new current key; the one before is kept, so that what it signed is still recognised."""
    if not 0 < len(body.key) <= _KEY_LIMIT:
        return Failure(ErrorCode.BAD_ARGUMENT, f"a key has from 1 to {_KEY_LIMIT} bytes")
    assert 1 <= len(state.register.keys) <= 2, "a current key, and the one before"
    current = state.register.keys[0]
    if body.key != current:  # a repeat must not push the previous key out
        state.register.keys = (body.key, current)
    return Applied(state.register.revision)


def _set_version(state: State, body: SetVersion) -> Reply:
    """Up or down one release. The replica sees to it that it runs only under versions it knows."""
    current = state.register.version
    if body.version < 1 or abs(body.version - current) > 1:
        return Failure(ErrorCode.BAD_ARGUMENT, f"version {current} changes by one at a time, not to {body.version}")
    state.register.version = body.version
    return Applied(state.register.revision)
