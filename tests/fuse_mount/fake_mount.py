"""A mount without FUSE and without a cell, as `daemon` sees it: it notes what is asked of it, and does what it is told.

As a program, `python -m tests.fuse_mount.fake_mount BEHAVIOUR ORDER` is what `python -m fuse_mount ORDER` is.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import cast

import msgspec

from chubby.errors import NoQuorum
from fuse_mount import binding
from fuse_mount.daemon import Files, Serve
from fuse_mount.filesystem import Caller
from fuse_mount.kernel import Mounted
from fuse_mount.orders import Order
from fuse_mount.process import Make, run_detached
from fuse_mount.troubles import MountError, Trouble
from tests.fuse_mount.memory import MemoryFiles

MOUNTED = "mounted"
"""The behaviour that mounts something for real."""
ENTANGLED = "entangled"
"""The same, and a thread of the process itself waits for a request that is never answered."""
AUTO = "auto_unmount"
"""In the `kernel` options of an order: have it unmounted when its process is killed."""
PATIENCE = 60.0
"""Seconds after which what was to come has failed to."""

Hook = Callable[[], object]


def nothing() -> None:
    """Do it."""


class FakeMount:
    """Files, Serve and Mount in one. Hooks are called, in the thread of the moment, before the step they are named for
    is done; `noted` tells the steps in their order.
    """

    def __init__(
        self,
        start: Hook = nothing,
        served: Hook = nothing,
        unmount: Hook = nothing,
        close: Hook = nothing,
    ) -> None:
        """`served` is called once it is mounted, in the thread that serves."""
        self.noted: list[str] = []
        self.gone = threading.Event()
        self._start, self._served, self._unmount, self._close = start, served, unmount, close

    @property
    def files(self) -> Files:
        """As what the daemon is given. (What a file system has besides is never called.)"""
        return cast(Files, self)

    @property
    def mount(self) -> Mounted:
        """As what is attached. (All that is ever done to it is to unmount it.)"""
        return cast(Mounted, self)

    def start(self) -> None:
        """See `Files`."""
        self.noted.append("start")
        self._start()

    def attach(self, mount: Mounted) -> None:
        """See `Files`."""
        assert mount is self.mount
        self.noted.append("attach")

    def close(self) -> None:
        """See `Files`."""
        self.noted.append("close")
        self._close()

    def serve(self, mounted: Callable[[Mounted], None]) -> None:
        """See `Serve`: until `unmount`, or until `gone` is set as if by umount(8)."""
        self.noted.append("mount")
        mounted(self.mount)
        self._served()
        assert self.gone.wait(PATIENCE)

    def unmount(self) -> None:
        """See `Mounted`."""
        self.noted.append("unmount")
        self._unmount()
        self.gone.set()


def strike(*numbers: signal.Signals) -> Callable[[], None]:
    """Send these signals, one after the other, to the main thread: it notices them before it does anything else. One to
    the process may strike another thread, and come to notice when all is over.
    """

    def send() -> None:
        main = threading.main_thread().ident
        assert main is not None, "it runs"
        for number in numbers:
            signal.pthread_kill(main, number)

    return send


def then(*steps: Callable[[], object]) -> Callable[[], None]:
    """Do all of them."""

    def do() -> None:
        for step in steps:
            step()

    return do


def fail() -> None:
    """As a cell that does not answer."""
    raise NoQuorum("no quorum: nobody is there")


def refuse() -> None:
    """As a machine without FUSE."""
    raise MountError(Trouble.FUSE, "there is no FUSE here")


def stumble() -> None:
    """As a program with a mistake in it."""
    raise ZeroDivisionError("a mistake")


def die() -> None:
    """As a process that is struck by an end of its own."""
    os.write(2, b"struck by lightning\n")
    os._exit(3)


def hang() -> None:
    """As one that waits for ever."""
    print("hanging", file=sys.stderr, flush=True)
    threading.Event().wait(PATIENCE)


STARTS = {"good": nothing, "unreachable": fail, "unable": refuse, "mistaken": stumble, "struck": die, "hanging": hang}
"""What befalls it at its start, by the name of a behaviour."""


class MountedMemory(MemoryFiles):
    """Files in memory with a life of their own."""

    def start(self) -> None:
        """Nothing to reach."""

    def attach(self, mount: Mounted) -> None:
        """Nothing to invalidate."""

    def close(self) -> None:
        """Nothing to close."""


def make(behaviour: str) -> Make:
    """What `process` needs to carry out an order: without FUSE; or `mounted`, with files in memory."""

    def fake(order: Order) -> tuple[Files, Serve]:
        made = FakeMount(start=STARTS[behaviour])
        return made.files, made.serve

    def real(order: Order) -> tuple[Files, Serve]:
        files = MountedMemory()
        hello = files.create("/hello", os.O_WRONLY, 0o644, Caller(os.getuid(), os.getgid(), os.getpid())).file
        files.write(hello, b"hello", 0)
        files.release(hello)
        options = binding.MountOptions(order.source, order.read_only, order.allow_other, AUTO in order.kernel)
        return files, lambda mounted: binding.serve(files, order.directory, options, mounted)

    def entangled(order: Order) -> tuple[Files, Serve]:
        files, serve = real(order)
        assert isinstance(files, MountedMemory)
        files.errors["getattr"] = TimeoutError(errno.ETIMEDOUT, "never answered")
        looking = threading.Thread(target=lambda: os.stat(order.directory), daemon=True)

        def serve_and_look(mounted: Callable[[Mounted], None]) -> None:
            def mounted_and_looking(mount: Mounted) -> None:
                mounted(mount)
                looking.start()

            serve(mounted_and_looking)

        return files, serve_and_look

    return {MOUNTED: real, ENTANGLED: entangled}.get(behaviour, fake)


def program(behaviour: str) -> tuple[str, ...]:
    """What carries out orders in this way, for `starting.start`."""
    return (sys.executable, "-m", "tests.fuse_mount.fake_mount", behaviour)


if __name__ == "__main__":
    sys.exit(run_detached(msgspec.json.decode(sys.argv[2], type=Order), make(sys.argv[1])))
