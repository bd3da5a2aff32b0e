"""A transport made of paper, and one side of a link written on it: links without a network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from chubby.paxos.configuration import Identity
from chubby.transport.doorkeeper import Doorkeeper
from chubby.transport.framing import FrameDecoder
from chubby.transport.greetings import Control, Hello, Reason, Welcome, decode_control
from chubby.transport.links import Link
from chubby.transport.mesh import believe
from chubby.transport.settings import Limits, Timing
from chubby.transport.surroundings import Surroundings
from chubby.types.identity import ReplicaId
from chubby.types.time import SECOND
from tests.transport.meshes import CELL, control, hello

SLOW = 3600 * SECOND
TIMING = Timing(handshake=SLOW, dead=SLOW, linger=SLOW)
"""No timer of a test runs out unless the test is about it."""


class Paper(asyncio.Transport):
    """A transport that keeps what is written, and whose buffer is as full as the test says."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open, empty, reading."""
        super().__init__()
        self._loop = loop
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.written = b""
        self.unsent = 0
        self.closing = False
        self.aborted = False
        self.reading = True
        self.dead = False
        """Closed by the loop itself, as uvloop does when the making of a connection is cancelled: not to be used, and
        not saying so."""
        self.protocol: asyncio.BaseProtocol | None = None

    def get_extra_info(self, name: str, default: object = None) -> object:
        """A socket, to have its options set."""
        return self.socket if name == "socket" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        if self.dead:
            raise RuntimeError("unable to perform operation on a closed connection; the handler is closed")
        assert not self.closing, "nothing is written to a closing connection"
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Note the limit."""
        self.high = high

    def get_write_buffer_size(self) -> int:
        """As the test says."""
        return self.unsent

    def is_closing(self) -> bool:
        """Whether it was closed or aborted."""
        return self.closing

    def close(self) -> None:
        """Closing; gone once the buffer is empty, which a test brings about by `gone`."""
        self.closing = True

    def abort(self) -> None:
        """Gone in the next turn."""
        if not self.aborted:
            self.closing = self.aborted = True
            self._loop.call_soon(self.gone)

    def gone(self) -> None:
        """The connection is lost."""
        self.socket.close()
        assert isinstance(self.protocol, asyncio.Protocol)
        self.protocol.connection_lost(None)

    def pause_reading(self) -> None:
        """No more data."""
        self.reading = False

    def resume_reading(self) -> None:
        """More data."""
        self.reading = True

    def controls(self) -> list[Control | None]:
        """The control frames written so far."""
        return [decode_control(payload) for payload in FrameDecoder().feed(self.written)]


class Diary:
    """An owner of links that writes everything down."""

    def __init__(self) -> None:
        """Empty."""
        self.entries: list[object] = []

    def link_established(self, link: Link, peer: Hello, joining: bool) -> None:
        """Note the peer."""
        self.entries.append(("established", peer.replica, joining))

    def link_received(self, link: Link, payloads: Sequence[bytes]) -> None:
        """Note the payloads."""
        self.entries.append(("received", list(payloads)))

    def link_writable(self, link: Link) -> None:
        """Note it."""
        self.entries.append("writable")

    def link_parted(self, link: Link, reason: Reason, by_peer: bool) -> None:
        """Note the reason."""
        self.entries.append(("parted", reason, by_peer))


class Scene:
    """Replica 1's side of one link, its owner's diary, and the paper it is written on."""

    def __init__(self, dialled: ReplicaId | None, timing: Timing = TIMING) -> None:
        """Not connected."""
        loop = asyncio.get_running_loop()
        self.learned: list[int] = []
        self.surroundings = Surroundings(
            loop=loop,
            doorkeeper=Doorkeeper(Identity(CELL, 1, 10), (2, 3), 4242),
            limits=Limits(),
            timing=timing,
            tls=None,
            authenticate=believe,
            on_cell_learned=self.learned.append,
            clock=lambda: 0,
        )
        self.diary = Diary()
        self.link = Link(self.surroundings, self.diary, dialled)
        self.paper = Paper(loop)
        self.paper.protocol = self.link

    def connect(self) -> Scene:
        """The connection is made."""
        self.link.connection_made(self.paper)
        return self

    def establish(self) -> Scene:
        """The handshake is over."""
        self.connect()
        self.link.data_received(hello())
        if ("established", 2, False) not in self.diary.entries:
            self.link.data_received(control(Welcome()))
        assert self.diary.entries == [("established", 2, False)]
        self.diary.entries.clear()
        return self

    async def end(self) -> None:
        """Whatever state it is in; the link must know that it is over."""
        if not self.link.closed.done():
            self.paper.gone()
        assert self.link.over and self.link.closed.done()
        assert not self.surroundings.links
        await asyncio.sleep(0)
