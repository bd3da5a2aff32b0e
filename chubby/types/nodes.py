"""What a node shows of itself: kind, access-control names, metadata, and the state of its lock (DESIGN §4 Node,
Locks).
"""

from __future__ import annotations

import enum

import msgspec

from chubby.types.identity import HandleNumber, Revision, SessionId, Token
from chubby.types.time import Duration


class NodeKind(enum.IntEnum):
    """A hint for listings and mounts; any node may hold data and children.

    A node begins as what its creator said, and is a directory from its first child on, also when the children are gone.
    """

    FILE = 0
    DIRECTORY = 1


class AclNames(msgspec.Struct, frozen=True, array_like=True):
    """The names of the three access-control lists of a node: files below `/acl` of the cell, one principal a line."""

    read: str
    write: str
    change: str


ANYONE = "anyone"
"""The built-in list that admits every principal."""


class Stat(msgspec.Struct, frozen=True, gc=False):
    """The cacheable metadata of a node. Lock fields are never cached and live in `LockInfo` instead.

    `instance` is greater than that of any earlier node of the cell; the generations count changes within the instance.
    `checksum` is 64 bits of BLAKE2b over the content. `created` and `modified` are revisions, `*_ms` wall time
    for display.
    """

    kind: NodeKind
    ephemeral: bool
    instance: int
    content_generation: int
    acl_generation: int
    checksum: int
    length: int
    created: Revision
    modified: Revision
    created_ms: int
    modified_ms: int
    acl: AclNames
    attributes: dict[str, bytes] = {}


class DirEntry(msgspec.Struct, frozen=True, gc=False):
    """One child in a listing."""

    name: str
    stat: Stat


class LockMode(enum.IntEnum):
    """How a lock is held or wanted."""

    EXCLUSIVE = 1
    SHARED = 2


class LockOwner(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Who holds or wants a lock: one handle of one session."""

    session: SessionId
    handle: HandleNumber


class LockInfo(msgspec.Struct, frozen=True):
    """The state of one node's lock, as of the moment the master answered; never cached.

    `generation` counts transitions from free to held, `token` is the fencing number of the current (or last) hold
    period, 0 if none yet. `mode` is None while free. `delayed` is true while lock-delay keeps it closed; `delay` is the
    holder's lock-delay.
    """

    path: str
    mode: LockMode | None
    generation: int
    token: Token
    holders: tuple[LockOwner, ...]
    waiters: tuple[tuple[LockOwner, LockMode], ...]
    delayed: bool
    delay: Duration


class Sequencer(msgspec.Struct, frozen=True, array_like=True):
    """What the opaque bytes of a sequencer mean: one hold period of one lock (paper §2.4)."""

    path: str
    instance: int
    mode: LockMode
    generation: int
    token: Token
