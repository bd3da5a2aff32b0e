"""A MemoryFiles mounted by a process of its own, and told by pipe what to do.

It has to be another process: one that uses a mount of its own hangs as soon as a system call waits for an answer while
the interpreter is not handed over, as `fork` of a subprocess does. The process ends with its pipe, so whatever becomes
of the tests, nothing is left behind.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from fuse_mount import binding
from fuse_mount.binding import Mount, MountOptions
from fuse_mount.filesystem import Opened
from tests.fuse_mount.memory import Call, MemoryFiles

DEADLINE = 20.0
"""Seconds; generous."""


class Order(msgspec.Struct):
    """What the process shall do."""

    name: str
    arguments: list[Any] = []


class Served:
    """The mount, seen from the tests."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self.directory = directory

    def __truediv__(self, name: str) -> Path:
        return self.directory / name

    def ask(self, name: str, *arguments: object) -> Any:
        """Have something done there, and what came of it."""
        reading, writing = self.process.stdout, self.process.stdin
        assert reading is not None and writing is not None
        writing.write(msgspec.json.encode(Order(name, list(arguments))) + b"\n")
        writing.flush()
        return msgspec.json.decode(reading.readline())

    def calls(self, name: str) -> list[Call]:
        """The requests of one kind, oldest first, each without its name."""
        return [tuple(rest) for first, *rest in self.ask("calls") if first == name]

    def put(self, path: str, text: str) -> None:
        """Change a file behind the kernel's back."""
        self.ask("put", path, text)

    def wait_for_blocked(self, count: int) -> None:
        """Until so many requests wait."""
        within_deadline(lambda: self.ask("blocked") == count)

    def end(self) -> int:
        """Wait for the process, which was told to end in one way or other; its exit code."""
        return self.process.wait(DEADLINE)


def within_deadline(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    event = threading.Event()
    for _ in range(int(DEADLINE / 0.02)):
        if condition():
            return
        event.wait(0.02)
    raise AssertionError("it did not happen in time")


@contextmanager
def served(directory: Path, **options: object) -> Iterator[Served]:
    """Mount one at `directory`, which is made. Afterwards nothing of it is left."""
    directory.mkdir()
    command = [sys.executable, "-m", "tests.fuse_mount.served", str(directory), msgspec.json.encode(options).decode()]
    root = Path(__file__).resolve().parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=root, process_group=0) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"mounted\n", "it was mounted"
            yield Served(process, directory)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(DEADLINE)
            finally:
                process.kill()
                subprocess.run(["umount", "--lazy", "--quiet", directory], check=False, stderr=subprocess.DEVNULL)
    assert not os.path.ismount(directory), "nothing is left mounted"


class Child:
    """The process that serves."""

    def __init__(self, directory: str, options: Mapping[str, Any]) -> None:
        self.files = MemoryFiles()
        self.directory = directory
        self.options = MountOptions("cell", **options)
        self.mount: Mount | None = None
        self.orders: dict[str, Callable[..., object]] = {
            "calls": lambda: self.files.calls,
            "forget": self.files.calls.clear,
            "blocked": lambda: self.files.blocked,
            "put": lambda path, text: self.files.put(path, text.encode()),
            "fail": self.fail,
            "opening": self.opening,
            "invalidate": lambda path: self.mount is not None and self.mount.invalidate(path),
            "unmount": self.unmount,
            "directory": lambda: self.mount is not None and self.mount.directory,
            "request by": self.request_by,
            "environment": lambda: [os.environ.get("FUSE_LIBRARY_NAME"), self.inherited()],
            "threads": lambda: len(os.listdir("/proc/self/task")),
        }

    def fail(self, name: str, number: int) -> None:
        """The next request of that name fails; ETIMEDOUT: never ends by itself; 0: has a bug."""
        self.files.errors[name] = OSError(number, "as told") if number else ZeroDivisionError("as told")

    def opening(self, keep_cache: bool, direct_io: bool, nonseekable: bool) -> None:
        """How files are opened from now on."""
        self.files.opening = Opened(0, keep_cache, direct_io, nonseekable)

    def unmount(self) -> None:
        """End it from within."""
        assert self.mount is not None
        self.mount.unmount()

    def request_by(self, path: str) -> list[int]:
        """A thread of ours, and the one whose request for the attributes of `path` is answered."""
        assert self.mount is not None
        asked: dict[Call, int] = {}
        requester = self.mount.requester
        self.files.witness = lambda call: asked.update({call: requester()})
        os.stat(f"{self.directory}{path}")
        return [threading.get_native_id(), asked["getattr", path]]

    def inherited(self) -> str:
        """What a child of this process finds."""
        return subprocess.run(["printenv", "FUSE_LIBRARY_NAME"], capture_output=True, text=True, check=False).stdout

    def run(self, orders: IO[bytes], answers: IO[bytes]) -> None:
        """Serve, until it is unmounted or nobody gives orders any more."""
        mounted = threading.Event()

        def remember(mount: Mount) -> None:
            self.mount = mount
            answers.write(b"mounted\n")
            answers.flush()
            mounted.set()

        def obey() -> None:
            mounted.wait()
            for line in orders:
                order = msgspec.json.decode(line, type=Order)
                answers.write(msgspec.json.encode(self.orders[order.name](*order.arguments)) + b"\n")
                answers.flush()
            self.unmount()

        threading.Thread(target=obey, daemon=True).start()
        binding.serve(self.files, self.directory, self.options, remember)


def main() -> None:
    """`python -m tests.fuse_mount.served DIRECTORY OPTIONS`."""
    logging.basicConfig()
    directory, options = sys.argv[1:]
    child = Child(directory, msgspec.json.decode(options, type=dict[str, Any]))
    # Without a buffer: its lock would be held by a thread that reads when the interpreter ends.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as orders:
        child.run(orders, sys.stdout.buffer)


if __name__ == "__main__":
    main()
