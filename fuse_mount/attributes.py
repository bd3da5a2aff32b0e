"""The attributes of a file, from the metadata of its node; and what a tool insists on keeping, in the node. PURE.

A node has no mode, owner or times that can be set. Tools that set them (tar, rsync, cp -p, touch, chmod) find what they
set again, because it is kept in the node's attribute map. Nothing is enforced from it: access is the matter of ACLs.

| attribute     | value (ASCII)                                       | counts                                         |
|---------------|-----------------------------------------------------|------------------------------------------------|
| `posix.mode`  | octal permissions: `755`                            | always                                         |
| `posix.owner` | user and group: `1000:1000`                         | always                                         |
| `posix.times` | content generation, access, change in ns: `7:10:20` | while that is the content generation           |

Anybody who may write the node may write these too, other programs included. So a value of any other form is passed
over, and setuid and setgid are neither kept nor shown: else whoever may write a file would have a mount that root made
without `nosuid` run it as root, with `posix.owner` = `0:0`.

**Times.** Without kept ones st_mtime is the millisecond of the last change, and below it the revision, so that two
versions never have the same: make, rsync and git compare for equality. The cell moves that time with *every* change of
the node; a change of attributes alone therefore keeps the time there was (`keeping_times`), as chmod(2) promises, if
the map has room for it. st_ctime moves with every change.

**Numbers.** st_ino is the instance, above it (in a mount of all cells) the number of the cell: equal numbers would make
`cp` believe that files of two cells are one. A directory's `.contents` differs from the directory in one bit. st_nlink
is 1, for directories too: 2 would say "no directories below" to find(1), which then would not look.
"""

from __future__ import annotations

import enum
import errno
import re
import stat as posix
from collections.abc import Mapping
from typing import Final

import msgspec

from chubby.types.limits import ATTRIBUTES_LIMIT
from chubby.types.nodes import NodeKind, Stat
from chubby.types.time import MILLISECOND
from fuse_mount.filesystem import Attributes

__all__ = [
    "MODE",
    "OWNER",
    "PERMISSIONS",
    "TIMES",
    "Shape",
    "View",
    "attributes_of",
    "carried",
    "chmod",
    "chown",
    "first_attributes",
    "fitting",
    "keeping_times",
    "kept_mode",
    "kept_owner",
    "kept_times",
    "modified_ns",
    "room_for",
    "shape_of",
    "utimens",
]

MODE: Final = "posix.mode"
OWNER: Final = "posix.owner"
TIMES: Final = "posix.times"

PERMISSIONS: Final = 0o1777
"""The bits of a mode that are kept: who may do what, and sticky."""
DEFAULT_FILE_MODE: Final = 0o644
DEFAULT_DIRECTORY_MODE: Final = 0o755
_NOT_OF_CONTENTS: Final = 0o1111
"""What a directory's mode has and that of its `.contents` has not: to enter it, and sticky."""
BLOCK_SIZE: Final = 64 * 1024
"""st_blksize: how much programs are told to read and write at once. A file has at most a few of these."""

_SECTOR: Final = 512
_SPREAD: Final = 1_000_000
"""Nanoseconds of a millisecond, over which the revisions are spread."""
_CELL_BITS: Final = 48
"""Where the number of the cell begins in st_ino: no cell ever makes so many nodes."""
_CONTENTS_BIT: Final = 1 << 62
_TIME_LIMIT: Final = (1 << 63) - 1
"""The furthest time that can be kept, either way from 1970: nanoseconds in 64 bits."""
_ID_LIMIT: Final = (1 << 32) - 1
"""Users and groups are below this, which stands for "nobody said"."""

_MODE_FORM = re.compile(rb"[0-7]{1,4}\Z")
_OWNER_FORM = re.compile(rb"([0-9]{1,10}):([0-9]{1,10})\Z")
_TIMES_FORM = re.compile(rb"([0-9]{1,19}):(-?[0-9]{1,19}):(-?[0-9]{1,19})\Z")


class Shape(enum.Enum):
    """As what a node is shown: one that is shown as a directory may be shown as its `.contents` too."""

    FILE = "file"
    DIRECTORY = "directory"
    CONTENTS = "contents"


