"""The handles of one session, as the master knows them (DESIGN §5 Handles; paper §2.3).

A handle is bound to one instance of its node: when that is deleted the handle is of no more use, even if a node of the
same name comes again. The master learns of a handle by Open or by a ticket presented at Resume, and forgets it at
Close. One that was closed in this epoch stays closed: a delayed Open or an old claim does not bring it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chubby.master.numbers import NumberSet
from chubby.types.calls import Mode
from chubby.types.events import EventMask
from chubby.types.identity import HandleNumber
from chubby.types.nodes import Sequencer

CLOSED_GAPS: Final = 4096
"""So many gaps between closed numbers, beyond two for each open handle, before they are taken for closed, too."""


class Handle:
    """One open handle. `sequencer`, once set, guards every later operation through it."""

    __slots__ = ("ephemeral", "events", "instance", "mode", "number", "path", "sequencer")

    def __init__(
        self, number: HandleNumber, path: str, instance: int, mode: Mode, events: EventMask, *, ephemeral: bool
    ) -> None:
        """A handle on that instance of the node at `path`."""
        self.number = number
        self.path = path
        self.instance = instance
        self.mode = mode
        self.events = events
        self.ephemeral = ephemeral
        self.sequencer: Sequencer | None = None


class HandleTable:
    """Open handles in the order in which the master learned of them, and the numbers of closed ones."""

    __slots__ = ("_closed", "_open")

    def __init__(self) -> None:
        """No handle was ever open."""
        self._open: dict[HandleNumber, Handle] = {}
        self._closed = NumberSet()

    def __len__(self) -> int:
        """How many handles are open."""
        return len(self._open)

    def __iter__(self) -> Iterator[Handle]:
        """The open handles; the table must not change meanwhile."""
        return iter(self._open.values())

    def get(self, number: HandleNumber) -> Handle | None:
        """The open handle of that number."""
        return self._open.get(number)

    def was_closed(self, number: HandleNumber) -> bool:
        """Whether that handle was closed in this epoch."""
        return number in self._closed

    def add(self, handle: Handle) -> None:
        """A handle was opened, or recreated from its ticket."""
        assert handle.number not in self._open, "handle numbers are never reused"
        assert handle.number not in self._closed, "a closed handle stays closed"
        self._open[handle.number] = handle

    def close(self, number: HandleNumber) -> Handle | None:
        """Forget a handle, whether open or never heard of, for the rest of the epoch; return it if it was open.

        Clients number their handles from 1 on, so what is not closed is open, or about to be. One that leaves gaps on
        purpose could make us remember any number of them: beyond a bound, all below its last one count as closed.
        """
        self._closed.add(number)
        handle = self._open.pop(number, None)
        if self._closed.pieces > 2 * len(self._open) + CLOSED_GAPS:
            self._closed.fill(sorted(self._open))
        return handle
