"""The state as bytes, in slices (DESIGN §3 Disk).

A snapshot is taken in the time of some dict copies, because rows never change; encoding it is left to whoever consumes
`slices`, between other work. Each slice is one msgpack array, to be handed back whole and in order:

    first   ["chubby machine", FORMAT, register, digest (16 bytes), {table: number of rows}]
    others  [table, [[key, row], ...]]

The layout is that of the machine's version. A release that does not know the version says so (`UnknownVersion`), which
is not the same as rot: the bytes are good, and another release reads them.

A restore verifies more than decoding does: that all announced rows came and no others, that each node's content has
the checksum in its metadata, that the rows fit together, and that the digest of it all is the one in the first slice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

import msgspec

from chubby.errors import CorruptData, StorageFailed
from chubby.namespace.register import KNOWN_VERSIONS, Register
from chubby.namespace.state import State
from chubby.types.decoding import MALFORMED
from chubby.types.identity import Slot

__all__ = ["FORMAT", "MachineSnapshot", "UnknownVersion", "load", "take"]

FORMAT: Final = 1
"""The layout of version 1. A change of any row's fields makes a new one, and with it a new version of the machine."""

_MAGIC: Final = "chubby machine"
_SLICE_ROWS: Final = 1000
"""Rows of one slice: about a millisecond of encoding for small ones, whatever the slice may hold in bytes."""

_ENCODER = msgspec.msgpack.Encoder()


class UnknownVersion(StorageFailed):
    """The state is whole, but its rules are of another release: install the one that wrote it, nothing is lost."""


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """The first slice."""

    magic: str
    format: int
    register: Register
    digest: bytes
    rows: dict[str, int]


class _Slice(msgspec.Struct, frozen=True, array_like=True):
    """Any other slice."""

    table: str
    rows: msgspec.Raw


_HEAD_DECODER = msgspec.msgpack.Decoder(_Head)
_SLICE_DECODER = msgspec.msgpack.Decoder(_Slice)

_Rows = Collection[tuple[object, object]]


class MachineSnapshot:
    """The state at one slot. Immutable: what is applied later does not show."""

    __slots__ = ("_register", "_tables", "digest", "slot")

    def __init__(self, register: Register, tables: dict[str, _Rows], digest: int) -> None:
        """Made by `take`, of values that nobody changes any more."""
        self._register = register
        self._tables = tables
        self.slot: Slot = register.applied
        self.digest = digest

    def slices(self, limit: int) -> Iterator[bytes]:
        """The state as bytes, in slices of about `limit` bytes (more only if a single row has more).

        Each step of the iteration is some milliseconds of work at most. The same state gives the same bytes for the
        same limit.
        """
        assert limit > 0, "a slice holds something"
        yield _ENCODER.encode(
            _Head(
                _MAGIC,
                FORMAT,
                self._register,
                self.digest.to_bytes(16, "big"),
                {name: len(rows) for name, rows in self._tables.items()},
            )
        )
        for name, rows in self._tables.items():
            batch: list[msgspec.Raw] = []
            size = 0
            for item in rows:
                encoded = _ENCODER.encode(item)
                if batch and (size + len(encoded) > limit or len(batch) >= _SLICE_ROWS):
                    yield _ENCODER.encode((name, batch))
                    batch, size = [], 0
                batch.append(msgspec.Raw(encoded))
                size += len(encoded)
            if batch:
                yield _ENCODER.encode((name, batch))


def take(state: State) -> MachineSnapshot:
    """The state as it is now."""
    register = msgspec.structs.replace(state.register)
    return MachineSnapshot(register, {table.name: table.frozen() for table in state.tables}, state.digest())


def load(slices: Iterable[bytes]) -> State:
    """The state whose snapshot gave these slices.

    Raises CorruptData if they are not all of it, or not intact; UnknownVersion if another release has to read them.
    """
    iterator = iter(slices)
    first = next(iterator, None)
    if first is None:
        raise CorruptData("a snapshot of the machine has no slices at all")
    try:
        head = _read_head(first)
        state = State(head.register)
        tables = {table.name: table for table in state.tables}
        for data in iterator:
            part = _SLICE_DECODER.decode(data)
            if part.table not in tables:
                raise ValueError(f"there is no table {part.table!a}")
            tables[part.table].load(part.rows)
        if {name: len(table) for name, table in tables.items()} != head.rows:
            raise ValueError("rows are missing, or there are too many")
        state.reindex()
    except MALFORMED as error:
        raise CorruptData(f"a snapshot of the machine cannot be restored: {error}") from error
    if state.digest() != int.from_bytes(head.digest, "big"):
        raise CorruptData("a snapshot of the machine has rows that differ from what it was taken of (digest)")
    return state


def _read_head(data: bytes) -> _Head:
    head = _HEAD_DECODER.decode(data)
    if head.magic != _MAGIC:
        raise ValueError("it is something else")
    if head.format != FORMAT:
        raise UnknownVersion(f"a snapshot of the machine has layout {head.format}; this release reads {FORMAT} only")
    if head.register.version not in KNOWN_VERSIONS:
        raise UnknownVersion(
            f"a snapshot of the machine is of version {head.register.version}; this release knows up to "
            f"{KNOWN_VERSIONS[-1]}: install the release that the other replicas run"
        )
    return head
