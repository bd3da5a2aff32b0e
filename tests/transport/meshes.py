"""Meshes on loopback, strangers that knock at them, and waiting for conditions."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import msgspec

from chubby.config.addresses import parse_address
from chubby.paxos.configuration import Identity
from chubby.transport.codec import Codec
from chubby.transport.framing import FrameDecoder, encode_frame
from chubby.transport.greetings import (
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Control,
    Goodbye,
    Hello,
    Reason,
    decode_control,
    encode_control,
)
from chubby.transport.mesh import Mesh, believe
from chubby.transport.settings import Limits, Timing, Tls
from chubby.transport.statistics import PeerState, PeerStatistics
from chubby.transport.surroundings import Authenticate
from chubby.types.time import MILLISECOND, SECOND

CELL = 700
PATIENCE = 20.0
"""Seconds until a condition that should hold at once is given up."""

QUICK = Timing(backoff_shortest=5 * MILLISECOND, backoff_longest=40 * MILLISECOND)
"""Short waits between attempts, so that tests see many of them."""


class Note(msgspec.Struct, frozen=True, tag=1):
    """A small message."""

    number: int


class Parcel(msgspec.Struct, frozen=True, tag=2):
    """A message of any size."""

    number: int
    data: bytes


Mail = Note | Parcel
CODEC: Codec[Mail] = Codec(msgspec.msgpack.Decoder(Mail))


def descriptors() -> int:
    """How many file descriptors the process has open."""
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    """Bytes of memory the process occupies."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


async def turns(count: int) -> None:
    """Let the loop turn `count` times."""
    for _ in range(count):
        await asyncio.sleep(0)


def free_addresses(count: int) -> list[str]:
    """Loopback addresses that nobody listens on."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in held]
    for each in held:
        each.close()
    return addresses


class Node:
    """A replica with its mesh, and what it received: (from whom, message)."""

    def __init__(  # one argument for each thing a scenario varies
        self,
        replica: int,
        book: Mapping[int, str],
        *,
        cell: int = CELL,
        incarnation: int | None = None,
        address: str | None = None,
        limits: Limits | None = None,
        timing: Timing = QUICK,
        tls: Tls | None = None,
        authenticate: Authenticate = believe,
    ) -> None:
        """Not started. It listens where the book says, unless `address` says otherwise."""
        self.replica = replica
        self.received: list[tuple[int, Mail]] = []
        self.learned: list[int] = []
        self.mesh: Mesh[Mail] = Mesh(
            Identity(cell, replica, 10 * replica if incarnation is None else incarnation),
            address or book[replica],
            book,
            CODEC,
            self.receive,
            on_cell_learned=self.learned.append,
            authenticate=authenticate,
            tls=tls,
            limits=limits,
            timing=timing,
        )

    def receive(self, replica: int, message: Mail) -> None:
        """Keep what arrives."""
        self.received.append((replica, message))

    def from_peer(self, replica: int) -> list[int]:
        """The numbers of the messages received from `replica`, in order."""
        return [message.number for sender, message in self.received if sender == replica]

    def peer(self, replica: int) -> PeerStatistics:
        """What the mesh tells of `replica`."""
        return self.mesh.statistics().peer(replica)

    def refused(self, reason: Reason) -> int:
        """How many links this side ended for `reason`."""
        return self.mesh.statistics().refused.get(reason, 0)

    def dismissed(self, reason: Reason) -> int:
        """How many links peers ended for `reason`."""
        return self.mesh.statistics().dismissed.get(reason, 0)

    def sends_to(self, replica: int) -> bool:
        """Whether the dialled link is up."""
        return self.mesh.is_connected(replica)

    def hears(self, replica: int) -> bool:
        """Whether the accepted link is up."""
        return self.peer(replica).heard_since is not None


def book_of(count: int) -> dict[int, str]:
    """An address book for replicas 1 to `count`."""
    return dict(enumerate(free_addresses(count), 1))


def all_connected(nodes: Iterable[Node]) -> bool:
    """Whether everybody sends to and hears everybody else."""
    nodes = list(nodes)
    return all(
        one.sends_to(other.replica) and one.hears(other.replica) for one in nodes for other in nodes if one is not other
    )


@asynccontextmanager
async def started(*nodes: Node) -> AsyncIterator[None]:
    """Started, and stopped at the end whatever happens."""
    try:
        for node in nodes:
            await node.mesh.start()
        yield
    finally:
        for node in nodes:
            await node.mesh.stop()
            left = node.mesh._surroundings
            assert not left.links and not left.tasks, "stop returned too early"


@asynccontextmanager
async def connected(*nodes: Node) -> AsyncIterator[None]:
    """Started, and all links made."""
    async with started(*nodes):
        await until(lambda: all_connected(nodes))
        yield


async def works(one: Node, other: Node) -> None:
    """Fail unless a message gets through in both directions."""
    await until(lambda: all_connected([one, other]))
    number = 1_000_000 + len(one.received) + len(other.received)
    one.mesh.send(other.replica, Note(number))
    other.mesh.send(one.replica, Note(number))
    await until(lambda: number in other.from_peer(one.replica) and number in one.from_peer(other.replica))


def hello(
    replica: int = 2,
    cell: int = CELL,
    incarnation: int = 77,
    nonce: int = 1,
    version: int = PROTOCOL_VERSION,
    oldest: int = OLDEST_VERSION,
) -> bytes:
    """The frame of a Hello."""
    return control(Hello(version, oldest, cell, replica, incarnation, nonce))


def control(frame: Control) -> bytes:
    """The frame of a control message."""
    return encode_frame(encode_control(frame))


class Caller:
    """Somebody who knows how to connect, and speaks bytes."""

    def __init__(self, connection: socket.socket) -> None:
        """`connection` is made, and not blocking."""
        self.socket = connection
        self._decoder = FrameDecoder()
        self._controls: list[Control | None] = []
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def dial(cls, address: str) -> Caller:
        """Connect to `address`."""
        connection = socket.socket()
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, parse_address(address))
        return cls(connection)

    async def say(self, data: bytes) -> None:
        """Send bytes; a connection that was closed meanwhile is no error."""
        try:
            await self._loop.sock_sendall(self.socket, data)
        except (ConnectionResetError, BrokenPipeError):
            return

    async def hear(self) -> Control | None:
        """The next control frame, None at the end of the stream (or for what is no control frame)."""
        async with asyncio.timeout(PATIENCE):
            while not self._controls:
                try:
                    data = await self._loop.sock_recv(self.socket, 65_536)
                except ConnectionResetError:
                    return None
                if not data:
                    return None
                self._controls += map(decode_control, self._decoder.feed(data))
        return self._controls.pop(0)

    async def ended(self) -> Reason | None:
        """Read to the end; the reason of the Goodbye, if there was one."""
        reason: Reason | None = None
        while (heard := await self.hear()) is not None:
            if isinstance(heard, Goodbye):
                reason = heard.reason
        return reason

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


@asynccontextmanager
async def calling(address: str) -> AsyncIterator[Caller]:
    """A caller for a while."""
    caller = await Caller.dial(address)
    try:
        yield caller
    finally:
        caller.close()


def is_waiting(node: Node, replica: int) -> bool:
    """Whether the node has failed to reach `replica` and waits."""
    return node.peer(replica).state is PeerState.WAITING


SHORT_HANDSHAKE = msgspec.structs.replace(QUICK, handshake=100 * MILLISECOND)
"""For tests that wait for a handshake to run out."""
UNHURRIED = Timing(backoff_shortest=10 * SECOND, backoff_longest=100 * SECOND)
"""Waits so long that only something else can end them."""
