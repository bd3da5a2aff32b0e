"""Calls the master has not answered yet, and the order among those of one session (DESIGN §5, last line).

**What is promised.** Calls of one session may be in flight together. With respect to its own earlier calls,

- a read, or a change on a condition, is carried out after every earlier change of the same session that touches the
  same cache key (or the same lock) has been applied: it sees them;
- changes of the session that touch a common key are applied in the order in which they arrived;
- a call through a handle comes after the Open or Close of that handle; a Close after every earlier call through it,
  except an Acquire that waits for its lock, which it ends; BIND (SetSequencer) counts as an OPEN for what follows;
- nothing else: reads may overtake writes to other nodes. And an answer that was given like a read (a condition that did
  not hold, say) leaves no trace in the log: if it is lost with its stream, the repeat is worked out anew, later.

A call occupies *tokens*: the cache keys it reads or changes, the path of the lock it concerns, the number of its
handle. Its `Rank` says which earlier calls on a common token it waits for:

| rank        | waits on keys and locks for | waits on its handle for |
|-------------|-----------------------------|-------------------------|
| READ        | earlier changes             | earlier OPEN, CLOSE     |
| CONDITIONAL | earlier changes             | earlier OPEN, CLOSE     |
| CHANGE      | earlier changes that are    | earlier OPEN, CLOSE     |
|             | not in the lanes yet        |                         |
| BIND        | earlier changes             | earlier OPEN, CLOSE     |
| OPEN        | earlier changes             | –                       |
| CLOSE       | as CHANGE                   | every earlier call      |
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from chubby.types.calls import Call
from chubby.types.identity import CallNumber, HandleNumber
from chubby.types.stream import CacheKey
from chubby.types.time import Instant

if TYPE_CHECKING:
    from chubby.master.session import Session

Token = CacheKey | str
"""What calls meet at: a cache key, or the path of a lock."""


class Rank(enum.Enum):
    """How a call stands to earlier ones of its session."""

    READ = "read"
    CONDITIONAL = "conditional"
    CHANGE = "change"
    BIND = "bind"
    OPEN = "open"
    CLOSE = "close"


_CHANGES: Final = frozenset({Rank.CONDITIONAL, Rank.CHANGE, Rank.OPEN, Rank.CLOSE})
_HANDLE_MAKERS: Final = frozenset({Rank.BIND, Rank.OPEN, Rank.CLOSE})
_WAIT_ON_TOKENS: Final = frozenset({Rank.READ, Rank.CONDITIONAL, Rank.BIND, Rank.OPEN})
_QUEUE_UP: Final = frozenset({Rank.CHANGE, Rank.CLOSE})
"""Once an earlier change has taken its place in the lanes (see `pipeline`), the lanes keep the order."""
_WAIT_ON_HANDLE: Final = frozenset({Rank.READ, Rank.CONDITIONAL, Rank.CHANGE, Rank.BIND})


class Footprint(msgspec.Struct, frozen=True):
    """What a call occupies. `handle` 0: none. Locks are told apart from cache keys by their type."""

    rank: Rank
    handle: HandleNumber = 0
    tokens: tuple[Token, ...] = ()


class Stage(enum.Enum):
    """How far a call has come."""

    PARKED = "parked"
    """Waits for the master lease, for an earlier call, or for proposals in flight."""
    WORKING = "working"
    """Its command waits for invalidations or its turn."""
    PROPOSED = "proposed"
    """Its command is on its way through the log: it will be answered when that is applied."""
    WAITING = "waiting"
    """Its command was applied and it waits for a lock; or the shell changes the membership."""


class PendingCall:
    """One call. `stream` is the one it last came on: its answer goes nowhere else. `order` counts arrivals."""

    __slots__ = (
        "acknowledged",
        "arrived",
        "caching",
        "call",
        "deadline",
        "followers",
        "footprint",
        "judged",
        "number",
        "order",
        "session",
        "stage",
        "stream",
    )

    def __init__(
        self,
        session: Session,
        number: CallNumber,
        call: Call,
        *,
        acknowledged: CallNumber,
        caching: bool,
        arrived: Instant,
        deadline: Instant,
        order: int,
    ) -> None:
        """A call that has just arrived on the session's present stream."""
        self.session = session
        self.stream = session.stream
        self.number = number
        self.call = call
        self.acknowledged = acknowledged
        self.caching = caching
        self.arrived = arrived
        self.deadline = deadline
        self.order = order
        self.stage = Stage.PARKED
        self.judged = False
        self.footprint = Footprint(Rank.CHANGE)
        self.followers: list[PendingCall] = []


