"""The yardstick: a file system in memory on mfusepy, written the way its README shows, and nothing else.

`python -m bench.plain_files DIRECTORY [OPTION=VALUE ...]` mounts one, in the foreground. Its options are libfuse's:
without any, the kernel takes its word for names and attributes for a second.
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.integration.cells import PATIENCE, ROOT, bound_to_us, wait_for

ASKED_EACH_TIME = ("entry_timeout=0", "attr_timeout=0", "negative_timeout=0")
"""The kernel keeps no name and no attribute: as it must be wherever files change on other machines."""


def mount(directory: str, options: Sequence[str]) -> None:
    """Mount one, and return when it is unmounted."""
    os.environ["FUSE_LIBRARY_NAME"] = "fuse3"
    import mfusepy

    class Memory(mfusepy.Operations):
        """Files in one directory."""

        use_ns = True

        def __init__(self) -> None:
            now = time.time_ns()
            times = {"st_atime": now, "st_mtime": now, "st_ctime": now}
            self.files = {"/": {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2, **times}}
            self.data: dict[str, bytes] = {}
            self.opened = 0

        def create(self, path: str, mode: int, fi: object = None) -> int:
            now = time.time_ns()
            times = {"st_atime": now, "st_mtime": now, "st_ctime": now}
            self.files[path] = {"st_mode": stat.S_IFREG | mode, "st_nlink": 1, "st_size": 0, **times}
            self.data[path] = b""
            return self.open(path, 0)

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            if path not in self.files:
                raise mfusepy.FuseOSError(errno.ENOENT)
            return self.files[path]

        def open(self, path: str, flags: int) -> int:
            self.opened += 1
            return self.opened

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return self.data[path][offset : offset + size]

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", *(name[1:] for name in self.files if name != "/")]

        def truncate(self, path: str, length: int, fh: int | None = None) -> int:
            self.data[path] = self.data[path][:length].ljust(length, b"\0")
            self.files[path]["st_size"] = length
            return 0

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            before = self.data[path]
            self.data[path] = before[:offset].ljust(offset, b"\0") + data + before[offset + len(data) :]
            self.files[path]["st_size"] = len(self.data[path])
            return len(data)

    mfusepy.FUSE(Memory(), directory, foreground=True, **dict(option.split("=") for option in options))


@contextmanager
def plain(directory: Path, *options: str) -> Iterator[int]:
    """One at `directory`, which is made, in a process of its own: its number."""
    directory.mkdir()
    command = bound_to_us("-m", "bench.plain_files", str(directory), *options)
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: os.path.ismount(directory), "the mount")
            yield process.pid
        finally:
            subprocess.run(["fusermount3", "-u", "-z", str(directory)], check=False)
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()


if __name__ == "__main__":
    mount(sys.argv[1], sys.argv[2:])
