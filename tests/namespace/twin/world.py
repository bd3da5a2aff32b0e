"""All state of the twin, and what the command at hand has brought about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import AcquireLock
from chubby.namespace.outcomes import Change, Conflict, Delay, Grant, Reply
from chubby.namespace.views import Genesis
from chubby.types.events import EventKind
from chubby.types.nodes import AclNames, LockMode, LockOwner, NodeKind, Stat

Owner = tuple[int, int]


@dataclass
class TwinNode:
    """A node and everything that hangs on it."""

    kind: NodeKind
    ephemeral: bool
    instance: int
    contents: bytes
    created: int
    modified: int
    created_ms: int
    modified_ms: int
    acl: AclNames
    attributes: dict[str, bytes]
    content_generation: int = 1
    acl_generation: int = 1
    sequence: int = 0
    lock_generation: int = 0
    lock_token: int = 0
    opens: list[Owner] = field(default_factory=list)
    mode: LockMode | None = None
    holders: list[tuple[Owner, int]] = field(default_factory=list)
    waiters: list[tuple[Owner, LockMode, int]] = field(default_factory=list)
    owed: int = 0
    delayed: bool = False

    def stat(self) -> Stat:
        """The metadata clients see."""
        digest = hashlib.blake2b(self.contents, digest_size=8).digest()
        return Stat(
            self.kind,
            self.ephemeral,
            self.instance,
            self.content_generation,
            self.acl_generation,
            int(digest.hex(), 16),
            len(self.contents),
            self.created,
            self.modified,
            self.created_ms,
            self.modified_ms,
            self.acl,
            {name: self.attributes[name] for name in sorted(self.attributes)},
        )

    def size(self) -> int:
        """What counts against the quota of bytes."""
        return len(self.contents) + sum(len(key.encode()) + len(value) for key, value in self.attributes.items())


@dataclass
class TwinSession:
    """A session and what it was answered: a reply, or the question for a lock that was not free."""

    principal: str
    caching: bool
    nonce: int
    acknowledged: int = 0
    replies: dict[int, Reply | AcquireLock] = field(default_factory=dict)


class Refused(Exception):
    """An operation fails."""

    def __init__(self, code: ErrorCode) -> None:
        """The failure, without words."""
        self.failure = Failure(code, "")
        super().__init__(code.name)


class Void(Exception):
    """A command is void."""

    def __init__(self, code: ErrorCode) -> None:
        """Why, without words."""
        self.failure = Failure(code, "")
        super().__init__(code.name)


class World:
    """Everything there is."""

    def __init__(self, genesis: Genesis) -> None:
        """A new cell."""
        floor = genesis.counter_floor
        self.cell, self.name, self.admins = genesis.cell, genesis.name, genesis.admins
        self.limits, self.caps, self.keys = genesis.limits, genesis.caps, [genesis.key]
        self.version, self.applied, self.epoch, self.master = 1, 0, 0, 0
        self.revision = self.token = self.last_session = self.forgotten = floor
        self.instance = floor + 2
        self.changes = 0
        self.nodes: dict[str, TwinNode] = {}
        for number, path, write in ((1, "/", "anyone"), (2, "/acl", "administrators")):
            acl = AclNames("anyone", write, "administrators")
            self.nodes[path] = TwinNode(
                NodeKind.DIRECTORY,
                False,
                floor + number,
                b"",
                floor,
                floor,
                genesis.time_ms,
                genesis.time_ms,
                acl,
                {},
            )
        self.sessions: dict[int, TwinSession] = {}
        self.history: list[Change] = []
        self.fresh: list[int] = []
        self.last_made: str | None = None
        self.begin(0, 0)

    def begin(self, slot: int, time_ms: int) -> None:
        """A command is about to be applied: nothing has happened yet."""
        self.applied, self.time_ms = slot, time_ms
        self.told: list[Change] = []
        self.grants: list[Grant] = []
        self.conflicts: list[Conflict] = []
        self.delays: list[Delay] = []
        self.orphaned: list[LockOwner] = []
        self.ended: list[int] = []
        self.of_session, self.of_number, self.repeated = 0, 0, False

    def children(self, directory: str) -> list[str]:
        """The paths of a node's children."""
        prefix = directory.rstrip("/") + "/"
        below = [path for path in self.nodes if path.startswith(prefix) and path != "/"]
        return [path for path in below if "/" not in path[len(prefix) :]]

    def bytes_used(self) -> int:
        """What counts against the quota of bytes."""
        return sum(node.size() for node in self.nodes.values())

    def delete(self, path: str) -> None:
        """A node goes, and whoever holds or awaits its lock loses its place."""
        node = self.nodes.pop(path)
        self.orphaned += [LockOwner(*owner) for owner, _ in node.holders]
        self.orphaned += [LockOwner(*owner) for owner, _, _ in node.waiters]
        self.told.append(Change(self.revision + 1, EventKind.DELETED, path, node.instance, node.content_generation))

    def reap(self) -> None:
        """Delete ephemerals that nobody has open and nothing is below, the first in path order, until there is none."""
        while True:
            abandoned = [
                path
                for path, node in self.nodes.items()
                if node.ephemeral and not node.opens and node.instance not in self.fresh and not self.children(path)
            ]
            if not abandoned:
                return
            self.delete(min(abandoned))
