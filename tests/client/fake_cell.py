"""A whole cell in one object, as a client sees it: sessions, caching, invalidation, locks, events, fail-over.

Sans-IO like the client's core: time is an argument, what it sends goes to the callable given at `attach`. It keeps the
master's half of the caching contract (DESIGN §5) and nothing else: no log, no replicas, no permissions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chubby.errors import ErrorCode, Failure
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.identity import Revision, SessionId, WatchNumber
from chubby.types.nodes import LockOwner
from chubby.types.results import Answer, LockGranted, Watching
from chubby.types.stream import (
    Acknowledge,
    CacheKey,
    CacheKind,
    CallFrame,
    ClientFrame,
    CloseSession,
    KeepAlive,
    KeepAliveReply,
    OpenSession,
    Push,
    Redirect,
    Refused,
    Reply,
    Resume,
    Resumed,
    ServerFrame,
    SessionClosed,
    SessionOpened,
)
from chubby.types.time import SECOND, Duration, Instant
from tests.client.fake_calls import execute
from tests.client.fake_sessions import Handle, Pending, Session
from tests.client.fake_tree import Change, FakeTree


class FakeStream:
    """One attached stream."""

    def __init__(self, deliver: Callable[[list[ServerFrame]], None], end: Callable[[], None]) -> None:
        self.deliver = deliver
        self.end = end
        self.session: Session | None = None
        self.pushed = 0
        self.open = True


class FakeCell:
    """See the module. `serving` false: it redirects to `elsewhere`; `mute`: it hears, acts, and says nothing."""

    def __init__(
        self,
        session_lease: Duration = 12 * SECOND,
        cache_lease: Duration = 4 * SECOND,
        grace_period: Duration = 45 * SECOND,
        drift_ppm: int = 10_000,
    ) -> None:
        self.tree = FakeTree()
        self.epoch = 7
        self.serving = True
        self.mute = False
        self.elsewhere = ""
        self.session_lease = session_lease
        self.cache_lease = cache_lease
        self.grace_period = grace_period
        self.drift_ppm = drift_ppm
        self.sessions: dict[SessionId, Session] = {}
        self.ended: dict[SessionId, None] = {}
        self.pending: list[Pending] = []
        self.uncachable: dict[CacheKey, int] = {}
        self.received: list[ClientFrame] = []
        self._told = 0

    # ----------------------------------------------------------------------------------------------------- streams

    def attach(self, deliver: Callable[[list[ServerFrame]], None], end: Callable[[], None]) -> FakeStream:
        """Begin a stream."""
        return FakeStream(deliver, end)

    def detach(self, stream: FakeStream) -> None:
        """The connection is gone."""
        stream.open = False
        if stream.session is not None and stream.session.stream is stream:
            stream.session.stream = None

    def send(self, stream: FakeStream | None, *frames: ServerFrame) -> None:
        """Say something, if anybody is there and we are not mute."""
        if stream is not None and stream.open and not self.mute:
            stream.deliver(list(frames))

    def _finish(self, stream: FakeStream, *frames: ServerFrame) -> None:
        self.send(stream, *frames)
        self.detach(stream)
        stream.end()

    def receive(self, stream: FakeStream, frames: Sequence[ClientFrame], now: Instant) -> None:
        """Take what a client sent."""
        self.tick(now)
        for frame in frames:
            if not stream.open:
                return
            self.received.append(frame)
            if not self.serving:
                self._finish(stream, Redirect(self.elsewhere, self.epoch))
            elif isinstance(frame, OpenSession):
                self._open_session(stream, frame, now)
            elif isinstance(frame, Resume):
                self._resume(stream, frame, now)
            elif stream.session is not None and stream.session.stream is stream:
                self._continue(stream, stream.session, frame, now)
        self.tick(now)

    def _continue(self, stream: FakeStream, session: Session, frame: ClientFrame, now: Instant) -> None:
        if isinstance(frame, CallFrame):
            self._call(session, frame, now)
        elif isinstance(frame, KeepAlive):
            session.deadline = now + self.session_lease
            cache = self._grant_cache(session, now) if frame.caching else 0
            self.send(stream, KeepAliveReply(frame.number, self.session_lease, cache))
        elif isinstance(frame, Acknowledge):
            session.acknowledged_push = max(session.acknowledged_push, frame.push)
            session.dropping = {key: push for key, push in session.dropping.items() if push > frame.push}
        elif isinstance(frame, CloseSession):
            self._finish(stream, SessionClosed())
            self.expire(session.id, now)

    def _open_session(self, stream: FakeStream, frame: OpenSession, now: Instant) -> None:
        session = next((session for session in self.sessions.values() if session.nonce == frame.nonce), None)
        if session is None:
            session = Session(self.tree.number(), frame.nonce, frame.caching)
            self.sessions[session.id] = session
        self._adopt(stream, session, now)
        lease = self._grant_cache(session, now)
        ticket = b"session %d" % session.id
        self.send(
            stream,
            SessionOpened(
                session.id,
                ticket,
                99,
                self.epoch,
                self.session_lease,
                lease,
                self.grace_period,
                self.drift_ppm,
                self.tree.revision,
            ),
        )

    def _adopt(self, stream: FakeStream, session: Session, now: Instant) -> None:
        """From now on the session speaks on this stream alone; its cache is empty, so nothing waits for it."""
        if session.stream is not None:
            old: FakeStream = session.stream
            self.detach(old)
            old.end()
        session.stream, stream.session = stream, session
        session.deadline = now + self.session_lease
        session.pushed = session.acknowledged_push = 0
        session.keys.clear()
        session.dropping.clear()
        session.caches_unknown = False
        for pending in self.pending:
            pending.waits_for.pop(session.id, None)

    def _grant_cache(self, session: Session, now: Instant) -> Duration:
        """Renew the cache lease, unless an acknowledgement is owed."""
        if not session.caching or session.pushed != session.acknowledged_push:
            return 0
        session.cache_deadline = now + self.cache_lease
        return self.cache_lease

    def _resume(self, stream: FakeStream, frame: Resume, now: Instant) -> None:
        session = self.sessions.get(frame.session)
        if session is None or frame.ticket != b"session %d" % session.id:
            self._finish(stream, Refused(Failure(ErrorCode.SESSION_EXPIRED, "the session expired")))
            return
        if frame.stream <= session.stream_number:
            self._finish(stream, Refused(Failure(ErrorCode.BAD_ARGUMENT, "an older stream")))
            return
        session.stream_number = frame.stream
        self._adopt(stream, session, now)
        lost = []
        for claim in frame.handles:
            handle = Handle.of_ticket(claim.handle, claim.ticket, claim.events)
            node = self.tree.nodes.get(handle.path)
            if node is None or node.instance != handle.instance:
                lost.append((claim.handle, Failure(ErrorCode.HANDLE_INVALID, "deleted meanwhile")))
            else:
                session.handles[claim.handle] = handle
        for watch in frame.watches:
            session.watches[watch.watch] = (watch.path, watch.recursive, 0)
        lease = self._grant_cache(session, now)
        self.send(stream, Resumed(self.epoch, self.session_lease, lease, tuple(lost)))
        self.tell(session, [change for change in self.tree.history if change.revision > frame.cursor])

    # ------------------------------------------------------------------------------------------------------- calls

    def _call(self, session: Session, frame: CallFrame, now: Instant) -> None:
        for number in [number for number in session.replies if number <= frame.acknowledged]:
            del session.replies[number]
        if frame.number <= session.acknowledged or frame.number in session.busy:
            return
        session.acknowledged = max(session.acknowledged, frame.acknowledged)
        known = session.replies.get(frame.number)
        if known is not None:
            self.send(session.stream, Reply(frame.number, known))
        else:
            execute(self, session, frame, now)

    def answer(self, session: Session, number: int, answer: Answer, now: Instant, keys: set[CacheKey] | None) -> None:
        """Reply to call `number`; `keys` (None: none) become cached, unless a change of one of them is under way."""
        cacheable = session.caching and keys is not None and not any(self._changing(key) for key in keys)
        lease = self._grant_cache(session, now) if keys is not None else 0
        if cacheable and keys is not None:
            session.keys |= keys
        self.send(session.stream, Reply(number, answer, cacheable, lease))

    def _changing(self, key: CacheKey) -> bool:
        """Whether a change of `key` is under way; of a file, a change among its children, which make it a directory."""
        is_file = key.path in self.tree.nodes and not self.tree.is_directory(key.path)
        keys = [key, CacheKey(key.path, CacheKind.CHILDREN)] if key.kind is CacheKind.NODE and is_file else [key]
        return any(self.uncachable.get(each) for each in keys)

    def change(
        self, session: Session | None, keys: set[CacheKey], run: Callable[[Instant], None], now: Instant
    ) -> None:
        """Invalidate first: `run` once all who may cache `keys` have acknowledged or lost their cache lease."""
        if session is not None:
            session.keys -= keys
        pending = Pending(keys, run)
        for key in keys:
            self.uncachable[key] = self.uncachable.get(key, 0) + 1
        for other in self.sessions.values():
            if other is session or not (other.caches_unknown or (other.keys | other.dropping.keys()) & keys):
                continue
            dropped = tuple(sorted(other.keys & keys))
            other.keys -= keys
            if other.stream is not None and dropped:
                other.pushed += 1
                other.dropping |= dict.fromkeys(dropped, other.pushed)
                self.send(other.stream, Push(other.pushed, dropped))
            pending.waits_for[other.id] = other.pushed
        self.pending.append(pending)
        self.tick(now)

    def tick(self, now: Instant) -> None:
        """Let time pass: sessions expire, changes that need not wait any longer are made."""
        for session in [session for session in self.sessions.values() if session.deadline <= now]:
            self.expire(session.id, now)
        for pending in list(self.pending):
            for number, push in list(pending.waits_for.items()):
                other = self.sessions.get(number)
                acknowledged = other is None or (not other.caches_unknown and other.acknowledged_push >= push)
                if acknowledged or other is None or other.cache_deadline <= now:
                    del pending.waits_for[number]
            if not pending.waits_for and pending in self.pending:
                self.pending.remove(pending)
                for key in pending.keys:
                    self.uncachable[key] -= 1
                pending.run(now)
        self._tell_everyone(now)

    # ------------------------------------------------------------------------------------------------------ events

    def _tell_everyone(self, now: Instant) -> None:
        """Push what the history gained, and answer those who got a lock meanwhile."""
        news = self.tree.history[self._told :]
        self._told = len(self.tree.history)
        for session in self.sessions.values():
            if news:
                self.tell(session, news)
        for owner in self.tree.granted:
            self._granted(owner, now)
        self.tree.granted.clear()
        for owner in self.tree.orphaned:
            session_ = self.sessions.get(owner.session)
            for number in session_.acquiring.pop(owner.handle, {}) if session_ else ():
                assert session_ is not None
                self.answer(session_, number, Failure(ErrorCode.HANDLE_INVALID, "deleted"), now, None)
        self.tree.orphaned.clear()

    def _granted(self, owner: LockOwner, now: Instant) -> None:
        session = self.sessions.get(owner.session)
        handle = session.handles.get(owner.handle) if session else None
        if session is None or handle is None:
            return
        numbers = session.acquiring.pop(owner.handle, {})
        node = self.tree.nodes[handle.path]
        for number in numbers:
            self.answer(session, number, LockGranted(node.token, node.lock_generation), now, None)
        if EventMask.LOCK_ACQUIRED in handle.events:
            self.push_events(session, [Event(EventKind.LOCK_ACQUIRED, handle.path, handle=owner.handle)], 0)

    def tell(self, session: Session, changes: Sequence[Change]) -> None:
        """Push what of `changes` concerns the session, and the cursor."""
        events = [event for change in changes for event in session.events_of(change)]
        if changes:
            self.push_events(session, events, max(change.revision for change in changes))

    def push_events(self, session: Session, events: Sequence[Event], cursor: Revision) -> None:
        """Push these events, in order."""
        if session.stream is None or not (events or cursor):
            return
        session.pushed += 1
        self.send(session.stream, Push(session.pushed, events=tuple(events), cursor=cursor))

    def begin_watch(self, session: Session, frame: CallFrame, watch: WatchNumber, path: str, since: int | None) -> None:
        """Answer a Watch, and replay what it missed."""
        floor = self.tree.revision if since is None else since
        recursive = getattr(frame.call, "recursive", False)
        session.watches[watch] = (path, recursive, floor)
        self.send(session.stream, Reply(frame.number, Watching(floor)))
        past = [change for change in self.tree.history[: self._told] if change.revision > floor]
        events = [event for change in past for event in session.events_of(change) if event.watch == watch]
        self.push_events(session, events, 0)

    # ---------------------------------------------------------------------------------------------------- mischief

    def expire(self, number: SessionId, now: Instant) -> None:
        """End a session: its locks are free, its ephemerals go."""
        session = self.sessions.pop(number)
        self.ended[number] = None
        for pending in self.pending:
            pending.waits_for.pop(number, None)
        for path, node in list(self.tree.nodes.items()):
            for owner in [owner for owner in (*node.holders, *node.waiters) if owner.session == number]:
                self.tree.release(owner, node)
            node.openers = {owner for owner in node.openers if owner.session != number}
            if node.ephemeral and not node.openers:
                session.delete_ephemeral(self, path, node, now)
        if session.stream is not None:
            stream = session.stream
            self._finish(stream, Refused(Failure(ErrorCode.SESSION_EXPIRED, "the session expired")))
        self._tell_everyone(now)

    def fail_over(self, now: Instant) -> None:
        """A new master, which knows the tree and the sessions, and nothing of handles, watches and caches."""
        self.epoch += 1
        self.pending.clear()
        self.uncachable.clear()
        for session in self.sessions.values():
            stream = session.stream
            if stream is not None:
                self.detach(stream)
                stream.end()
            session.handles.clear()
            session.watches.clear()
            session.acquiring.clear()
            session.busy.clear()
            session.caches_unknown = session.caching
            session.deadline = now + self.session_lease
            session.cache_deadline = now + self.cache_lease
