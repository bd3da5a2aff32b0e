"""What may go wrong with a mount as such. What goes wrong with its cell is a ChubbyError."""

from __future__ import annotations

import enum


class Trouble(enum.Enum):
    """The kinds, by what can be done about them."""

    FUSE = "fuse"
    """This machine or this user cannot mount anything."""
    DIRECTORY = "directory"
    """It cannot be mounted, or unmounted, at this directory."""
    MOUNTED = "mounted"
    """A mount of ours is there already."""
    NOT_MOUNTED = "not mounted"
    """Nothing is mounted there."""
    BUSY = "busy"
    """Somebody uses the mount."""
    REFUSED = "refused"
    """The kernel does not let this user do it."""
    ENDED = "ended"
    """The process of the mount ended, or hung, before it had mounted."""


class MountError(Exception):
    """A trouble, with one English sentence for a human."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        """Programs look at `trouble` alone."""
        super().__init__(message)
        self.trouble = trouble
