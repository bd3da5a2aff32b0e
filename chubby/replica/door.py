"""The door through which front ends reach a replica.

A front end knows protocols, not locks: it turns bytes into `ClientFrame`s, `ServerFrame`s into bytes, and knows the
replica by this interface alone. The daemon implements it around the pure `Replica`; tests implement it in a few lines.
All methods are called on the daemon's loop and none of them blocks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from chubby.types.status import CellStatus, Location
from chubby.types.stream import ClientFrame, ServerFrame

StreamId = int
"""Names one attached stream within one process; never reused."""


class Door(Protocol):
    """What a front end may ask of the replica behind it."""

    def attach(
        self,
        principal: str,
        deliver: Callable[[Sequence[ServerFrame]], None],
        end: Callable[[], None],
    ) -> StreamId:
        """Begin a stream of a caller proven to be `principal`. `deliver` gets frames in order, `end` closes the stream
        after them.
        """

    def receive(self, stream: StreamId, frames: Sequence[ClientFrame]) -> None:
        """Hand in what the client sent, in order. Unknown (already ended) streams are ignored."""

    def detach(self, stream: StreamId) -> None:
        """The client's connection is gone. The session lives on until it resumes or its lease runs out."""

    def congested(self, stream: StreamId) -> None:
        """The client does not read: its outgoing buffer passed the front end's bound and the stream was cut."""

    def locate(self) -> Location:
        """Who is master."""

    def follow(self) -> AsyncIterator[Location]:
        """The current location, then every later one, until the caller stops; only the newest is kept for a slow
        reader.
        """

    def status(self) -> CellStatus:
        """This replica's view of the cell."""

    def export(self) -> AsyncIterator[bytes]:
        """A consistent snapshot of the applied state, as the bytes of a snapshot file in slices, without stopping the
        cell.
        """
