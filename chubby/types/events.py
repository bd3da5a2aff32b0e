"""Events: what a client is told after the fact (DESIGN §5 Events; paper §2.5).

Content and child events derive from the replicated history and are never lost: they carry the revision that caused
them. Lock events derive from lock state. Events of one session arrive in the order in which they happened.
"""

from __future__ import annotations

import enum

import msgspec

from chubby.types.identity import HandleNumber, Revision, WatchNumber


class EventMask(enum.IntFlag):
    """Which events a handle wants, chosen at Open."""

    NONE = 0
    CONTENTS_MODIFIED = 1
    CHILD_CHANGED = 2
    MASTER_FAILED_OVER = 4
    HANDLE_INVALID = 8
    LOCK_ACQUIRED = 16
    LOCK_CONFLICT = 32
    ALL = 63


class EventKind(enum.IntEnum):
    """What happened. The first block concerns one node, the second is about one's own handle, the third one's position
    in the history.
    """

    CREATED = 1
    CONTENTS_MODIFIED = 2
    DELETED = 3
    ACL_MODIFIED = 4
    ATTRIBUTES_MODIFIED = 5
    HANDLE_INVALID = 10
    LOCK_ACQUIRED = 11
    LOCK_CONFLICT = 12
    MASTER_FAILED_OVER = 20
    RESYNC = 21
    """History before this point is gone (or the queue overflowed): read again what you rely on."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event for one session.

    Exactly one of `handle` and `watch` is non-zero: whose subscription it answers. `path` is inside the cell; for a
    child event it is the child's. `revision` is 0 for events that do not come from the history. `instance` is that of
    the node meant.
    """

    kind: EventKind
    path: str = ""
    revision: Revision = 0
    instance: int = 0
    generation: int = 0
    handle: HandleNumber = 0
    watch: WatchNumber = 0
