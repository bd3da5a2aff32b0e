"""The other process of `hand`: does one thing after the other to a mount, as it is told. Run as a script, by its name.

A line of its input is a JSON list: what, and to which path; a line of its output an error number, 0 for none. It ends
with its input, so with whoever started it. Only what every Python has at hand is imported: it is small and starts fast.
"""

from __future__ import annotations

import json
import os
import sys


def create(path: str) -> None:
    """Make a file, unless there is one."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))


def modify(path: str) -> None:
    """Open it to write, set its length to what it is, and close it."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(file, os.fstat(file).st_size)
    finally:
        os.close(file)


def look(path: str) -> None:
    """Ask what is there."""
    os.stat(path)


ACTS = {"create": create, "mkdir": os.mkdir, "modify": modify, "utime": os.utime, "unlink": os.unlink, "look": look}
"""What can be told."""


def main() -> None:
    """Do what the input says until it ends."""
    for line in sys.stdin:
        what, path = json.loads(line)
        try:
            ACTS[what](path)
        except OSError as error:
            answer = error.errno
        else:
            answer = 0
        print(answer, flush=True)


if __name__ == "__main__":
    main()
