"""The history: the last changes of the cell, by revision (DESIGN §4 Revision, §5 Events).

| table     | key                                          | row      |
|-----------|----------------------------------------------|----------|
| `history` | running number of the change, from 0, no gap | `Change` |

It holds at most `Limits.history` changes, the last ones (0: none). Whoever has seen everything up to revision r asks
for what came since; if some of that is forgotten the answer is None, never a list with a hole.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chubby.namespace.outcomes import Change
from chubby.namespace.register import Register
from chubby.namespace.table import Table
from chubby.types.identity import Revision

__all__ = ["History"]


class History:
    """The last changes, oldest first."""

    __slots__ = ("_register", "table")

    def __init__(self, register: Register) -> None:
        """No changes; how many there ever were stands in the register."""
        self.table: Table[int, Change] = Table("history", msgspec.msgpack.Decoder(list[tuple[int, Change]]))
        self._register = register

    @property
    def first(self) -> int:
        """The running number of the oldest change that is still here (or of the next, if there is none)."""
        return self._register.changes - len(self.table)

    def extend(self, changes: Iterable[Change]) -> None:
        """Add changes, in the order in which they happened, and forget as many old ones."""
        register = self._register
        for change in changes:
            assert change.revision == register.revision, "history is written as it happens"
            self.table.put(register.changes, change)
            register.changes += 1
        self.trim()

    def trim(self) -> None:
        """Forget the oldest changes beyond the limit."""
        register = self._register
        for number in range(self.first, register.changes - register.limits.history):
            register.forgotten = self.table.drop(number).revision
        assert len(self.table) <= register.limits.history, "the history is bounded"

    def since(self, revision: Revision) -> tuple[Change, ...] | None:
        """All changes above `revision`, oldest first; None if one of them is forgotten."""
        if revision < self._register.forgotten:
            return None
        rows = self.table.rows
        low, high = self.first, self._register.changes
        while low < high:
            middle = (low + high) // 2
            if rows[middle].revision > revision:
                high = middle
            else:
                low = middle + 1
        return tuple(rows[number] for number in range(low, self._register.changes))

    def reindex(self) -> None:
        """Check what a restore has put. Raises ValueError if a change is missing."""
        if list(self.table.rows) != list(range(self.first, self._register.changes)):
            raise ValueError("the history has a gap")
