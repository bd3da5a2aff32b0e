"""One lock as clients see it: held by one exclusively, or by several together; every hold period has a token, greater
than all before (DESIGN §4 Locks, Token).

Owners are handles of sessions. A session that ends gives back what it holds: whoever records a history adds a `Release`
of unknown outcome for each owner whose session may have ended. Queues and lock-delay are not in this model: a lock that
is free may be refused for their sake, so refusals of that kind are recorded as failures.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

import msgspec

from tests.checking.history import UNKNOWN, Unknown


class Hold(enum.IntEnum):
    """How a lock is held."""

    FREE = 0
    EXCLUSIVE = 1
    SHARED = 2


class Acquire(msgspec.Struct, frozen=True, gc=False):
    """Take the lock, however long that takes: answered with `Granted`. Again by a holder: the same once more."""

    owner: str
    hold: Hold = Hold.EXCLUSIVE


class TryAcquire(msgspec.Struct, frozen=True, gc=False):
    """Take the lock or be told CONFLICT."""

    owner: str
    hold: Hold = Hold.EXCLUSIVE


class Confirm(msgspec.Struct, frozen=True, gc=False):
    """Ask whether one holds it: answered with `Granted` or NOT_HELD."""

    owner: str


class Release(msgspec.Struct, frozen=True, gc=False):
    """Give it back: answered with RELEASED or NOT_HELD."""

    owner: str


class Validate(msgspec.Struct, frozen=True, gc=False):
    """Ask whether the hold period of a token lasts: answered with VALID or INVALID."""

    token: int


LockCall = Acquire | TryAcquire | Confirm | Release | Validate


class Granted(msgspec.Struct, frozen=True, gc=False):
    """The owner holds the lock in the hold period of this token."""

    token: int


class LockSaid(enum.Enum):
    """Answers without a number."""

    CONFLICT = "conflict"
    NOT_HELD = "not held"
    RELEASED = "released"
    VALID = "valid"
    INVALID = "invalid"

    def __repr__(self) -> str:
        return self.value


LockResult = Granted | LockSaid


class LockState(NamedTuple):
    """`holders` in order of names. `token` is that of the hold period, or of the last one there was; not `exact`: it is
    greater than that.
    """

    hold: Hold = Hold.FREE
    holders: tuple[str, ...] = ()
    token: int = 0
    exact: bool = True


class LockModel:
    """One lock."""

    def initial(self) -> LockState:
        """Free, and never held."""
        return LockState()

    def step(self, state: LockState, call: LockCall, result: LockResult | Unknown) -> LockState | None:
        """See `Model`."""
        match call:
            case Acquire(owner, hold) | TryAcquire(owner, hold):
                if result is LockSaid.CONFLICT:
                    return state if isinstance(call, TryAcquire) and not _open_to(state, owner, hold) else None
                return _take(state, owner, hold, result)
            case Confirm(owner):
                if result is LockSaid.NOT_HELD:
                    return state if owner not in state.holders else None
                return _known_as(state, result) if owner in state.holders else None
            case Release(owner):
                if owner not in state.holders:
                    return state if result is LockSaid.NOT_HELD else None
                return _without(state, owner) if result in (LockSaid.RELEASED, UNKNOWN) else None
            case Validate(token):
                return _validate(state, token, result)

    def observes(self, call: LockCall, result: LockResult) -> bool:
        """See `Model`."""
        return isinstance(call, Confirm | Validate) or result in (LockSaid.CONFLICT, LockSaid.NOT_HELD)

    def show(self, state: LockState) -> str:
        """See `Model`."""
        token = f"token {'' if state.exact else 'above '}{state.token}"
        return (
            f"{state.hold.name.lower()} {' '.join(state.holders)}, {token}" if state.holders else f"free, last {token}"
        )


def _open_to(state: LockState, owner: str, hold: Hold) -> bool:
    """Whether this owner can hold it so at once."""
    return state.hold is Hold.FREE or owner in state.holders or state.hold is hold is Hold.SHARED


def _take(state: LockState, owner: str, hold: Hold, result: LockResult | Unknown) -> LockState | None:
    if not _open_to(state, owner, hold):
        return None
    if state.hold is Hold.FREE:
        if isinstance(result, Granted):
            return LockState(hold, (owner,), result.token) if result.token > state.token else None
        return LockState(hold, (owner,), state.token, exact=False) if result is UNKNOWN else None
    if state.hold is not hold:
        return None
    if owner not in state.holders:
        state = state._replace(holders=tuple(sorted((*state.holders, owner))))
    return _known_as(state, result)


def _known_as(state: LockState, result: LockResult | Unknown) -> LockState | None:
    """The state, if its token can be the one of the result: from then on exactly that."""
    if result is UNKNOWN:
        return state
    if not isinstance(result, Granted):
        return None
    if state.exact:
        return state if state.token == result.token else None
    return state._replace(token=result.token, exact=True) if result.token > state.token else None


def _without(state: LockState, owner: str) -> LockState:
    left = tuple(holder for holder in state.holders if holder != owner)
    return state._replace(hold=state.hold if left else Hold.FREE, holders=left)


def _validate(state: LockState, token: int, result: LockResult | Unknown) -> LockState | None:
    if result is UNKNOWN:
        return state
    here = _known_as(state, Granted(token)) if state.holders else None
    if result is LockSaid.VALID:
        return here
    certain = here is not None and state.exact
    return state if result is LockSaid.INVALID and not certain else None
