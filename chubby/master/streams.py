"""The attached streams of clients and the frames that wait to leave on them (DESIGN §5 KeepAlive).

::

    FRESH ──OpenSession, Resume──▶ GREETING ──SessionOpened, Resumed──▶ BOUND
      └───────────────┴── Refused, Redirect, newer stream, detach ──┴──▶ (gone)

A stream in GREETING has said who it is and waits for the answer: the session is being made, or the master is not ready
to resume it.
"""

from __future__ import annotations

import enum

from chubby.master.effects import Deliver, EndStream, MasterEffect
from chubby.types.identity import SessionId
from chubby.types.stream import OpenSession, Resume, ServerFrame


class StreamState(enum.Enum):
    """How far a stream has come."""

    FRESH = "fresh"
    GREETING = "greeting"
    BOUND = "bound"


class Stream:
    """One stream. `greeting` is its first frame, `session` what it is bound to, `out` what waits to be sent."""

    __slots__ = ("greeting", "id", "out", "principal", "session", "state")

    def __init__(self, stream: int, principal: str) -> None:
        """A stream on which nothing has been said."""
        self.id = stream
        self.principal = principal
        self.state = StreamState.FRESH
        self.greeting: OpenSession | Resume | None = None
        self.session: SessionId = 0
        self.out: list[ServerFrame] = []


class Streams:
    """All attached streams, and the effects that concern them."""

    def __init__(self) -> None:
        """No stream is attached."""
        self._streams: dict[int, Stream] = {}
        self._talking: dict[int, Stream] = {}
        self._ended: dict[int, Stream] = {}

    def __len__(self) -> int:
        """How many streams are attached."""
        return len(self._streams)

    def get(self, stream: int) -> Stream | None:
        """The stream, if it is attached and not ended."""
        return self._streams.get(stream)

    def attach(self, stream: int, principal: str) -> None:
        """A stream begins."""
        assert stream not in self._streams, "stream numbers are never reused"
        self._streams[stream] = Stream(stream, principal)

    def detach(self, stream: int) -> Stream | None:
        """A stream is gone; what waited for it goes nowhere. Return it if it was attached."""
        self._talking.pop(stream, None)
        return self._streams.pop(stream, None)

    def send(self, stream: int | None, *frames: ServerFrame) -> None:
        """Put frames on their way; to a stream that is gone they go nowhere."""
        found = self._streams.get(stream) if stream is not None else None
        if found is not None:
            found.out.extend(frames)
            self._talking[found.id] = found

    def end(self, stream: int | None, *frames: ServerFrame) -> None:
        """Send last frames and end the stream; idempotent."""
        found = self._streams.pop(stream, None) if stream is not None else None
        if found is not None:
            found.out.extend(frames)
            self._talking.pop(found.id, None)
            self._ended[found.id] = found

    def ids(self) -> tuple[int, ...]:
        """All attached streams in order of arrival."""
        return tuple(self._streams)

    def take_effects(self) -> list[MasterEffect]:
        """What is to be sent and ended since the last time."""
        effects: list[MasterEffect] = []
        if not self._talking and not self._ended:
            return effects
        for stream in self._ended.values():
            if stream.out:
                effects.append(Deliver(stream.id, tuple(stream.out)))
            effects.append(EndStream(stream.id))
        for stream in self._talking.values():
            effects.append(Deliver(stream.id, tuple(stream.out)))
            stream.out.clear()
        self._ended.clear()
        self._talking.clear()
        return effects
