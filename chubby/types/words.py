"""What people read: the same words from `chubby watch` and `chubby status` as in a mount's `.chubby` directory."""

from __future__ import annotations

from typing import Final

from chubby.types.events import EventKind

MEBIBYTE: Final = 1 << 20

EVENT_WORDS: Final = {
    EventKind.CREATED: "created",
    EventKind.CONTENTS_MODIFIED: "modified",
    EventKind.DELETED: "deleted",
    EventKind.ACL_MODIFIED: "acl",
    EventKind.ATTRIBUTES_MODIFIED: "attributes",
    EventKind.RESYNC: "RESYNC",
}
"""What a watch can tell, in one word each."""

_UNITS: Final = ((1 << 30, "GiB"), (MEBIBYTE, "MiB"), (1 << 10, "KiB"))


def usage_text(nodes: int, content_bytes: int, nodes_quota: int, bytes_quota: int, content_limit: int) -> str:
    """What a cell holds, and how much it may, in one line; for what 0 means see `CellStatus`."""
    count, size = f"nodes {nodes:,}", size_text(content_bytes)
    if nodes_quota:
        count += f" of {nodes_quota:,}"
    if bytes_quota:
        size += f" of {size_text(bytes_quota)}"
    return f"{count}; {size}" if content_limit else count


def size_text(size: int) -> str:
    """`size` in bytes (not negative) for people: in the largest unit that it reaches, to a tenth, rounded down, so that
    what is not yet full does not look full.
    """
    unit, name = next(((unit, name) for unit, name in _UNITS if size >= unit), (1, "B"))
    whole, rest = divmod(size, unit)
    return f"{whole:,}.{rest * 10 // unit} {name}" if rest else f"{whole:,} {name}"
