"""Every operation of the interface once, for both faces (DESIGN §6; paper §2.6).

An operation is a generator: it yields calls, is sent their results, and returns what the user gets. So it says what is
done and nothing of how one waits; the asyncio face awaits the answers, the synchronous one blocks for them. A failed
call is thrown into it as its ChubbyError.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

import msgspec

from chubby.client.names import Names
from chubby.client.sequencer import SequencerBytes
from chubby.errors import BadArgument, InternalError, error_of
from chubby.types.calls import (
    Acquire,
    Call,
    ChangeMembers,
    CheckSequencer,
    Delete,
    GetContentsAndStat,
    GetLockInfo,
    GetSequencer,
    GetStat,
    ListLocks,
    ListSessions,
    Open,
    ReadDir,
    Release,
    SetAcl,
    SetAttributes,
    SetContents,
    SetSequencer,
    StepDown,
    Transact,
    Watch,
)
from chubby.types.identity import HandleNumber, ReplicaId, Revision
from chubby.types.limits import LOCK_DELAY_MAXIMUM
from chubby.types.nodes import AclNames, DirEntry, LockInfo, LockMode, Stat
from chubby.types.results import (
    Contents,
    Done,
    Listing,
    LockGranted,
    LockInfoResult,
    Locks,
    Opened,
    Result,
    SequencerResult,
    SessionInfo,
    Sessions,
    StatResult,
    Transacted,
    Watching,
)
from chubby.types.time import SECOND, Duration, from_seconds
from chubby.types.transaction import Guard, Operation, TransactionResult

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)

Steps = Generator[Call, Result, T]
"""What an operation is: see the module."""


def expect(result: Result, kind: type[R]) -> R:
    """`result`, which must be of this kind: a master that answers otherwise has a bug."""
    if not isinstance(result, kind):
        raise InternalError(f"the master answered with {type(result).__name__} where {kind.__name__} was due")
    return result


def lock_delay(seconds: float) -> Duration:
    """A lock-delay in seconds as a duration. Raises BadArgument beyond a minute."""
    delay = from_seconds(seconds)
    if not 0 <= delay <= LOCK_DELAY_MAXIMUM:
        raise BadArgument(f"a lock-delay is between 0 and {LOCK_DELAY_MAXIMUM // SECOND} s, not {seconds} s")
    return delay


def open_node(call: Open) -> Steps[Opened]:
    """Open a node."""
    return expect((yield call), Opened)


def watch(call: Watch) -> Steps[Revision]:
    """Begin a watch: the revision above which changes will be told."""
    return expect((yield call), Watching).revision


# --------------------------------------------------------------------------------------------------- through a handle


def get_contents_and_stat(handle: HandleNumber) -> Steps[tuple[bytes, Stat]]:
    """The whole content and the metadata, of one instant."""
    answer = expect((yield GetContentsAndStat(handle)), Contents)
    return answer.contents, answer.stat


def get_stat(handle: HandleNumber) -> Steps[Stat]:
    """The metadata."""
    return expect((yield GetStat(handle)), StatResult).stat


def get_lock_info(handle: HandleNumber) -> Steps[LockInfo]:
    """Who holds and who waits for the lock."""
    return expect((yield GetLockInfo(handle)), LockInfoResult).info


def read_dir(handle: HandleNumber) -> Steps[list[DirEntry]]:
    """All children in name order, page by page."""
    entries: list[DirEntry] = []
    while True:
        page = expect((yield ReadDir(handle, entries[-1].name if entries else "")), Listing)
        entries += page.entries
        if not page.more or not page.entries:
            return entries


def read_dir_page(handle: HandleNumber, after: str, limit: int) -> Steps[tuple[list[DirEntry], bool]]:
    """One page of children: those after the name `after`, and whether more follow."""
    page = expect((yield ReadDir(handle, after, limit)), Listing)
    return list(page.entries), page.more


def set_contents(handle: HandleNumber, contents: bytes, generation: int | None) -> Steps[Stat]:
    """Replace the content; the metadata afterwards."""
    return expect((yield SetContents(handle, bytes(contents), generation)), StatResult).stat


def set_acl(handle: HandleNumber, acl: AclNames, generation: int | None) -> Steps[Stat]:
    """Replace the ACL names; the metadata afterwards."""
    return expect((yield SetAcl(handle, acl, generation)), StatResult).stat


def set_attributes(handle: HandleNumber, attributes: dict[str, bytes]) -> Steps[Stat]:
    """Change single attributes; the metadata afterwards."""
    return expect((yield SetAttributes(handle, attributes)), StatResult).stat


def delete(handle: HandleNumber) -> Steps[Revision]:
    """Delete the node; the revision that did it."""
    return expect((yield Delete(handle)), Done).revision


def acquire(handle: HandleNumber, mode: LockMode, wait: bool, delay: float) -> Steps[LockGranted]:
    """Take the lock."""
    return expect((yield Acquire(handle, mode, wait, lock_delay(delay))), LockGranted)


def release(handle: HandleNumber) -> Steps[None]:
    """Give the lock back."""
    expect((yield Release(handle)), Done)


def get_sequencer(handle: HandleNumber) -> Steps[SequencerBytes]:
    """The sequencer of the lock held."""
    return SequencerBytes.of(expect((yield GetSequencer(handle)), SequencerResult))


def set_sequencer(handle: HandleNumber, sequencer: bytes) -> Steps[None]:
    """Bind a sequencer to the handle."""
    expect((yield SetSequencer(handle, bytes(sequencer))), Done)


def check_sequencer(sequencer: bytes) -> Steps[SequencerBytes]:
    """What a sequencer means, if its hold period lasts."""
    return SequencerBytes.of(expect((yield CheckSequencer(bytes(sequencer))), SequencerResult))


# ------------------------------------------------------------------------------------------------------ on the session


def transaction(
    names: Names, guards: Sequence[Guard], then: Sequence[Operation], otherwise: Sequence[Operation]
) -> Steps[TransactionResult]:
    """`if all guards: then, else otherwise`. Raises why nothing changed, if an operation failed."""
    call = Transact(names.resolve(guards), names.resolve(then), names.resolve(otherwise))
    result = expect((yield call), Transacted).result
    if result.failure is not None:
        error = error_of(result.failure)
        error.add_note(f"operation {result.failed_operation} of the transaction; nothing changed")
        raise error
    return result


def list_locks() -> Steps[list[LockInfo]]:
    """All locks held, delayed or waited for, in path order."""
    locks: list[LockInfo] = []
    while True:
        page = expect((yield ListLocks(locks[-1].path if locks else "")), Locks)
        locks += page.locks
        if not page.more or not page.locks:
            return locks


def list_sessions() -> Steps[list[SessionInfo]]:
    """All sessions of the cell."""
    sessions: list[SessionInfo] = []
    while True:
        page = expect((yield ListSessions(sessions[-1].session if sessions else 0)), Sessions)
        sessions += page.sessions
        if not page.more or not page.sessions:
            return sessions


def step_down(successor: ReplicaId) -> Steps[None]:
    """Ask the master to hand over."""
    expect((yield StepDown(successor)), Done)


def change_members(call: ChangeMembers) -> Steps[None]:
    """Add, remove or replace one replica."""
    expect((yield call), Done)
