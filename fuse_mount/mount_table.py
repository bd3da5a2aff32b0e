"""The kernel's table of mounts: what is mounted at a directory, whether it is ours, and whether anybody serves it.

Nothing here asks a mounted file system anything, `probe` excepted: one whose process hangs would hang us with it.
"""

from __future__ import annotations

import enum
import errno
import os
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

SUBTYPE: Final = "chubby"
TYPE: Final = f"fuse.{SUBTYPE}"
"""The type of our mounts, in the table and in /etc/fstab."""
TABLE: Final = Path("/proc/self/mountinfo")
PROBE_PATIENCE: Final = 2.0
"""Seconds after which a mount that does not answer counts as silent."""

_LINKS: Final = 40
"""Symbolic links that lead to one another, at most: the kernel's own bound."""
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class MountPoint(msgspec.Struct, frozen=True):
    """One line of the table. `device` is `major:minor`, the same for all places where one file system is mounted."""

    id: int
    parent: int
    device: str
    directory: str
    type: str
    source: str
    options: tuple[str, ...]

    @property
    def ours(self) -> bool:
        """Whether a process of this project serves it."""
        return self.type == TYPE


class Life(enum.Enum):
    """How a mount answers."""

    LIVE = "live"
    """Its process does."""
    STALE = "stale"
    """Its process is gone: every use is ENOTCONN."""
    SILENT = "silent"
    """Not in time: its process is stopped, or waits for its cell."""


def parse(table: bytes) -> list[MountPoint]:
    """The lines of a mountinfo file; see proc_pid_mountinfo(5)."""
    found = []
    for line in table.splitlines():
        first, _, second = line.partition(b" - ")
        number, parent, device, _root, directory, options = first.split(b" ")[:6]
        kind, source = second.split(b" ")[:2]
        found.append(
            MountPoint(
                int(number),
                int(parent),
                device.decode(),
                _text(directory),
                _text(kind),
                _text(source),
                tuple(options.decode().split(",")),
            )
        )
    return found


def mounts() -> list[MountPoint]:
    """All mounts that this process sees."""
    return parse(TABLE.read_bytes())


def top(table: Iterable[MountPoint], directory: str) -> MountPoint | None:
    """What one sees at `directory`: of mounts over one another, the last."""
    there = [mount for mount in table if mount.directory == directory]
    covered = {mount.parent for mount in there}
    return next((mount for mount in reversed(there) if mount.id not in covered), None)


def at(directory: str) -> MountPoint | None:
    """What is mounted at `directory`, a name that `resolve` gave; None: nothing."""
    return top(mounts(), directory)


def elsewhere(mount: MountPoint) -> list[str]:
    """Where else the same file system is mounted, by a bind mount for instance, as far as this process sees."""
    return [other.directory for other in mounts() if other.device == mount.device and other.id != mount.id]


def resolve(directory: str | os.PathLike[str]) -> str:
    """The absolute name without symbolic links; the last component is never asked for its attributes.

    So it is right for a mount that is stale or hangs. What is not there stays as it is written.
    """
    name = os.path.abspath(directory)
    for _ in range(_LINKS):
        above, last = os.path.split(name)
        name = os.path.join(os.path.realpath(above), last) if last else above
        try:
            name = os.path.abspath(os.path.join(os.path.dirname(name), os.readlink(name)))
        except OSError:
            break
    return name


def probe(directory: str, patience: float = PROBE_PATIENCE) -> Life:
    """Ask the root of a mount for its attributes; `patience` in seconds."""
    found: list[Life] = []
    asking = threading.Thread(target=lambda: found.append(_ask(directory)), daemon=True)
    asking.start()
    asking.join(patience)
    return found[0] if found else Life.SILENT


def _ask(directory: str) -> Life:
    try:
        os.stat(directory)
    except OSError as error:
        return Life.STALE if error.errno == errno.ENOTCONN else Life.LIVE
    return Life.LIVE


def _text(field: bytes) -> str:
    """A field as it was before the kernel wrote blanks, tabs, newlines and backslashes of it in octal."""
    return os.fsdecode(_ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), field))
