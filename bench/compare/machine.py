"""What it was measured on."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from importlib import metadata
from pathlib import Path

from bench.peers.system import Unavailable

IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
"""File systems on which fsync costs nothing."""
SYNCS = 200
DESCRIPTORS = 65_536
"""Open files: a connection of each of 20,000 sessions, at both ends, and room for everything else."""
LIBRARIES = ("grpcio", "uvloop", "msgspec", "kazoo")


def facts(directory: Path) -> dict[str, str]:
    """By name, in the order of the report; `directory` is where the data will be."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processors": f"{os.cpu_count()} × {_model()}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{_distribution()}, Linux {platform.release()}",
        "disk": f"{file_system(directory)}, {fdatasync_seconds(directory) * 1e6:.0f} µs for fdatasync of an append",
        "Python": f"{platform.python_version()}, {', '.join(f'{name} {_version(name)}' for name in LIBRARIES)}",
    }


def file_system(directory: Path) -> str:
    """The kind of file system that a directory is on, as the kernel names it."""
    path = directory.resolve()
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        where, what = line.split()[1:3]
        if path.is_relative_to(where) and len(where) >= len(best):
            best, kind = where, what
    return kind


def check_disk(directory: Path) -> None:
    """Raise Unavailable if the directory is in memory: there fsync proves nothing."""
    kind = file_system(directory)
    if kind in IN_MEMORY:
        raise Unavailable(f"{directory} is on {kind}, in memory; name a directory on a disk: --data DIRECTORY")


def raise_descriptor_limit() -> None:
    """Allow this process and its children `DESCRIPTORS` open files, or as many as the machine lets them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, DESCRIPTORS), max(hard, DESCRIPTORS)))
    except (OSError, ValueError):  # only root may have more than the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def fdatasync_seconds(directory: Path) -> float:
    """The median time of an append of a hundred bytes and its fdatasync there."""
    file = directory / "fdatasync"
    took = []
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        for _ in range(SYNCS):
            began = time.perf_counter()
            os.write(descriptor, b"v" * 100)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
        file.unlink()
    return statistics.median(took)


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"
