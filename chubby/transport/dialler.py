"""The link to one peer, for sending: dials, and dials again, for as long as the peer is in the address book.

::

    DIALLING ──established──▶ CONNECTED ──parted──▶ WAITING ──backoff over, or the peer was heard──▶ DIALLING
        └──────────failed, refused────────────────────▲

What is sent meanwhile waits in the outbox, within its bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from chubby.config.addresses import parse_address
from chubby.transport.backoff import Backoff
from chubby.transport.greetings import Hello, Reason
from chubby.transport.links import Link
from chubby.transport.outbox import Outbox
from chubby.transport.settings import WRITE_SIZE
from chubby.transport.statistics import PeerLedger, PeerState, PeerStatistics
from chubby.transport.surroundings import Surroundings
from chubby.types.identity import ReplicaId
from chubby.types.time import to_seconds

logger: Final = logging.getLogger(__name__)

_PASSING: Final = frozenset({Reason.CROWDED, Reason.STOPPED, Reason.LOST, Reason.UNREACHABLE, Reason.STALLED})
"""Reasons that pass by themselves. After any other the peer will say the same again: the longest wait is due."""


class Dialler:
    """One peer's outbox and the connection that empties it."""

    def __init__(
        self, surroundings: Surroundings, replica: ReplicaId, address: str, jitter: Callable[[], float]
    ) -> None:
        """A peer that nobody dials yet."""
        self._surroundings = surroundings
        self._replica = replica
        self._address = address
        self._ledger = surroundings.peers.setdefault(replica, PeerLedger())
        self._outbox = Outbox(surroundings.limits.away)
        timing = surroundings.timing
        self._backoff = Backoff(timing.backoff_shortest, timing.backoff_longest, jitter)
        self._state = PeerState.WAITING
        self._link: Link | None = None
        self._over = asyncio.Event()
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether what is sent leaves at once."""
        return self._state is PeerState.CONNECTED

    def start(self) -> None:
        """Begin to dial."""
        assert self._task is None, "a dialler starts once"
        self._task = self._surroundings.spawn(self._run(), f"link to replica {self._replica}")

    def close(self) -> None:
        """Dial no more. What is queued for a connected peer may still leave, while its connection lingers."""
        if self._task is not None:
            self._task.cancel()
        if self._link is not None:
            if self.connected and self._link.open and len(self._outbox):
                self._write(self._link, self._outbox.size)
            self._link.dismiss(Reason.STOPPED)
        self._outbox.clear()

    def push(self, frame: bytes) -> None:
        """Queue `frame`; it leaves with the next `flush`, or at once when a single turn fills the queue."""
        if not self._outbox.has_room(frame):
            self.flush()
        self._outbox.push(frame)

    def flush(self) -> None:
        """Hand what is queued to the connection, in one write while its buffer has room."""
        link = self._link
        if link is None or not self.connected:
            return
        while len(self._outbox) and link.writable:
            self._write(link, WRITE_SIZE)

    def readdress(self, address: str) -> None:
        """The peer lives elsewhere now: dial there, at once."""
        if address != self._address:
            self._address = address
            self._backoff.reset()
            self._heard.set()
            if self._link is not None:
                self._link.dismiss(Reason.STOPPED)

    def hurry(self) -> None:
        """The peer was heard: it is up, so there is nothing to wait for."""
        if self._state is PeerState.WAITING:
            self._heard.set()

    def statistics(self) -> PeerStatistics:
        """What there is to tell, both directions."""
        ledger, outbox = self._ledger, self._outbox
        return PeerStatistics(
            replica=self._replica,
            address=self._address,
            state=self._state,
            connected_since=ledger.outward.since,
            heard_since=ledger.inward.since,
            incarnation=ledger.incarnation,
            joining=ledger.joining,
            frames_out=ledger.outward.frames,
            bytes_out=ledger.outward.size,
            frames_in=ledger.inward.frames,
            bytes_in=ledger.inward.size,
            queued_frames=len(outbox),
            queued_bytes=outbox.size,
            dropped_frames=outbox.dropped_frames,
            dropped_bytes=outbox.dropped_size,
            reconnects=max(0, ledger.outward.links - 1),
            last_reason=ledger.last_reason,
            accepted_reason=ledger.accepted_reason,
        )

    # -------------------------------------------------------------------------------------- what the link tells us

    def link_established(self, link: Link, peer: Hello, joining: bool) -> None:
        """The peer said Hello: send."""
        ledger = self._ledger
        ledger.meet(peer, joining)
        ledger.outward.begin(self._surroundings.clock())
        ledger.last_reason = None
        self._state = PeerState.CONNECTED
        self._backoff.reset()
        self._outbox.rebound(self._surroundings.limits.queue)
        logger.info("sending to replica %d at %s", self._replica, self._address)
        self.flush()

    def link_received(self, link: Link, payloads: Sequence[bytes]) -> None:
        """Never: on a dialled link only control frames come back, and those stay with the handshake."""
        raise AssertionError("a dialled link receives no messages")

    def link_writable(self, link: Link) -> None:
        """There is room again."""
        self.flush()

    def link_parted(self, link: Link, reason: Reason, by_peer: bool) -> None:
        """The link is over: `_run` goes on."""
        self._state = PeerState.WAITING
        self._ledger.outward.since = None
        self._outbox.rebound(self._surroundings.limits.away)
        self._note(reason)
        self._over.set()

    # ------------------------------------------------------------------------------------------------------ inside

    def _write(self, link: Link, size: int) -> None:
        before = self._outbox.size
        frames = self._outbox.take(size)
        link.write(frames)
        self._ledger.outward.add(len(frames), before - self._outbox.size)

    async def _run(self) -> None:
        while True:
            self._state = PeerState.DIALLING
            await self._attempt()
            await self._rest()

    async def _attempt(self) -> None:
        """Dial once, and stay until the link is over."""
        surroundings, tls = self._surroundings, self._surroundings.tls
        self._over.clear()
        self._heard.clear()
        self._link = link = Link(surroundings, self, self._replica)
        made = False
        try:
            host, port = parse_address(self._address)
            async with asyncio.timeout(to_seconds(surroundings.timing.connect)):
                await surroundings.loop.create_connection(
                    lambda: link,
                    host,
                    port,
                    ssl=None if tls is None else tls.dialling,
                    server_hostname=None if tls is None else (tls.server_name or host),
                )
            made = True
        except ssl.SSLError:
            link.unmake(Reason.UNPROVEN)
        except (OSError, ValueError):  # no address, no route, nobody there, no answer in time
            link.unmake(Reason.UNREACHABLE)
        finally:
            if not made:
                link.unmake()
        await self._over.wait()

    async def _rest(self) -> None:
        """Wait before dialling again, but not if the peer makes itself heard."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(to_seconds(self._backoff.draw())):
                await self._heard.wait()

    def _note(self, reason: Reason) -> None:
        if reason not in _PASSING:
            self._backoff.exhaust()
        if reason is not self._ledger.last_reason:
            logger.info("not sending to replica %d at %s: %s", self._replica, self._address, reason.name)
        self._ledger.last_reason = reason
