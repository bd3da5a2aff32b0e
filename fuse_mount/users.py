"""Who keeps a mount busy, and who serves it: read from /proc, as far as this user may look.

A process that serves a mount bears its device in its name (`chubby 39` in `ps -e` and `top`): so it is found by
whoever has the mount before them, and no file has to be kept, or to be cleared away after a crash. One whose mount is
gone may still be about to end when another mount gets that device; but it has closed /dev/fuse then. Newer kernels also
say to which device each descriptor of /dev/fuse belongs.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

PROC: Final = Path("/proc")
_OWN_NAME: Final = PROC / "self" / "comm"
_FUSE: Final = "/dev/fuse"
_CONNECTION = re.compile(r"^fuse_connection:\s*(\d+)$", re.M)
_DELETED: Final = " (deleted)"


class User(msgspec.Struct, frozen=True):
    """A process that keeps a mount busy, by what: the name of a file, or of a directory it is in."""

    process: int
    name: str
    uses: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.process}: {self.uses})"


def users_of(directory: str, proc: Path = PROC) -> list[User]:
    """Who has a file below `directory` open or mapped, works in it or has it as its root. This process too."""
    found = []
    for process in _processes(proc):
        uses = next(_uses(process, directory), None)
        if uses is not None:
            found.append(User(int(process.name), _name(process), uses))
    return found


def name_ourselves(device: str) -> None:
    """Let this process be found as the one that serves the mount of `device`."""
    with contextlib.suppress(OSError):
        _OWN_NAME.write_text(_served(device))


def server_of(device: str, proc: Path = PROC) -> int | None:
    """The process that serves the mount of `device`; None if it is gone or out of sight."""
    named = (process for process in _processes(proc) if _name(process) == _served(device))
    return next((int(process.name) for process in named if _may_serve(process, device)), None)


def children_of(process: int, proc: Path = PROC) -> list[int]:
    """Its child processes, as far as the kernel tells."""
    found = []
    for listing in (proc / str(process) / "task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(number) for number in listing.read_text().split()]
    return sorted(found)


def wait_for_end(descriptor: int, patience: float) -> bool:
    """Wait for the end of the process of a pidfd, `patience` seconds at most; whether it came."""
    ends = select.poll()
    ends.register(descriptor, select.POLLIN)
    return bool(ends.poll(patience * 1000))


def _served(device: str) -> str:
    return f"chubby {_minor(device)}"


def _minor(device: str) -> str:
    """The major number is always 0; with it a name could exceed the 15 characters that the kernel keeps."""
    return device.rpartition(":")[2]


def _may_serve(process: Path, device: str) -> bool:
    """Whether it has /dev/fuse open, for that device if the kernel says for which; if we may not look, it may be."""
    try:
        for descriptor in (process / "fd").iterdir():
            if os.readlink(descriptor) == _FUSE:
                told = _CONNECTION.search((process / "fdinfo" / descriptor.name).read_text())
                return told is None or told[1] == _minor(device)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _processes(proc: Path) -> Iterator[Path]:
    yield from sorted((entry for entry in proc.iterdir() if entry.name.isdigit()), key=lambda entry: int(entry.name))


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().removesuffix("\n")
    except OSError:
        return ""


def _uses(process: Path, directory: str) -> Iterator[str]:
    for target in _links(process):
        name = target.removesuffix(_DELETED)
        if name == directory or name.startswith(f"{directory}/"):
            yield name


def _links(process: Path) -> Iterator[str]:
    """What a process holds: directories it is in first, then what it has open, then what it has mapped."""
    for path in (process / "cwd", process / "root", *_listed(process / "fd")):
        with contextlib.suppress(OSError):
            yield os.readlink(path)
    with contextlib.suppress(OSError):
        for line in os.fsdecode((process / "maps").read_bytes()).splitlines():
            yield line[_column(line) :]


def _column(line: str) -> int:
    """Where the name begins in a line of a maps file, if it has one."""
    found = line.find("/")
    return found if found >= 0 else len(line)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
