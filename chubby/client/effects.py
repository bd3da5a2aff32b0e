"""What the core asks of its shell. Drained in order; none of them reports back except by a later input."""

from __future__ import annotations

import msgspec

from chubby.client.state import SessionState
from chubby.errors import Failure
from chubby.types.events import Event
from chubby.types.identity import CallNumber, StreamNumber
from chubby.types.results import Answer
from chubby.types.stream import CacheKey, ClientFrame


class Connect(msgspec.Struct, frozen=True):
    """Leave every earlier stream and open this one, to `address` or, if that is empty, to whoever is found master.

    Answered by `connected(stream)` or `disconnected(stream)`.
    """

    stream: StreamNumber
    address: str


class Send(msgspec.Struct, frozen=True, gc=False):
    """Put the frame on the stream, behind those already sent. Never blocks."""

    stream: StreamNumber
    frame: ClientFrame


class Disconnect(msgspec.Struct, frozen=True):
    """The stream is of no more use: let it go, after what was sent has left."""

    stream: StreamNumber


class Complete(msgspec.Struct, frozen=True, gc=False):
    """Call `number` is answered. Exactly one for each call begun and not cancelled."""

    number: CallNumber
    answer: Answer


class Deliver(msgspec.Struct, frozen=True, gc=False):
    """Tell the owner of the handle or watch that the event names (neither: everyone)."""

    event: Event


class StateChanged(msgspec.Struct, frozen=True):
    """The session moved to `state`; `failure` says why, where that is not plain from the state."""

    state: SessionState
    failure: Failure | None = None


class Relay(msgspec.Struct, frozen=True):
    """Have whatever rests on the session's cache drop `keys`, or `everything`, after all told before.

    Asked only of a shell that said it relays. Answered by `relayed(place)`.
    """

    place: int
    keys: tuple[CacheKey, ...]
    everything: bool


Effect = Connect | Send | Disconnect | Complete | Deliver | StateChanged | Relay
