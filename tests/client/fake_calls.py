"""What the fake cell does with each call, and what it remembers of each session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chubby import paths
from chubby.errors import ErrorCode, Failure
from chubby.master.sequencer import seal, unseal
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    ChangeMembers,
    CheckSequencer,
    Close,
    CreateMode,
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
    Unwatch,
    Watch,
)
from chubby.types.limits import READ_DIR_LIMIT
from chubby.types.nodes import LockOwner, Sequencer
from chubby.types.results import (
    Answer,
    Contents,
    Done,
    Listing,
    LockGranted,
    LockInfoResult,
    Locks,
    Opened,
    SequencerResult,
    SessionInfo,
    Sessions,
    StatResult,
    Transacted,
)
from chubby.types.stream import CacheKey, CacheKind, CallFrame
from chubby.types.time import Instant
from chubby.types.transaction import (
    AclGenerationIs,
    Create,
    Exists,
    GenerationIs,
    Guard,
    Operation,
    Remove,
    TransactionResult,
    Write,
    WriteAcl,
    WriteAttributes,
)
from tests.client.fake_sessions import Handle, Session
from tests.client.fake_tree import FakeNode

if TYPE_CHECKING:
    from tests.client.fake_cell import FakeCell

KEYS = (b"a key of the fake cell",)
CELL = 99
NOBODY = 0
"""No handle has this number: the session itself holds open what it made without one."""


def execute(cell: FakeCell, session: Session, frame: CallFrame, now: Instant) -> None:
    """Carry out one call, or begin to."""
    call = frame.call
    if isinstance(call, Open):
        _open(cell, session, frame, call, now)
    elif isinstance(call, Transact):
        keys = cell.tree.keys_of((*call.then, *call.otherwise))

        def transact() -> Answer:
            result = cell.tree.transact(call.guards, call.then, call.otherwise)
            for made in result.results:
                if made.created and cell.tree.nodes[made.path].ephemeral:
                    cell.tree.nodes[made.path].openers.add(LockOwner(session.id, NOBODY))
            return Transacted(result)

        _later(cell, session, frame, keys, transact, now)
    elif isinstance(call, Watch):
        cell.begin_watch(session, frame, call.watch, call.path, call.since)
    elif isinstance(call, Unwatch):
        session.watches.pop(call.watch, None)
        cell.answer(session, frame.number, Done(), now, None)
    elif isinstance(call, CheckSequencer):
        cell.answer(session, frame.number, check_sequencer(cell, call.sequencer), now, None)
    elif isinstance(call, StepDown):
        cell.answer(session, frame.number, Done(), now, None)
    elif isinstance(call, ChangeMembers):
        refused = Failure(ErrorCode.MEMBERSHIP_REFUSED, "the fake cell has no members")
        cell.answer(session, frame.number, refused, now, None)
    elif isinstance(call, ListLocks):
        locks = tuple(cell.tree.lock_info(p) for p, n in sorted(cell.tree.nodes.items()) if n.holders or n.waiters)
        cell.answer(session, frame.number, Locks(locks, False), now, None)
    elif isinstance(call, ListSessions):
        infos = tuple(
            SessionInfo(s.id, "anyone", s.deadline - now, s.stream is not None, len(s.handles), 0, 0, len(s.keys))
            for s in cell.sessions.values()
        )
        cell.answer(session, frame.number, Sessions(infos, False), now, None)
    else:
        _through_handle(cell, session, frame, now)


def check_sequencer(cell: FakeCell, sequencer: bytes) -> Answer:
    """What a sequencer means, if its hold period lasts."""
    meaning = unseal(sequencer, KEYS, CELL)
    if meaning is None:
        return Failure(ErrorCode.SEQUENCER_INVALID, "none of ours")
    node = cell.tree.nodes.get(meaning.path)
    if node is None or node.instance != meaning.instance or not node.holders or node.token != meaning.token:
        return Failure(ErrorCode.SEQUENCER_INVALID, f"the lock {meaning.path} was let go")
    return SequencerResult(sequencer, meaning.path, meaning.mode, meaning.generation, meaning.token)


def _later(
    cell: FakeCell,
    session: Session,
    frame: CallFrame,
    keys: set[CacheKey],
    run: Callable[[], Answer],
    now: Instant,
    fills: Callable[[Answer], set[CacheKey]] | None = None,
) -> None:
    """A change: invalidate first, then run it once and remember the answer. `fills`: what the answer lets cache."""
    session.busy.add(frame.number)
    owner = session.id

    def change(now: Instant) -> None:
        session.busy.discard(frame.number)
        if owner not in cell.sessions or frame.number <= session.acknowledged:
            return
        answer = session.replies[frame.number] = run()
        cell.answer(session, frame.number, answer, now, fills(answer) if fills and frame.caching else None)

    cell.change(session, keys, change, now)


def _open(cell: FakeCell, session: Session, frame: CallFrame, call: Open, now: Instant) -> None:
    node = cell.tree.nodes.get(call.path)
    key = {CacheKey(call.path, CacheKind.NODE)} if frame.caching else None
    if call.create is CreateMode.NEVER or (call.create is CreateMode.MAY and node is not None and not call.sequential):
        if node is None:
            failure = Failure(ErrorCode.NO_NODE, f"{call.path}: no such node")
            cell.answer(session, frame.number, failure, now, key)
        else:
            cell.answer(session, frame.number, _opened(cell, session, call, call.path, False), now, key)
        return
    operation = Create(
        call.path,
        call.contents,
        call.kind,
        call.ephemeral,
        call.sequential,
        call.create is CreateMode.MAY,
        call.acl,
        call.attributes,
    )

    def run() -> Answer:
        result = cell.tree.transact((), (operation,))
        if result.failure is not None:
            return result.failure
        return _opened(cell, session, call, result.results[0].path, result.results[0].created)

    keys = cell.tree.keys_of((operation,))
    above = cell.tree.nodes.get(paths.parent(call.path))
    if call.sequential and above is not None:
        sequence = above.sequence + 1
        keys |= {CacheKey(f"{call.path}{sequence + i:010d}", CacheKind.NODE) for i in range(8)}
    _later(cell, session, frame, keys, run, now, lambda answer: _node_key(getattr(answer, "path", call.path)))


def _node_key(path: str) -> set[CacheKey]:
    return {CacheKey(path, CacheKind.NODE)}


def _opened(cell: FakeCell, session: Session, call: Open, path: str, created: bool) -> Opened:
    node = cell.tree.nodes[path]
    handle = Handle(call.handle, path, node.instance, call.mode, call.events)
    session.handles[call.handle] = handle
    if node.ephemeral:
        node.openers.add(LockOwner(session.id, call.handle))
    return Opened(handle.ticket, path, created, node.stat())


def _through_handle(cell: FakeCell, session: Session, frame: CallFrame, now: Instant) -> None:
    call: Any = frame.call
    handle = session.handles.get(call.handle)
    if isinstance(call, Close):
        _close(cell, session, frame, handle, now)
        return
    node = cell.tree.nodes.get(handle.path) if handle else None
    if handle is None or node is None or node.instance != handle.instance:
        failure: Answer = Failure(ErrorCode.HANDLE_INVALID, "the node is gone, or the handle closed")
        cell.answer(session, frame.number, failure, now, None)
        return
    if handle.sequencer and isinstance(invalid := check_sequencer(cell, handle.sequencer), Failure):
        cell.answer(session, frame.number, invalid, now, None)
    elif isinstance(call, GetContentsAndStat | GetStat | ReadDir | GetLockInfo):
        _read(cell, session, frame, handle, node, now)
    elif isinstance(call, SetContents | SetAcl | SetAttributes | Delete):
        _write(cell, session, frame, handle, node, now)
    else:
        _lock(cell, session, frame, handle, node, now)


def _close(cell: FakeCell, session: Session, frame: CallFrame, handle: Handle | None, now: Instant) -> None:
    if handle is not None:
        del session.handles[handle.number]
        for waiting in session.acquiring.pop(handle.number, {}):
            cell.answer(session, waiting, Failure(ErrorCode.HANDLE_INVALID, "the handle was closed"), now, None)
        node = cell.tree.nodes.get(handle.path)
        if node is not None and node.instance == handle.instance:
            owner = LockOwner(session.id, handle.number)
            cell.tree.release(owner, node)
            node.openers.discard(owner)
            if node.ephemeral and not node.openers:
                session.delete_ephemeral(cell, handle.path, node, now)
    cell.answer(session, frame.number, Done(), now, None)


def _read(cell: FakeCell, session: Session, frame: CallFrame, handle: Handle, node: FakeNode, now: Instant) -> None:
    call, path = frame.call, handle.path
    keys = _node_key(path) if frame.caching else None
    if isinstance(call, GetContentsAndStat):
        cell.answer(session, frame.number, Contents(node.contents, node.stat()), now, keys)
    elif isinstance(call, GetStat):
        cell.answer(session, frame.number, StatResult(node.stat()), now, keys)
    elif isinstance(call, ReadDir):
        entries = cell.tree.children(path, call.after)
        page = entries[: min(call.limit, READ_DIR_LIMIT) or READ_DIR_LIMIT]
        if keys is not None:
            below = path if path == "/" else path + "/"
            keys = {CacheKey(path, CacheKind.CHILDREN)}
            keys |= {CacheKey(below + entry.name, CacheKind.NODE) for entry in page}
        cell.answer(session, frame.number, Listing(tuple(page), len(page) < len(entries)), now, keys)
    else:
        cell.answer(session, frame.number, LockInfoResult(cell.tree.lock_info(path)), now, None)


def _write(cell: FakeCell, session: Session, frame: CallFrame, handle: Handle, node: FakeNode, now: Instant) -> None:
    call, path = frame.call, handle.path
    guards: list[Guard] = [Exists(path, node.instance)]
    operation: Operation
    if isinstance(call, SetContents):
        operation = Write(path, call.contents)
        guards += [GenerationIs(path, call.generation)] if call.generation is not None else []
    elif isinstance(call, SetAcl):
        operation = WriteAcl(path, call.acl)
        guards += [AclGenerationIs(path, call.generation)] if call.generation is not None else []
    elif isinstance(call, SetAttributes):
        operation = WriteAttributes(path, call.attributes)
    else:
        operation = Remove(path)

    def run() -> Answer:
        return _of_transaction(cell.tree.transact(guards, (operation,)))

    fills = None if isinstance(operation, Remove) else lambda answer: _node_key(path)
    _later(cell, session, frame, cell.tree.keys_of((operation,)), run, now, fills)


def _of_transaction(result: TransactionResult) -> Answer:
    if result.failure is not None:
        return result.failure
    if result.failed_guard == 0:
        return Failure(ErrorCode.HANDLE_INVALID, "the node is gone")
    if result.failed_guard is not None:
        return Failure(ErrorCode.GENERATION_MISMATCH, "somebody else was first")
    stat = result.results[0].stat
    return Done(result.revision) if stat is None else StatResult(stat, result.revision)


def _lock(cell: FakeCell, session: Session, frame: CallFrame, handle: Handle, node: FakeNode, now: Instant) -> None:
    call = frame.call
    owner = LockOwner(session.id, handle.number)
    granted = LockGranted(node.token, node.lock_generation)
    answer: Answer | None = None
    if isinstance(call, Acquire):
        waited = owner in node.waiters
        if cell.tree.acquire(owner, node, call.mode, call.wait):
            answer = LockGranted(node.token, node.lock_generation)
        elif call.wait:
            assert waited or owner in node.waiters
            session.acquiring.setdefault(handle.number, {})[frame.number] = None
        else:
            answer = Failure(ErrorCode.LOCK_CONFLICT, f"{handle.path} is locked")
    elif isinstance(call, CancelAcquire):
        cell.tree.leave(owner, node)
        for number in session.acquiring.pop(handle.number, {}):
            cell.answer(session, number, Failure(ErrorCode.CANCELLED, "cancelled"), now, None)
        answer = granted if owner in node.holders else Done()
    elif isinstance(call, Release):
        held = cell.tree.release(owner, node)
        answer = Done() if held else Failure(ErrorCode.LOCK_NOT_HELD, f"{handle.path} is not held by this handle")
    elif isinstance(call, GetSequencer):
        answer = _sequencer(handle, node, owner)
    elif isinstance(call, SetSequencer):
        answer = check_sequencer(cell, call.sequencer)
        if not isinstance(answer, Failure):
            handle.sequencer, answer = call.sequencer, Done()
    if answer is not None:
        session.replies[frame.number] = answer
        cell.answer(session, frame.number, answer, now, None)


def _sequencer(handle: Handle, node: FakeNode, owner: LockOwner) -> Answer:
    if owner not in node.holders or node.mode is None:
        return Failure(ErrorCode.LOCK_NOT_HELD, f"{handle.path} is not held by this handle")
    meaning = Sequencer(handle.path, node.instance, node.mode, node.lock_generation, node.token)
    sealed = seal(KEYS, CELL, meaning)
    return SequencerResult(sealed, meaning.path, meaning.mode, meaning.generation, meaning.token)
