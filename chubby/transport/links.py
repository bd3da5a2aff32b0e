"""One connection and its handshake: the protocol class that the loop drives, for both sides.

A `Link` carries out what its `Handshake` says, keeps the one timer that its phase needs (handshake, stall, linger), and
tells its owner what matters: established, received, writable, parted. It ends by `parted` exactly once; the connection
itself may linger to send what was written, and is then aborted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol, cast

from chubby.transport.framing import FrameDecoder, FrameError, encode_frame
from chubby.transport.greetings import CONTROL_LIMIT, Hello, Reason
from chubby.transport.handshake import CellLearned, Effect, Established, Handshake, Parted, Send, State
from chubby.transport.settings import WRITE_SIZE
from chubby.transport.sockets import tune
from chubby.transport.surroundings import Surroundings
from chubby.types.identity import ReplicaId

logger: Final = logging.getLogger(__name__)


class Owner(Protocol):
    """Who made a link, and is told of it."""

    def link_established(self, link: Link, peer: Hello, joining: bool) -> None:
        """Messages may flow now."""

    def link_received(self, link: Link, payloads: Sequence[bytes]) -> None:
        """Payloads of messages arrived, in order."""

    def link_writable(self, link: Link) -> None:
        """The connection's buffer drained: write on."""

    def link_parted(self, link: Link, reason: Reason, by_peer: bool) -> None:
        """The link is over. Told once; nothing is told after it."""


class Link(asyncio.Protocol):
    """One connection. `dialled` is the replica the address book promises, None on the accepting side."""

    def __init__(self, surroundings: Surroundings, owner: Owner, dialled: ReplicaId | None) -> None:
        """A link whose connection is yet to be made."""
        self._surroundings = surroundings
        self._owner = owner
        self._handshake = Handshake(surroundings.doorkeeper, dialled, self._is_proven)
        self._decoder = FrameDecoder(CONTROL_LIMIT)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._unsent = 0
        """Size of the write buffer when the stall timer was set."""
        self.closed: asyncio.Future[None] = surroundings.loop.create_future()
        """Done when the connection is gone for good (never, if none was ever made)."""

    @property
    def connected(self) -> bool:
        """Whether the connection was made (it may be over again)."""
        return self._transport is not None

    @property
    def over(self) -> bool:
        """Whether the link has parted."""
        return self._handshake.state is State.CLOSED

    @property
    def open(self) -> bool:
        """Whether the connection takes writes."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def writable(self) -> bool:
        """Whether what is written now leaves soon."""
        return self.open and not self._paused

    @property
    def peer_name(self) -> str:
        """Where the connection comes from, for the operator."""
        name = None if self._transport is None else self._transport.get_extra_info("peername")
        return "nowhere" if not name else f"{name[0]}:{name[1]}"

    def write(self, frames: Sequence[bytes]) -> None:
        """Write frames of messages, all at once."""
        assert self._handshake.state is State.SENDING, "messages go out on a made, dialled link only"
        assert self._transport is not None, "a made link has a connection"
        self._transport.write(b"".join(frames))

    def pause_reading(self) -> None:
        """Read nothing until `resume_reading`: what arrived is not delivered yet."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def dismiss(self, reason: Reason) -> None:
        """End the link from this side."""
        self._perform(self._handshake.fail(reason))

    def abort(self) -> None:
        """Drop the connection with whatever was not sent."""
        if self._transport is not None:
            self._transport.abort()

    def unmake(self, reason: Reason = Reason.LOST) -> None:
        """The attempt to make the connection failed, or was cancelled, perhaps an instant after it was made.

        In that last case uvloop closes the connection, which is not *closing* then and yet refuses to be written to,
        and never calls `connection_lost`; asyncio does, so it may come twice.
        """
        self.abort()
        self._transport = None
        self.dismiss(reason)
        self.connection_lost(None)

    # ------------------------------------------------------------------------------- what the loop calls (asyncio)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there: greet, unless it was given up meanwhile."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports have the methods, not the base class
        self._surroundings.links.add(self)
        if self.over:
            self._transport.abort()
            return
        tune(self._transport.get_extra_info("socket"), self._surroundings.timing.dead)
        self._transport.set_write_buffer_limits(high=WRITE_SIZE)
        self._timer = self._surroundings.later(self._surroundings.timing.handshake, self._expire)
        self._perform(self._handshake.start())

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        if self.over:
            return
        try:
            payloads: Sequence[bytes] = self._decoder.feed(data)
        except FrameError as error:
            self._consume(error.payloads)
            self.dismiss(Reason.FRAME)
        else:
            self._consume(payloads)

    def pause_writing(self) -> None:
        """The write buffer is full: watch that it drains."""
        self._paused = True
        self._watch()

    def resume_writing(self) -> None:
        """The write buffer drained."""
        self._paused = False
        if not self.over:
            self._stop_timer()
            self._owner.link_writable(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._perform(self._handshake.lost())
        self._stop_timer()
        self._surroundings.links.discard(self)
        if not self.closed.done():
            self.closed.set_result(None)

    # ------------------------------------------------------------------------------------------------------ inside

    def _is_proven(self, hello: Hello) -> bool:
        assert self._transport is not None, "a Hello comes over a connection"
        return self._surroundings.authenticate(self._transport, hello)

    def _consume(self, payloads: Sequence[bytes]) -> None:
        for index, payload in enumerate(payloads):
            match self._handshake.state:
                case State.CLOSED:
                    return
                case State.RECEIVING:
                    self._owner.link_received(self, payloads[index:])
                    return
                case _:
                    self._perform(self._handshake.receive(payload))

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(payload=payload):
                    self._send(payload)
                case CellLearned(cell=cell):
                    self._surroundings.on_cell_learned(cell)
                case Established(peer=peer, joining=joining):
                    self._stop_timer()
                    self._owner.link_established(self, peer, joining)
                case Parted(reason=reason, by_peer=by_peer):
                    self._part(reason, by_peer)
        if self._handshake.state is State.CONFIRMING:
            # The dialling side sends nothing large before it has seen our Hello, which is only just on its way.
            self._decoder.raise_limit(self._surroundings.limits.frame)

    def _send(self, payload: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_frame(payload))

    def _part(self, reason: Reason, by_peer: bool) -> None:
        self._stop_timer()
        if self._surroundings.ledger.part(reason, by_peer):
            logger.warning("link with %s ended by %s: %s", self.peer_name, "peer" if by_peer else "us", reason.name)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._timer = self._surroundings.later(self._surroundings.timing.linger, self.abort)
            if reason is Reason.STALLED:
                self._transport.abort()
        self._owner.link_parted(self, reason, by_peer)

    def _expire(self) -> None:
        self.dismiss(Reason.TIMEOUT)

    def _watch(self) -> None:
        if self._transport is not None and self._handshake.established:
            self._stop_timer()
            self._unsent = self._transport.get_write_buffer_size()
            self._timer = self._surroundings.later(self._surroundings.timing.dead, self._check_progress)

    def _check_progress(self) -> None:
        assert self._transport is not None, "only a connection is watched"
        if self._transport.get_write_buffer_size() < self._unsent:
            self._watch()
        else:
            self.dismiss(Reason.STALLED)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
