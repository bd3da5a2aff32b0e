"""What the mount tells the kernel of its own accord: forget what you keep of this file."""

from __future__ import annotations

from typing import Protocol

from chubby.paths import ROOT


class Mounted(Protocol):
    """A mount that is served: see `binding.Mount`."""

    @property
    def directory(self) -> str:
        """Where it is mounted."""

    def invalidate(self, path: str) -> bool:
        """Have the kernel forget the contents and attributes of `path`. False: it knew nothing of it."""

    def requester(self) -> int:
        """The thread that made the request which the present thread answers."""

    def unmount(self) -> None:
        """End it, soon."""


class Kernel:
    """The way to the kernel; there is none before `attach`, and nothing to tell it then.

    `prefix` is where the paths of this file system begin in the mount: the cell's directory in a mount of every cell.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._mount: Mounted | None = None

    def attach(self, mount: Mounted) -> None:
        """It is mounted."""
        self._mount = mount

    def requester(self) -> int:
        """The thread that made the request which the present thread answers; 0: nobody."""
        return 0 if self._mount is None else self._mount.requester()

    def drop(self, name: str) -> bool:
        """Have it forget the pages of a file. Waits for reads of it. False: it knows nothing of that name."""
        if self._mount is None:
            return False
        return self._mount.invalidate(self._prefix if self._prefix and name == ROOT else f"{self._prefix}{name}")
