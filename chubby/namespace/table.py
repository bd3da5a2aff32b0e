"""Rows that know their digest: where everything that is state lives (DESIGN §3 Digest).

All state of the machine, except a handful of single values (`register`), is rows in tables. A table can do two things
to itself, `put` and `drop`, and each keeps the *marks* right: the mark of a row is 128 bits of BLAKE2b over its
canonical encoding, key included, and the table's `total` is the sum of its marks. The digest of a machine is the sum
of all totals mod 2^128. So it is incremental (a change costs one hash), independent of the order in which rows came,
and it covers all state by construction: a change that bypassed it would have to bypass `put`.

Anything a room keeps beside its tables (who is a child of whom, whose locks are whose) is an *index*: derived from the
rows, rebuilt from them by `reindex`, in no digest and in no snapshot.

Order of rows. A dict keeps the order of first insertion; a snapshot writes rows in that order and a restore puts them
back in it. So replicas that applied the same commands hold the same order, whether or not they went through a snapshot,
and their snapshots are equal byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from typing import Final, Generic, Protocol, TypeVar

import msgspec

__all__ = ["MODULUS", "AnyTable", "Table", "discard", "mark_of"]

K = TypeVar("K")
R = TypeVar("R")

MODULUS: Final = 1 << 128

_encode = msgspec.msgpack.Encoder().encode
_blake2b = hashlib.blake2b


def mark_of(item: object) -> int:
    """128 bits of BLAKE2b over the canonical encoding of `item` (whose maps must have one order of their own)."""
    return int.from_bytes(_blake2b(_encode(item), digest_size=16).digest(), "big")


class AnyTable(Protocol):
    """What can be done to a table without knowing what its rows are."""

    name: str
    total: int

    def __len__(self) -> int:
        """See `Table.__len__`."""

    def load(self, data: msgspec.Raw) -> None:
        """See `Table.load`."""

    def sweep(self) -> Iterator[bool]:
        """See `Table.sweep`."""

    def frozen(self) -> Collection[tuple[object, object]]:
        """See `Table.frozen`."""


class Table(Generic[K, R]):
    """Rows by key, their marks, and the sum of the marks. Rows and keys are immutable values."""

    __slots__ = ("_decoder", "_digested", "_intact", "_marks", "_shared", "name", "rows", "total")

    def __init__(
        self,
        name: str,
        decoder: msgspec.msgpack.Decoder[list[tuple[K, R]]],
        *,
        digested: Callable[[R], object] | None = None,
        intact: Callable[[R], bool] | None = None,
        shared: Callable[[R], R] | None = None,
    ) -> None:
        """A table without rows. Each function serves a row that is not plain.

        `digested` gives what of the row enters its mark, where that is not the row itself; `intact` checks what it
        left out; `shared` gives an equal row that takes less memory than one decoded on its own.
        """
        self.name = name
        self.rows: dict[K, R] = {}
        self.total = 0
        self._marks: dict[K, int] = {}
        self._decoder = decoder
        self._digested = digested
        self._intact = intact
        self._shared = shared

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def put(self, key: K, row: R) -> None:
        """Insert the row, or replace the one with this key."""
        mark = self.mark(key, row)
        self.total += mark - self._marks.get(key, 0)
        self._marks[key] = mark
        self.rows[key] = row

    def drop(self, key: K) -> R:
        """Remove and return the row, which must be there."""
        assert len(self._marks) == len(self.rows), "a row has a mark"
        self.total -= self._marks.pop(key)
        return self.rows.pop(key)

    def mark(self, key: K, row: R) -> int:
        """The mark that this row must have."""
        return mark_of((self.name, key, row if self._digested is None else self._digested(row)))

    def is_sound(self, key: K) -> bool:
        """Whether the row is still what was put; true also of a row that is gone."""
        row = self.rows.get(key)
        return row is None or (self._is_intact(row) and self.mark(key, row) == self._marks[key])

    def load(self, data: msgspec.Raw) -> None:
        """Put encoded rows, none of which is there yet. Raises ValueError, msgspec's errors included."""
        shared = self._shared
        for key, row in self._decoder.decode(data):
            if key in self.rows:
                raise ValueError(f"a row of {self.name} occurs twice")
            if not self._is_intact(row):
                raise ValueError(f"a row of {self.name} contradicts itself")
            self.put(key, row if shared is None else shared(row))

    def sweep(self) -> Iterator[bool]:
        """`is_sound` of each row that is there now, one by one; commands may be applied in between."""
        for key in list(self.rows):
            yield self.is_sound(key)

    def frozen(self) -> Collection[tuple[object, object]]:
        """Keys and rows as they are now, in their order, whatever happens afterwards."""
        return self.rows.copy().items()

    def _is_intact(self, row: R) -> bool:
        return self._intact is None or self._intact(row)


def discard(index: dict[K, dict[R, None]], key: K, member: R) -> None:
    """Take a member that is there out of the group `key` of an index, and the group if it was the last."""
    group = index[key]
    del group[member]
    if not group:
        del index[key]