class Order:
    """The calls of one session that later ones may have to wait for, by what they occupy, each in order of arrival."""

    __slots__ = ("_changes", "_makers", "_queueing", "_users")

    def __init__(self) -> None:
        """No call is pending."""
        self._changes: dict[Token, dict[PendingCall, None]] = {}
        self._queueing: dict[Token, dict[PendingCall, None]] = {}
        self._makers: dict[HandleNumber, dict[PendingCall, None]] = {}
        self._users: dict[HandleNumber, dict[PendingCall, None]] = {}

    def enter(self, pending: PendingCall) -> None:
        """The call begins to occupy its footprint."""
        footprint = pending.footprint
        if footprint.rank in _CHANGES:
            for token in footprint.tokens:
                self._changes.setdefault(token, {})[pending] = None
                self._queueing.setdefault(token, {})[pending] = None
        if footprint.handle:
            self._users.setdefault(footprint.handle, {})[pending] = None
            if footprint.rank in _HANDLE_MAKERS:
                self._makers.setdefault(footprint.handle, {})[pending] = None

    def leave(self, pending: PendingCall) -> list[PendingCall]:
        """The call is answered, or waits for a lock: return those who waited for it, in order. Idempotent."""
        self._vacate(pending)
        followers, pending.followers = pending.followers, []
        return followers

    def admit(self, pending: PendingCall) -> list[PendingCall]:
        """The change has its place in the lanes: return those who waited for it; some have to go on waiting."""
        self._leave_queue(pending)
        followers, pending.followers = pending.followers, []
        return followers

    def maker_of(self, handle: HandleNumber) -> Call | None:
        """The earliest pending call that makes, binds or closes the handle."""
        return next((pending.call for pending in self._makers.get(handle, ())), None)

    def move(self, pending: PendingCall, footprint: Footprint) -> None:
        """The call occupies something else, now that more is known; those who wait for it go on waiting."""
        self._vacate(pending)
        pending.footprint = footprint
        self.enter(pending)

    def _vacate(self, pending: PendingCall) -> None:
        for token in pending.footprint.tokens:
            _discard(self._changes, token, pending)
        self._leave_queue(pending)
        _discard(self._users, pending.footprint.handle, pending)
        _discard(self._makers, pending.footprint.handle, pending)

    def _leave_queue(self, pending: PendingCall) -> None:
        for token in pending.footprint.tokens:
            _discard(self._queueing, token, pending)

    def blocker(self, pending: PendingCall) -> PendingCall | None:
        """The call that this one has to wait for first, if any."""
        footprint = pending.footprint
        if footprint.rank in _WAIT_ON_TOKENS:
            for token in footprint.tokens:
                first = _first_before(self._changes, token, pending)
                if first is not None:
                    return first
        if footprint.rank in _QUEUE_UP:
            for token in footprint.tokens:
                first = _first_before(self._queueing, token, pending)
                if first is not None:
                    return first
        if footprint.rank in _WAIT_ON_HANDLE:
            return _first_before(self._makers, footprint.handle, pending)
        if footprint.rank is Rank.CLOSE:
            return _first_before(self._users, footprint.handle, pending)
        return None


_Key = TypeVar("_Key", Token, HandleNumber)
_Index = dict[_Key, dict[PendingCall, None]]


def _discard(index: _Index[_Key], key: _Key, pending: PendingCall) -> None:
    calls = index.get(key)
    if calls is not None:
        calls.pop(pending, None)
        if not calls:
            del index[key]


def _first_before(index: _Index[_Key], key: _Key, pending: PendingCall) -> PendingCall | None:
    """A call at `key` that arrived before `pending`; nearly always the first one looked at."""
    return next((call for call in index.get(key, ()) if call.order < pending.order), None)
