"""A machine out of a snapshot's slices, on a thread that has nothing else to do.

To restore 100,000 nodes takes a second of the processor's time. So neither the loop nor the disk's thread does it, and
whoever waits for it may give up in the middle: a replica that is told to stop while it starts stops.
"""

from __future__ import annotations

from collections.abc import Iterator

from chubby.namespace.machine import Machine


class Abandoned(Exception):
    """Nobody waits for the machine any more."""


class Loader:
    """A `chubby.storage.snapshot_reader.Load` that keeps what it made: `machine`, None if there was nothing to load."""

    def __init__(self) -> None:
        """Nothing loaded yet."""
        self.machine: Machine | None = None
        self._abandoned = False

    def __call__(self, slices: Iterator[bytes]) -> None:
        """Load `slices`, in place of what was loaded before.

        Raises CorruptData, UnknownVersion, and `Abandoned` once `abandon` was called.
        """
        self.machine = None
        self.machine = Machine.restore(self._watched(slices))

    def abandon(self) -> None:
        """Give up with the next slice, some milliseconds from now. May be called from any thread."""
        self._abandoned = True

    def _watched(self, slices: Iterator[bytes]) -> Iterator[bytes]:
        for piece in slices:
            if self._abandoned:
                raise Abandoned
            yield piece
