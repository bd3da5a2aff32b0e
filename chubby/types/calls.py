"""The calls a client makes of the master, and their results (DESIGN §6; paper §2.6).

Handle calls bear the paper's names. A call names a handle by its client-chosen number within the session; the master
knows the handle from Open or Resume. Purely local ones (poison) never reach the master. Every call is answered by
exactly one `Result` or by a `Failure`.
"""

from __future__ import annotations

import enum

import msgspec

from chubby.types.events import EventMask
from chubby.types.identity import HandleNumber, Incarnation, ReplicaId, Revision, SessionId, WatchNumber
from chubby.types.nodes import AclNames, LockMode, NodeKind
from chubby.types.time import Duration
from chubby.types.transaction import Guard, Operation


class Mode(enum.IntFlag):
    """What a handle may be used for; checked against the ACLs once, at Open. WRITE covers locking."""

    READ = 1
    WRITE = 2
    CHANGE_ACL = 4


class CreateMode(enum.IntEnum):
    """Whether Open makes the node."""

    NEVER = 0
    MAY = 1
    MUST = 2


class Open(msgspec.Struct, frozen=True, tag="open"):
    """Open a node, making it if so asked. `handle` is the client's fresh number. Fields from `kind` on matter only for
    a new node.
    """

    handle: HandleNumber
    path: str
    mode: Mode = Mode.READ
    events: EventMask = EventMask.NONE
    create: CreateMode = CreateMode.NEVER
    kind: NodeKind = NodeKind.FILE
    ephemeral: bool = False
    sequential: bool = False
    contents: bytes = b""
    acl: AclNames | None = None
    attributes: dict[str, bytes] = {}


class Close(msgspec.Struct, frozen=True, tag="close"):
    """Close a handle; releases a lock it holds or waits for. Never fails."""

    handle: HandleNumber


class GetContentsAndStat(msgspec.Struct, frozen=True, tag="get_contents_and_stat"):
    """Read the whole content and the metadata."""

    handle: HandleNumber


class GetStat(msgspec.Struct, frozen=True, tag="get_stat"):
    """Read the metadata."""

    handle: HandleNumber


class GetLockInfo(msgspec.Struct, frozen=True, tag="get_lock_info"):
    """Read the state of the node's lock; never cached."""

    handle: HandleNumber


class ReadDir(msgspec.Struct, frozen=True, tag="read_dir"):
    """Read one page of children in name order, those after the name `after`; `limit` 0 means the greatest page."""

    handle: HandleNumber
    after: str = ""
    limit: int = 0


class SetContents(msgspec.Struct, frozen=True, tag="set_contents"):
    """Replace the whole content; with `generation`, only if the content generation is that one (compare-and-set)."""

    handle: HandleNumber
    contents: bytes
    generation: int | None = None


class SetAcl(msgspec.Struct, frozen=True, tag="set_acl"):
    """Replace the ACL names; with `generation`, only if the ACL generation is that one."""

    handle: HandleNumber
    acl: AclNames
    generation: int | None = None


class SetAttributes(msgspec.Struct, frozen=True, tag="set_attributes"):
    """Change single attributes; an empty value removes the name."""

    handle: HandleNumber
    attributes: dict[str, bytes]


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """Delete the node; it must have no children."""

    handle: HandleNumber


class Acquire(msgspec.Struct, frozen=True, tag="acquire"):
    """Take the lock; answered when it is granted. With `wait` false (TryAcquire) LOCK_CONFLICT at once if it is
    not free.

    Idempotent: a repeat by the same owner finds its own grant or its own place in the queue.
    """

    handle: HandleNumber
    mode: LockMode = LockMode.EXCLUSIVE
    wait: bool = True
    lock_delay: Duration = 0


class CancelAcquire(msgspec.Struct, frozen=True, tag="cancel_acquire"):
    """Leave the queue. If the lock was granted meanwhile it stays held and the result says so; idempotent."""

    handle: HandleNumber


class Release(msgspec.Struct, frozen=True, tag="release"):
    """Give the lock back; LOCK_NOT_HELD if it is not held."""

    handle: HandleNumber


class GetSequencer(msgspec.Struct, frozen=True, tag="get_sequencer"):
    """The sequencer of the lock this handle holds."""

    handle: HandleNumber


class SetSequencer(msgspec.Struct, frozen=True, tag="set_sequencer"):
    """Bind a sequencer to the handle: its later operations fail with SEQUENCER_INVALID once it is no longer valid."""

    handle: HandleNumber
    sequencer: bytes


class CheckSequencer(msgspec.Struct, frozen=True, tag="check_sequencer"):
    """Answers with the sequencer's meaning if its hold period lasts, else SEQUENCER_INVALID."""

    sequencer: bytes


class Transact(msgspec.Struct, frozen=True, tag="transact"):
    """`if all guards: then, else otherwise`, atomically; permissions are checked per path."""

    guards: tuple[Guard, ...] = ()
    then: tuple[Operation, ...] = ()
    otherwise: tuple[Operation, ...] = ()


class Watch(msgspec.Struct, frozen=True, tag="watch"):
    """Be told of changes of a node (recursive: of its whole subtree) with revisions above `since` (None: from now on).

    The node need not exist. A `since` older than the history gives one RESYNC event first.
    """

    watch: WatchNumber
    path: str
    recursive: bool = False
    since: Revision | None = None


class Unwatch(msgspec.Struct, frozen=True, tag="unwatch"):
    """End a watch; idempotent."""

    watch: WatchNumber


class ListLocks(msgspec.Struct, frozen=True, tag="list_locks"):
    """All locks that are held, delayed or waited for, in path order, after the path `after`."""

    after: str = ""
    limit: int = 0


class ListSessions(msgspec.Struct, frozen=True, tag="list_sessions"):
    """All sessions in order of their ids."""

    after: SessionId = 0
    limit: int = 0


class StepDown(msgspec.Struct, frozen=True, tag="step_down"):
    """Ask the master to hand over in good order, to `successor` if that replica is fit (0: whoever is)."""

    successor: ReplicaId = 0


class MemberAction(enum.IntEnum):
    """What `ChangeMembers` does: REPLACE admits a new incarnation of the same replica number at new addresses."""

    ADD = 1
    REMOVE = 2
    REPLACE = 3


class ChangeMembers(msgspec.Struct, frozen=True, tag="change_members"):
    """Add (`replica` unknown so far), remove or replace one replica; addresses are host:port. Refused where it would
    endanger the quorum.

    `incarnation` is that of the replica to be removed or replaced, as the members had it when the caller looked (0: one
    that is expected, but has not come yet; None: whichever is there). The call then never strikes another one, however
    often it is repeated and however late it comes. Where the members are as it asks already, it is done.
    """

    action: MemberAction
    replica: ReplicaId
    peer_address: str = ""
    client_address: str = ""
    incarnation: Incarnation | None = None


Call = (
    Open
    | Close
    | GetContentsAndStat
    | GetStat
    | GetLockInfo
    | ReadDir
    | SetContents
    | SetAcl
    | SetAttributes
    | Delete
    | Acquire
    | CancelAcquire
    | Release
    | GetSequencer
    | SetSequencer
    | CheckSequencer
    | Transact
    | Watch
    | Unwatch
    | ListLocks
    | ListSessions
    | StepDown
    | ChangeMembers
)