class View(msgspec.Struct, frozen=True):
    """Who looks: the owner shown where none is kept, and the number of the cell in a mount of all (from 1; else 0)."""

    uid: int
    gid: int
    cell: int = 0


def shape_of(stat: Stat, has_children: bool) -> Shape:
    """As what a node is shown under its own name: any node may have children, and then is a directory."""
    return Shape.DIRECTORY if has_children or stat.kind is NodeKind.DIRECTORY else Shape.FILE


def attributes_of(stat: Stat, shape: Shape, view: View, size: int | None = None) -> Attributes:
    """The fields of `struct stat`; `size`: how long the content is for who has it open here, if not as in the cell."""
    directory = shape is Shape.DIRECTORY
    length = 0 if directory else stat.length if size is None else size
    uid, gid = kept_owner(stat) or (view.uid, view.gid)
    changed = modified_ns(stat)
    accessed, modified = kept_times(stat) or (changed, changed)
    return {
        "st_ino": stat.instance | view.cell << _CELL_BITS | (_CONTENTS_BIT if shape is Shape.CONTENTS else 0),
        "st_mode": (posix.S_IFDIR if directory else posix.S_IFREG) | _permissions(stat, shape),
        "st_nlink": 1,
        "st_uid": uid,
        "st_gid": gid,
        "st_size": length,
        "st_blocks": -(-length // _SECTOR),
        "st_blksize": BLOCK_SIZE,
        "st_atime": accessed,
        "st_mtime": modified,
        "st_ctime": changed,
    }


def modified_ns(stat: Stat) -> int:
    """When the node last changed in any way, in nanoseconds since 1970; no two versions of a cell's nodes share one."""
    return stat.modified_ms * MILLISECOND + stat.modified % _SPREAD


# --------------------------------------------------------------------------------------------------------- what is kept


def kept_mode(stat: Stat) -> int | None:
    """The permissions somebody set, if anybody did."""
    value = stat.attributes.get(MODE)
    return int(value, 8) & PERMISSIONS if value and _MODE_FORM.match(value) else None


def kept_owner(stat: Stat) -> tuple[int, int] | None:
    """The user and the group somebody set, if anybody did."""
    value = stat.attributes.get(OWNER)
    found = _OWNER_FORM.match(value) if value else None
    if found is None:
        return None
    uid, gid = int(found[1]), int(found[2])
    return (uid, gid) if max(uid, gid) < _ID_LIMIT else None


def kept_times(stat: Stat) -> tuple[int, int] | None:
    """The times of access and change in nanoseconds that somebody set, if anybody did for the present content."""
    value = stat.attributes.get(TIMES)
    found = _TIMES_FORM.match(value) if value else None
    if found is None or int(found[1]) != stat.content_generation:
        return None
    accessed, modified = int(found[2]), int(found[3])
    return (accessed, modified) if max(abs(accessed), abs(modified)) <= _TIME_LIMIT else None


# -------------------------------------------------------------------------------------------------------------- changes
# Each of these gives changes of the attribute map as `SetAttributes` takes them (an empty value removes its name):
# none if nothing would be seen of it. Each raises OSError ENOSPC if the map has no room.


def chmod(stat: Stat, shape: Shape, mode: int) -> dict[str, bytes]:
    """Keep the permissions of `mode`. Those of `.contents` are its directory's, which stays one that can be entered."""
    wanted = mode & PERMISSIONS
    if shape is Shape.CONTENTS:
        wanted &= ~_NOT_OF_CONTENTS
    kept = wanted | _enterable(wanted) if shape is Shape.CONTENTS else wanted
    value = b"%o" % kept
    if wanted == _permissions(stat, shape) or stat.attributes.get(MODE) == value:
        return {}
    return keeping_times(stat, {MODE: value})


def chown(stat: Stat, view: View, uid: int, gid: int) -> dict[str, bytes]:
    """Keep another owner; -1 (or the same in 32 bits) leaves one as it is."""
    before = kept_owner(stat) or (view.uid, view.gid)
    after = tuple(old if new in (-1, _ID_LIMIT) else new for old, new in zip(before, (uid, gid), strict=True))
    return {} if after == before else keeping_times(stat, {OWNER: b"%d:%d" % after})


def utimens(stat: Stat, times: tuple[int, int]) -> dict[str, bytes]:
    """Keep the times of access and change, in nanoseconds, until the content changes."""
    accessed, modified = (max(-_TIME_LIMIT, min(_TIME_LIMIT, each)) for each in times)
    changed = modified_ns(stat)
    if (accessed, modified) == (kept_times(stat) or (changed, changed)):
        return {}
    return fitting(stat.attributes, {TIMES: _times(stat.content_generation, accessed, modified)})


def first_attributes(kind: NodeKind, mode: int, uid: int, gid: int, view: View) -> dict[str, bytes]:
    """What a new node has to keep, so that it shows this mode and owner: nothing, where it would anyway."""
    usual = DEFAULT_DIRECTORY_MODE if kind is NodeKind.DIRECTORY else DEFAULT_FILE_MODE
    kept = {} if mode & PERMISSIONS == usual else {MODE: b"%o" % (mode & PERMISSIONS)}
    return kept if (uid, gid) == (view.uid, view.gid) else {**kept, OWNER: b"%d:%d" % (uid, gid)}


def keeping_times(stat: Stat, changes: Mapping[str, bytes]) -> dict[str, bytes]:
    """`changes`, and with them the times as they are: a change of attributes is none of the content.

    Where there is room for both; the times are what is given up.
    """
    if not changes or kept_times(stat) is not None:
        return fitting(stat.attributes, changes)
    changed = modified_ns(stat)
    both = {**changes, TIMES: _times(stat.content_generation, changed, changed)}
    return both if room_for(stat.attributes, both) else fitting(stat.attributes, changes)


def carried(source: Stat, target: Stat | None) -> dict[str, bytes]:
    """What moves with the content of `source` when that becomes the next content of `target` (None: of a new node).

    As rename(2) has it, the file under the new name is the one that was under the old: all attributes, and its time.
    """
    before = {} if target is None else target.attributes
    generation = 1 if target is None else target.content_generation + 1
    changed = modified_ns(source)
    after = {**source.attributes, TIMES: _times(generation, *(kept_times(source) or (changed, changed)))}
    if not room_for({}, after):
        del after[TIMES]
    return {**{name: b"" for name in before if name not in after}, **after}


def fitting(before: Mapping[str, bytes], changes: Mapping[str, bytes]) -> dict[str, bytes]:
    """`changes`; raises OSError ENOSPC if the map `before` has no room for them."""
    if not room_for(before, changes):
        raise OSError(errno.ENOSPC, f"the attributes of a node take at most {ATTRIBUTES_LIMIT} bytes")
    return dict(changes)


def room_for(before: Mapping[str, bytes], changes: Mapping[str, bytes]) -> bool:
    """Whether the map `before` stays within its limit with these changes. One that leaves it smaller always does."""
    after = {name: value for name, value in {**before, **changes}.items() if value}
    return _size(after) <= max(ATTRIBUTES_LIMIT, _size(before))


def _size(attributes: Mapping[str, bytes]) -> int:
    """As the cell counts it."""
    return sum(len(name.encode()) + len(value) for name, value in attributes.items())


def _permissions(stat: Stat, shape: Shape) -> int:
    """The permissions shown."""
    kept = kept_mode(stat)
    if kept is None:
        return DEFAULT_DIRECTORY_MODE if shape is Shape.DIRECTORY else DEFAULT_FILE_MODE
    if shape is Shape.CONTENTS:
        return kept & ~_NOT_OF_CONTENTS
    if shape is Shape.DIRECTORY and stat.kind is NodeKind.FILE:
        return kept | _enterable(kept)
    return kept


def _enterable(mode: int) -> int:
    """Execute permission for whom may read."""
    return (mode & 0o444) >> 2


def _times(generation: int, accessed: int, modified: int) -> bytes:
    return b"%d:%d:%d" % (generation, accessed, modified)
