"""One session stream, from its first packet to its end; the package tells its life."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

import grpc.aio

from chubby.errors import BadArgument, ChubbyError, DeadlineExceeded, Failure, InternalError, Overloaded
from chubby.frontends.native.settings import NativeSettings
from chubby.frontends.native.statistics import Counters
from chubby.replica.door import Door, StreamId
from chubby.types.stream import ClientFrame, OpenSession, Refused, Resume, ServerFrame
from chubby.types.time import to_seconds
from chubby.wire.codec import pack_server, unpack_client
from chubby.wire.packing import Outbox, chunks
from chubby.wire.status import abort

Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]
"""Packets cross gRPC as bytes: they are decoded and packed here, where a bad one can be answered."""

logger = logging.getLogger(__name__)


class Phase(enum.Enum):
    """Where a stream stands."""

    SHAKING = enum.auto()
    """Its first packet has not come; the door does not know it."""
    OPEN = enum.auto()
    """Packets go in and out."""
    ENDING = enum.auto()
    """No packet goes in; what waits still goes out, for a while."""
    CUT = enum.auto()
    """No packet goes in; what waited is dropped."""


MOVES: Final[dict[Phase, tuple[Phase, ...]]] = {
    Phase.SHAKING: (Phase.OPEN, Phase.ENDING, Phase.CUT),
    Phase.OPEN: (Phase.ENDING, Phase.CUT),
    Phase.ENDING: (Phase.CUT,),
    Phase.CUT: (),
}
"""Where a stream may go from each phase. The last two end with the RPC."""


class SessionStream:
    """The two tasks of one session stream: `run` is the RPC and writes; it starts the one that reads.

    One timer, the fuse, bounds all there is to bound: the wait for the first packet, the flush of the last ones. A cut
    is a fuse that burns at once, which interrupts a write that would never finish.
    """

    def __init__(
        self, door: Door, context: Context, principal: str, settings: NativeSettings, counters: Counters
    ) -> None:
        """A stream of a caller proven to be `principal`, not begun yet."""
        self.phase = Phase.SHAKING
        self.outbox = Outbox(settings.outbox_bytes)
        self._door = door
        self._context = context
        self._principal = principal
        self._settings = settings
        self._counters = counters
        self._attached: StreamId | None = None
        self._farewell: Callable[[StreamId], None] = door.detach
        self._verdict: ChubbyError | None = None
        self._wake = asyncio.Event()
        self._fuse: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Serve the stream to its end. Raises only what ends an RPC: gRPC's abort, or a cancellation."""
        self._counters.handshakes += 1
        try:
            # Before the fuse: if a write is interrupted that carries the headers too, gRPC no longer knows whether
            # they are sent, and cannot end the RPC.
            await self._context.send_initial_metadata(())
            # Else it was stopped meanwhile.
            if self.phase is Phase.SHAKING:
                async with asyncio.timeout(to_seconds(self._settings.handshake)) as self._fuse:
                    await self._serve(self._fuse)
        except TimeoutError:
            self._expire()
        finally:
            if self.phase in (Phase.SHAKING, Phase.OPEN):
                self._move(Phase.CUT)
            self._part()
            self.outbox.clear()
        if self._verdict is not None:
            # Suppressed: the client is gone, and nobody is left to be told.
            with suppress(grpc.aio.InternalError):
                await abort(self._context, self._verdict)

    def stop(self, reason: ChubbyError) -> None:
        """End the stream in good order: what waits is still sent, then `reason` is its status."""
        if self.phase is Phase.SHAKING:
            self._cut(reason)
        elif self.phase is Phase.OPEN:
            self._verdict = reason
            self._finish()

    async def _serve(self, fuse: asyncio.Timeout) -> None:
        data = await self._context.read()
        if not isinstance(data, bytes):
            return
        if (frames := self._decode(data)) is None:
            await self._write()
            return
        fuse.reschedule(None)
        self._move(Phase.OPEN)
        stream = self._door.attach(self._principal, self._deliver, self._end)
        self._counters.attached += 1
        # It may have been ended before it had a name.
        if self.phase is Phase.OPEN:
            self._attached = stream
        reader = asyncio.create_task(self._read(stream, frames))
        try:
            await self._write()
        finally:
            reader.cancel()
            await asyncio.wait((reader,))
        if not reader.cancelled():
            reader.result()

    async def _read(self, stream: StreamId, frames: list[ClientFrame] | None) -> None:
        """Hand packets to the door until the client half-closes or breaks the protocol, or the stream ends."""
        try:
            while frames is not None and self.phase is Phase.OPEN:
                self._door.receive(stream, frames)
                data = await self._context.read()
                if not isinstance(data, bytes):
                    break
                frames = self._decode(data)
        finally:
            self._finish()

    async def _write(self) -> None:
        """Send what waits until nothing does and nothing will."""
        counters = self._counters
        while True:
            while self.outbox:
                data, frames = self.outbox.take()
                await self._context.write(data)
                counters.packets_out += 1
                counters.frames_out += frames
                counters.bytes_out += len(data)
            if self.phase is not Phase.OPEN:
                return
            self._wake.clear()
            await self._wake.wait()

    def _decode(self, data: bytes) -> list[ClientFrame] | None:
        """The frames of a packet; None, and an end with Refused, if it breaks the protocol."""
        counters = self._counters
        counters.packets_in += 1
        counters.bytes_in += len(data)
        try:
            frames = unpack_client(data)
            _check_order(frames, first=self.phase is Phase.SHAKING)
        except BadArgument as error:
            counters.bad_packets += 1
            self._put((Refused(Failure.of(error)),))
            self._finish()
            return None
        counters.frames_in += len(frames)
        return frames

    def _deliver(self, frames: Sequence[ServerFrame]) -> None:
        """The door's: send these after what waits already."""
        if self.phase is not Phase.OPEN:
            return
        # Asked before, not after: one delivery may be longer than the bound, and must reach a client that reads.
        if self.outbox.overflown:
            self._counters.congested += 1
            self._farewell = self._door.congested
            self._cut(Overloaded(f"the client does not read: {self.outbox.size} bytes wait for it"))
            return
        try:
            self._put(frames)
        except InternalError as error:
            logger.error("cut a session stream of %s: %s", self._principal, error)
            self._cut(error)

    def _end(self) -> None:
        """The door's: close the stream after what waits. The door has forgotten it already."""
        self._attached = None
        self._finish()

    def _put(self, frames: Sequence[ServerFrame]) -> None:
        for data, count in chunks(frames, pack_server):
            self.outbox.put(data, count)
        self._wake.set()

    def _finish(self) -> None:
        """Take nothing more in; go when what waits is sent."""
        if self.phase in (Phase.SHAKING, Phase.OPEN):
            self._move(Phase.ENDING)
            self._wake.set()
            self._burn_in(to_seconds(self._settings.farewell))
            self._part()

    def _cut(self, verdict: ChubbyError) -> None:
        """Go at once. The door is told by `run`, not here: this may be called from within a delivery."""
        self._move(Phase.CUT)
        self._verdict = verdict
        self.outbox.clear()
        self._burn_in(0.0)

    def _expire(self) -> None:
        """The fuse has burnt."""
        if self.phase is Phase.SHAKING:
            self._counters.silent += 1
            self._verdict = DeadlineExceeded("the stream's first packet did not come in time")
        elif self._verdict is None:
            self._verdict = Overloaded("the stream's last packets were not read in time")

    def _burn_in(self, seconds: float) -> None:
        # One that burns already cannot be set again, and need not.
        if self._fuse is not None and not self._fuse.expired():
            self._fuse.reschedule(asyncio.get_running_loop().time() + seconds)

    def _part(self) -> None:
        """Tell the door, once, that the stream is over."""
        stream, self._attached = self._attached, None
        if stream is not None:
            self._farewell(stream)

    def _move(self, phase: Phase) -> None:
        assert phase in MOVES[self.phase], f"a stream does not go from {self.phase} to {phase}"
        if self.phase is Phase.SHAKING:
            self._counters.handshakes -= 1
        self.phase = phase


def _check_order(frames: Sequence[ClientFrame], *, first: bool) -> None:
    """Raise BadArgument unless the first frame of the stream, and no other, opens or resumes a session."""
    opening = first
    for frame in frames:
        if (type(frame) in (OpenSession, Resume)) is not opening:
            wanted = "the first frame" if opening else "no frame but the first"
            raise BadArgument(f"{wanted} of a stream is OpenSession or Resume, not {type(frame).__name__}")
        opening = False
    if opening:
        raise BadArgument("the first packet of a stream is empty")
