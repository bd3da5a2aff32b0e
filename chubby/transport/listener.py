"""Links that peers dial, for receiving: accepts, bounds the half-open ones, and keeps one link per replica.

Accepting is done here and not by the loop's server: uvloop's closes itself, silently, when the process is out of
descriptors, and none can be told to turn a connection away before it has cost a transport.

**Half-open.** A connection counts as half-open until its handshake is finished. When there are too many, the oldest
yields its place if it had its chance (`Timing.patience`), otherwise the newcomer is closed at once. So ten thousand
idle connections hold `Limits.half_open` places at most, cost a descriptor for a moment each, and keep a peer out for no
longer than its next attempt or two.

**One link per replica.** The last one to finish its handshake is the one: whoever could still speak on an older link is
a former life of the replica, or a connection it has given up. (Incarnations are random and have no order.)
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final, Generic

from chubby.transport.codec import Codec, M
from chubby.transport.greetings import Hello, Reason
from chubby.transport.inbox import Inbox
from chubby.transport.links import Link
from chubby.transport.settings import ACCEPT_BURST
from chubby.transport.surroundings import Surroundings
from chubby.types.identity import ReplicaId
from chubby.types.time import Instant, to_seconds

logger: Final = logging.getLogger(__name__)


class _HalfOpen:
    """A connection that has not finished its handshake: when it came, and the task that makes its transport."""

    __slots__ = ("since", "task")

    def __init__(self, since: Instant, task: asyncio.Task[bool]) -> None:
        self.since = since
        self.task = task


class Listener(Generic[M]):
    """The listening socket and the links accepted from it."""

    def __init__(
        self,
        surroundings: Surroundings,
        codec: Codec[M],
        receive: Callable[[ReplicaId, M], None],
        on_heard: Callable[[ReplicaId], None],
    ) -> None:
        """`on_heard` is told of each replica whose link was made: it is up."""
        self._surroundings = surroundings
        self._codec = codec
        self._receive = receive
        self._on_heard = on_heard
        self._socket: socket.socket | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._half_open: dict[Link, _HalfOpen] = {}
        """In the order of arrival."""
        self._inboxes: dict[Link, Inbox[M]] = {}
        self._newest: dict[ReplicaId, Link] = {}

    @property
    def half_open(self) -> int:
        """Connections that have not finished their handshake."""
        return len(self._half_open)

    def start(self, listening: socket.socket) -> None:
        """Accept from `listening`, a non-blocking socket, which is closed by `close`."""
        assert self._socket is None, "a listener starts once"
        self._socket = listening
        self._surroundings.loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Accept no more, and end every link."""
        if self._pause is not None:
            self._pause.cancel()
        if self._socket is not None:
            self._surroundings.loop.remove_reader(self._socket)
            self._socket.close()
        for link in [*self._half_open, *self._inboxes]:
            link.dismiss(Reason.STOPPED)

    def dismiss(self, replica: ReplicaId, reason: Reason) -> None:
        """End the link of `replica`, if there is one."""
        link = self._newest.get(replica)
        if link is not None:
            link.dismiss(reason)

    # -------------------------------------------------------------------------------------------------- accepting

    def _accept(self) -> None:
        assert self._socket is not None, "only a started listener accepts"
        for _ in range(ACCEPT_BURST):
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:  # the dialling side gave up while it waited to be accepted
                continue
            except OSError as error:
                self._rest(error)
                return
            self._surroundings.ledger.accepted += 1
            if self._make_room():
                self._admit(connection)
            else:
                connection.close()
                self._surroundings.ledger.part(Reason.CROWDED, by_peer=False)

    def _rest(self, error: OSError) -> None:
        """The system refused: out of descriptors or memory. What waits in the backlog waits on."""
        assert self._socket is not None, "only a started listener accepts"
        ledger = self._surroundings.ledger
        ledger.accept_pauses += 1
        if ledger.accept_pauses.bit_count() == 1:
            logger.warning("accepting rests: %s", error)
        self._surroundings.loop.remove_reader(self._socket)
        self._pause = self._surroundings.later(self._surroundings.timing.accept_pause, self._resume)

    def _resume(self) -> None:
        assert self._socket is not None, "only a started listener accepts"
        self._pause = None
        self._surroundings.loop.add_reader(self._socket, self._accept)

    def _make_room(self) -> bool:
        surroundings = self._surroundings
        if len(self._half_open) < surroundings.limits.half_open:
            return True
        oldest, entry = next(iter(self._half_open.items()))
        if surroundings.clock() - entry.since < surroundings.timing.patience:
            return False
        oldest.dismiss(Reason.CROWDED)
        return True

    def _admit(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        link = Link(self._surroundings, self, None)
        task = self._surroundings.spawn(self._connect(connection, link), "handshake of an accepted connection")
        self._half_open[link] = _HalfOpen(self._surroundings.clock(), task)

        def settled(task: asyncio.Task[bool]) -> None:
            # A task may be cancelled before its first step: then no clause within it would ever run.
            if task.cancelled() or task.exception() is not None or not task.result():
                link.unmake()
                connection.close()

        task.add_done_callback(settled)

    async def _connect(self, connection: socket.socket, link: Link) -> bool:
        """Make the connection a link; returns whether that succeeded."""
        surroundings, tls = self._surroundings, self._surroundings.tls
        limit = to_seconds(surroundings.timing.handshake)
        try:
            if tls is None:
                await surroundings.loop.connect_accepted_socket(lambda: link, connection)
            else:
                await surroundings.loop.connect_accepted_socket(
                    lambda: link, connection, ssl=tls.accepting, ssl_handshake_timeout=limit
                )
        except ssl.SSLError:
            self._turn_away(link, Reason.UNPROVEN)
        except ConnectionAbortedError:  # how loops say that a TLS handshake took too long
            self._turn_away(link, Reason.TIMEOUT)
        except OSError:
            self._turn_away(link, Reason.LOST)
        else:
            return True
        return False

    def _turn_away(self, link: Link, reason: Reason) -> None:
        """End a link that never had its connection, from within the task that was to make it."""
        self._half_open.pop(link, None)
        link.dismiss(reason)

    # -------------------------------------------------------------------------------------- what the links tell us

    def link_established(self, link: Link, peer: Hello, joining: bool) -> None:
        """A peer's link is made: it takes the place of an older one."""
        surroundings = self._surroundings
        del self._half_open[link]
        self.dismiss(peer.replica, Reason.REPLACED)
        ledger = surroundings.peers[peer.replica]
        ledger.meet(peer, joining)
        ledger.inward.begin(surroundings.clock())
        ledger.accepted_reason = None
        self._newest[peer.replica] = link
        self._inboxes[link] = Inbox(surroundings.loop, link, peer.replica, self._codec, self._receive, ledger.inward)
        logger.info("receiving from replica %d, incarnation %d", peer.replica, peer.incarnation)
        self._on_heard(peer.replica)

    def link_received(self, link: Link, payloads: Sequence[bytes]) -> None:
        """Messages arrived."""
        self._inboxes[link].put(payloads)

    def link_writable(self, link: Link) -> None:
        """Of no interest: an accepted link writes control frames only."""

    def link_parted(self, link: Link, reason: Reason, by_peer: bool) -> None:
        """A link is over, half-open or made."""
        entry = self._half_open.pop(link, None)
        if entry is not None and not link.connected:
            entry.task.cancel()
        inbox = self._inboxes.pop(link, None)
        if inbox is None:
            return
        inbox.close()
        if self._newest.get(inbox.replica) is link:
            del self._newest[inbox.replica]
            ledger = self._surroundings.peers[inbox.replica]
            ledger.inward.since = None
            ledger.accepted_reason = reason
