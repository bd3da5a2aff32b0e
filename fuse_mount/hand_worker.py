"""The other process of `hand`: does one thing after the other to a mount, as it is told. Run as a script, by its name.

A line of its input is a JSON list: what, and to which path; a line of its output an error number, 0 for none. It ends
with its input, so with whoever started it. Only what every Python has at hand is imported: it is small and starts fast.

Two more entries, a directory and a number, say that the path is one in that directory, if the mount is still there:
then `PROOF` in it has that number as its size, which nobody knows but the mount. What is beneath the mount, or was
mounted in its place, is not touched.
"""

from __future__ import annotations

import errno
import json
import os
import sys

PROOF = ".chubby"


def create(path: str, at: int | None) -> None:
    """Make a file, unless there is one."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=at))


def mkdir(path: str, at: int | None) -> None:
    """Make a directory, unless there is one."""
    os.mkdir(path, dir_fd=at)


def modify(path: str, at: int | None) -> None:
    """Open it to write, set its length to what it is, and close it."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=at)
    try:
        os.ftruncate(file, os.fstat(file).st_size)
    finally:
        os.close(file)


def utime(path: str, at: int | None) -> None:
    """Set its times to now."""
    os.utime(path, dir_fd=at)


def unlink(path: str, at: int | None) -> None:
    """Remove a file."""
    os.unlink(path, dir_fd=at)


def look(path: str, at: int | None) -> None:
    """Ask what is there."""
    os.stat(path, dir_fd=at)


ACTS = {"create": create, "mkdir": mkdir, "modify": modify, "utime": utime, "unlink": unlink, "look": look}
"""What can be told."""


def obey(what: str, path: str, directory: str = "", proof: int = 0) -> None:
    """Do it. Raises OSError, ENOTCONN if the directory is not what it was."""
    if not directory:
        ACTS[what](path, None)
        return
    # As long as this is open, nothing else can come to be at that place in it.
    at = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if proof_in(at) != proof:
            raise OSError(errno.ENOTCONN, "the mount is not there any more")
        ACTS[what](path, at)
    finally:
        os.close(at)


def proof_in(at: int) -> int:
    """What the directory says; 0 if it says nothing."""
    try:
        return os.stat(PROOF, dir_fd=at).st_size
    except FileNotFoundError:
        return 0


def main() -> None:
    """Do what the input says until it ends."""
    for line in sys.stdin:
        try:
            obey(*json.loads(line))
        except OSError as error:
            answer = error.errno
        else:
            answer = 0
        print(answer, flush=True)


if __name__ == "__main__":
    main()
