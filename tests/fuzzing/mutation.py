"""Near misses: good inputs, spoilt in a few places, as hypothesis strategies.

What fuzzers of bytes find slowly is put in on purpose: numbers at the edges of their width in both orders of bytes,
pieces lost, repeated, moved, and taken from another good input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

EDGES: Final = tuple(
    (value & (1 << 8 * size) - 1).to_bytes(size, order)
    for size in (1, 2, 4, 8)
    for order in ("little", "big")
    for value in (0, 1, -1, 1 << 8 * size - 1, (1 << 8 * size - 1) - 1, 0x20, 0xC1)
)
"""Numbers that matter, as they may stand in bytes."""
_EDITS: Final = ("flip", "set", "edge", "delete", "repeat", "insert", "cut", "splice", "move")


@st.composite
def spoilt(draw: st.DrawFn, samples: Sequence[bytes], most: int = 6) -> bytes:
    """One of `samples` after up to `most` changes."""
    data = bytearray(draw(st.sampled_from(samples)))
    for edit in draw(st.lists(st.sampled_from(_EDITS), max_size=most)):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(1, 24))
        match edit:
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "edge":
                edge = draw(st.sampled_from(EDGES))
                data[at : at + len(edge)] = edge
            case "delete":
                del data[at : at + length]
            case "repeat":
                data[at:at] = data[at : at + length] * draw(st.integers(1, 8))
            case "insert":
                data[at:at] = draw(st.binary(max_size=16))
            case "cut":
                del data[at:]
            case "splice":
                other = draw(st.sampled_from(samples))
                begin = draw(st.integers(0, len(other)))
                data[at:] = other[begin:]
            case "move":
                piece = data[at : at + length]
                del data[at : at + length]
                to = draw(st.integers(0, len(data)))
                data[to:to] = piece
    return bytes(data)
