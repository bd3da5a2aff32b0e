"""What travels on a session's one bidirectional stream (DESIGN §5 KeepAlive, Events; §6).

The first frame of a stream is `OpenSession` or `Resume`; it is answered by `SessionOpened`, `Resumed`, `Redirect` or
`Refused`. After that:

    client → master            master → client
    CallFrame                  Reply            (exactly one per call, any order)
    KeepAlive                  KeepAliveReply   (at once)
    Acknowledge(push)          Push             (numbered from 1 within the stream, acknowledged in order)
    CloseSession               SessionClosed

A `Push` carries invalidations (the client drops those cache keys, then acknowledges) and events (with the cursor to
resume from). Because replies and pushes share one ordered stream, a reply never overtakes an invalidation sent before
it.
"""

from __future__ import annotations

import enum

import msgspec

from chubby.errors import Failure
from chubby.types.calls import Call
from chubby.types.events import Event, EventMask
from chubby.types.identity import (
    CallNumber,
    CellId,
    Epoch,
    HandleNumber,
    Revision,
    SessionId,
    StreamNumber,
    WatchNumber,
)
from chubby.types.results import Answer
from chubby.types.time import Duration


class CacheKind(enum.IntEnum):
    """What of a node is cached: NODE covers content, stat and absence; CHILDREN the list of child names."""

    NODE = 1
    CHILDREN = 2


class CacheKey(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One thing a client may cache."""

    path: str
    kind: CacheKind


class OpenSession(msgspec.Struct, frozen=True, tag="open_session"):
    """Begin a session. `nonce` (random 63 bits) makes a repeat after a lost reply find the same session. `caching`
    false promises never to cache.
    """

    nonce: int
    caching: bool = True


class HandleClaim(msgspec.Struct, frozen=True, array_like=True):
    """A handle presented to a new master, which recreates it from its check digits."""

    handle: HandleNumber
    ticket: bytes
    events: EventMask


class WatchClaim(msgspec.Struct, frozen=True, array_like=True):
    """A watch presented to a new master."""

    watch: WatchNumber
    path: str
    recursive: bool


class Resume(msgspec.Struct, frozen=True, tag="resume"):
    """Continue a session on a new stream. The client has emptied its cache before it sends this: that is the
    acknowledgement of all invalidations.

    `ticket` proves the session is one's own. Every event up to revision `cursor` has been seen. Calls in flight
    are sent again after Resumed.
    """

    session: SessionId
    ticket: bytes
    stream: StreamNumber
    epoch: Epoch
    cursor: Revision
    handles: tuple[HandleClaim, ...] = ()
    watches: tuple[WatchClaim, ...] = ()


class CallFrame(msgspec.Struct, frozen=True, tag="call"):
    """One call. `acknowledged`: replies to all calls numbered at or below it have arrived. `patience`: how long
    from now the client will wait (0: for ever).

    Numbers are sent again unchanged after a Resume, which is how a repeat is recognised. `caching` asks that the
    reply be cacheable.
    """

    number: CallNumber
    acknowledged: CallNumber
    patience: Duration
    call: Call
    caching: bool = False


class KeepAlive(msgspec.Struct, frozen=True, tag="keep_alive"):
    """Renew the session lease, and the cache lease if the cache is in use (`caching`). The client notes its own send
    time under `number`.
    """

    number: int
    caching: bool


class Acknowledge(msgspec.Struct, frozen=True, tag="acknowledge"):
    """All pushes up to `push` of this stream have been carried out."""

    push: int


class CloseSession(msgspec.Struct, frozen=True, tag="close_session"):
    """End the session in good order: locks are released without lock-delay, ephemerals deleted."""


ClientFrame = OpenSession | Resume | CallFrame | KeepAlive | Acknowledge | CloseSession


class SessionOpened(msgspec.Struct, frozen=True, tag="session_opened"):
    """The session exists; leases count from the client's send of OpenSession."""

    session: SessionId
    ticket: bytes
    cell_id: CellId
    epoch: Epoch
    session_lease: Duration
    cache_lease: Duration
    grace_period: Duration
    drift_ppm: int
    revision: Revision


class Resumed(msgspec.Struct, frozen=True, tag="resumed"):
    """The session goes on. `lost` are presented handles that are no more, each followed by why. A failed-over session
    gets its events by Push.
    """

    epoch: Epoch
    session_lease: Duration
    cache_lease: Duration
    lost: tuple[tuple[HandleNumber, Failure], ...] = ()


class Redirect(msgspec.Struct, frozen=True, tag="redirect"):
    """This replica is not the master; `address` is the master's, if known, else empty. The stream ends."""

    address: str
    epoch: Epoch


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The stream is refused or ended, and why: SESSION_EXPIRED, SESSION_UNKNOWN, OVERLOADED, BAD_ARGUMENT ..."""

    failure: Failure


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """The answer to call `number`. `cacheable`: it may be kept in the cache. `cache_lease`: renewed to this, counted
    from the call's send (0: not renewed).
    """

    number: CallNumber
    answer: Answer
    cacheable: bool = False
    cache_lease: Duration = 0


class KeepAliveReply(msgspec.Struct, frozen=True, tag="keep_alive_reply"):
    """Leases counted from the client's send of KeepAlive `number`; a `cache_lease` of 0 renews nothing (an
    acknowledgement is owed).
    """

    number: int
    session_lease: Duration
    cache_lease: Duration


class Push(msgspec.Struct, frozen=True, tag="push"):
    """Invalidations and events. `everything`: drop the whole cache. `cursor`: all events up to this revision have now
    been told (0: unchanged).
    """

    number: int
    invalidate: tuple[CacheKey, ...] = ()
    everything: bool = False
    events: tuple[Event, ...] = ()
    cursor: Revision = 0


class SessionClosed(msgspec.Struct, frozen=True, tag="session_closed"):
    """Answer to CloseSession."""


ServerFrame = SessionOpened | Resumed | Redirect | Refused | Reply | KeepAliveReply | Push | SessionClosed
