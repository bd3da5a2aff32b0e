"""What the client asks of a network. `grpc_network` is the real one; tests and the simulator bring their own.

All of it happens on the loop of the session that uses it. Addresses are text, `host:port`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from chubby.errors import Failure
from chubby.types.status import CellStatus, Location
from chubby.types.stream import ClientFrame, ServerFrame

Received = Callable[[Sequence[ServerFrame]], None]
"""What a connection calls with what arrived, in order."""
Lost = Callable[[str], None]
"""What a connection calls, once, when nothing will arrive any more, and why (for humans). Not after `close`."""


class Link(Protocol):
    """One session stream that stands."""

    def send(self, frames: Sequence[ClientFrame]) -> list[tuple[ClientFrame, Failure]]:
        """Put frames on the stream, in order, behind those sent before; never blocks.

        Those that the protocol cannot carry are left out and returned, each with the reason.
        """

    def close(self) -> None:
        """Let the stream go once what was sent has left, or soon. Idempotent."""


class Network(Protocol):
    """Ways to reach replicas."""

    async def connect(self, address: str, received: Received, lost: Lost) -> Link:
        """Open a session stream on a connection of its own. Raises ChubbyError if the replica cannot be reached."""

    async def locate(self, address: str) -> Location:
        """Ask one replica who is master. Raises ChubbyError."""

    def follow(self, address: str) -> AsyncIterator[Location]:
        """What one replica knows of the master, now and whenever it changes. Raises ChubbyError when it ends."""

    async def status(self, address: str) -> CellStatus:
        """One replica's view of its cell. Raises ChubbyError."""

    def export(self, address: str) -> AsyncIterator[bytes]:
        """A snapshot of the cell in slices, from one replica. Raises ChubbyError."""

    async def close(self) -> None:
        """Let all connections go."""
