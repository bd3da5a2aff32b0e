"""Clients as careless as DESIGN allows, a network that delays, and what must hold at every step (DESIGN §5, §6).

Frames travel in two queues per client and are handed over one by one, when chance says so. A client

- drops its own copies before it sends a change (that of a parent, unless it says that this is a directory), and then
  fills its cache from *every* answer marked cacheable, also from one to a call that is older than the change;
- takes a lease as counted from its own send, at full length (its clock is exactly as fast as the master's);
- goes on using its cache, and believing in its locks, without a connection, for as long as both leases last.

`check` asserts what the master owes it for that: what is cached is what is applied, and a lock believed in is held.
"""

from __future__ import annotations

from collections import deque

from chubby.master import MasterSettings
from chubby.namespace.commands import AcquireLock, Action, Request, Transaction
from chubby.namespace.machine import Machine
from chubby.namespace.outcomes import LockStanding
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    Close,
    Delete,
    GetContentsAndStat,
    GetStat,
    Open,
    ReadDir,
    Release,
    SetAcl,
    SetAttributes,
    SetContents,
    Transact,
)
from chubby.types.events import EventMask
from chubby.types.identity import CallNumber, HandleNumber, SessionId
from chubby.types.nodes import LockOwner, NodeKind, Stat
from chubby.types.results import Contents, Listing, LockGranted, Opened, StatResult
from chubby.types.stream import (
    Acknowledge,
    CacheKey,
    CacheKind,
    CallFrame,
    ClientFrame,
    HandleClaim,
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
    SessionOpened,
)
from chubby.types.time import Duration, Instant
from chubby.types.transaction import Create, Operation, Remove, Write, WriteAcl, WriteAttributes
from tests.master.cell import Cell

Value = tuple[Stat | None, bytes | None] | tuple[str, ...]
PeerCall = (
    Acquire
    | CancelAcquire
    | Close
    | Delete
    | GetContentsAndStat
    | GetStat
    | Open
    | ReadDir
    | Release
    | SetAcl
    | SetAttributes
    | SetContents
    | Transact
)
"""What a client of the model calls."""


class Peer:
    """One client of the model."""

    def __init__(self, world: World, name: str, nonce: int) -> None:
        self.world = world
        self.name = name
        self.nonce = nonce
        self.stream: int | None = None
        self.stream_number = 1
        self.up: deque[tuple[int, ClientFrame]] = deque()
        self.session: SessionId = 0
        self.ticket = b""
        self.epoch = 0
        self.cursor = 0
        self.dead = False
        self.greeted = False
        self.session_until: Instant = 0
        self.cache_until: Instant = 0
        self.cache: dict[CacheKey, Value] = {}
        self.number: CallNumber = 0
        self.acknowledged: CallNumber = 0
        self.calls: dict[CallNumber, PeerCall] = {}
        self.sent_at: dict[CallNumber, Instant] = {}
        self.answered: dict[CallNumber, None] = {}
        self.beats: dict[int, Instant] = {}
        self.greeted_at: Instant = 0
        self.handle: HandleNumber = 0
        self.handles: dict[HandleNumber, tuple[str, int]] = {}
        self.tickets: dict[HandleNumber, bytes] = {}
        self.paths: dict[HandleNumber, str] = {}
        self.locks: dict[HandleNumber, None] = {}
        self.let_go: dict[HandleNumber, CallNumber] = {}
        self.connect()

    # ------------------------------------------------------------------------------------------------------ stream

    def connect(self) -> None:
        """A new stream: open or resume; a client that resumes has emptied its cache."""
        cell = self.world.cell
        cell.streams += 1
        self.stream = cell.streams
        cell.master.attach(self.stream, self.name, cell.now)
        self.up.clear()
        self.greeted = False
        self.greeted_at = cell.now
        self.cache.clear()
        self.cache_until = 0
        self.beats.clear()
        if not self.session:
            self._post(OpenSession(self.nonce))
            return
        self.stream_number += 1
        claims = tuple(HandleClaim(number, ticket, EventMask.NONE) for number, ticket in self.tickets.items())
        self._post(Resume(self.session, self.ticket, self.stream_number, self.epoch, self.cursor, claims))

    def disconnect(self) -> None:
        """The connection breaks; the client goes on believing what it may."""
        if self.stream is not None:
            cell = self.world.cell
            cell.master.detach(self.stream, cell.now)
            cell.frames.pop(self.stream, None)
            self.stream = None
            self.up.clear()

    def _post(self, frame: ClientFrame) -> None:
        assert self.stream is not None
        self.up.append((self.stream, frame))

    @property
    def down(self) -> list[ServerFrame]:
        """What is on its way to this client."""
        return [] if self.stream is None else self.world.cell.frames.get(self.stream, [])

    def deliver(self) -> None:
        """One frame arrives at the master."""
        stream, frame = self.up.popleft()
        cell = self.world.cell
        cell.master.receive(stream, frame, cell.now, cell.lease_until)
        cell.pump()

    # ------------------------------------------------------------------------------------------------------- calls

    def call(self, call: PeerCall) -> None:
        """Send a call; own copies of what it may change are dropped before."""
        if not self.greeted or self.stream is None:
            return
        for key in self._changes(call):
            self.cache.pop(key, None)
        if isinstance(call, Release | Close):
            self.locks.pop(call.handle, None)
        if isinstance(call, Close):
            self.handles.pop(call.handle, None)
        self.number += 1
        if isinstance(call, Release | Close):
            self.let_go[call.handle] = self.number
        self.calls[self.number] = call
        self.sent_at[self.number] = self.world.cell.now
        self._post(CallFrame(self.number, self.acknowledged, 0, call, True))

    def beat(self) -> None:
        """Send a KeepAlive."""
        if self.greeted and self.stream is not None:
            number = len(self.beats) + 1
            self.beats[number] = self.world.cell.now
            self._post(KeepAlive(number, True))

    def _changes(self, call: PeerCall) -> list[CacheKey]:
        keys: list[CacheKey] = []
        if isinstance(call, Transact):
            for operation in (*call.then, *call.otherwise):
                keys += self._operation_keys(operation)
        elif isinstance(call, Open) and call.create:
            keys += self._operation_keys(Create(call.path, sequential=call.sequential))
        elif isinstance(call, Delete | Close):
            keys += _removal_keys(self.handles[call.handle][0])
        elif isinstance(call, SetContents | SetAcl | SetAttributes):
            keys.append(CacheKey(self.handles[call.handle][0], CacheKind.NODE))
        return keys

    def _operation_keys(self, operation: Operation) -> list[CacheKey]:
        if isinstance(operation, Create):
            keys = [] if operation.sequential else [CacheKey(operation.path, CacheKind.NODE)]
            above = parent_of(operation.path)
            keys += [CacheKey(above, CacheKind.CHILDREN), CacheKey(above, CacheKind.NODE)]
            return keys[:-1] if _is_directory(self.cache.get(keys[-1])) else keys
        if isinstance(operation, Remove):
            return _removal_keys(operation.path)
        if isinstance(operation, Write | WriteAcl | WriteAttributes):
            return [CacheKey(operation.path, CacheKind.NODE)]
        return []

    # ----------------------------------------------------------------------------------------------------- hearing

    def hear(self) -> None:
        """One frame arrives at the client."""
        frame = self.down.pop(0)
        match frame:
            case Reply():
                self._reply(frame)
            case Push():
                for key in frame.invalidate:
                    self.cache.pop(key, None)
                if frame.everything:
                    self.cache.clear()
                self.cursor = max(self.cursor, frame.cursor)
                self._post(Acknowledge(frame.number))
            case KeepAliveReply():
                self._renew(self.beats[frame.number], frame.session_lease, frame.cache_lease)
            case SessionOpened():
                self.session, self.ticket, self.epoch = frame.session, frame.ticket, frame.epoch
                self.cursor = frame.revision
                self.greeted = True
                self._renew(self.greeted_at, frame.session_lease, frame.cache_lease)
            case Resumed():
                self._resumed(frame)
            case Refused() | Redirect():
                self.dead = isinstance(frame, Refused)
                self.stream = None

    def _resumed(self, frame: Resumed) -> None:
        self.epoch = frame.epoch
        self.greeted = True
        self._renew(self.greeted_at, frame.session_lease, frame.cache_lease)
        for number, _ in frame.lost:
            self.handles.pop(number, None)
            self.tickets.pop(number, None)
            self.locks.pop(number, None)
        for number, call in self.calls.items():
            self._post(CallFrame(number, self.acknowledged, 0, call, True))

    def _renew(self, asked: Instant, session: Duration, cache: Duration) -> None:
        self.session_until = max(self.session_until, asked + session)
        if cache:
            self.cache_until = max(self.cache_until, asked + cache)

    def _reply(self, reply: Reply) -> None:
        assert reply.number not in self.answered, f"call {reply.number} of {self.name} is answered once"
        self.answered[reply.number] = None
        call = self.calls.pop(reply.number)
        while self.acknowledged + 1 in self.answered:
            self.acknowledged += 1
        if reply.cache_lease:
            self.cache_until = max(self.cache_until, self.sent_at[reply.number] + reply.cache_lease)
        answer = reply.answer
        if isinstance(call, Open) and isinstance(answer, Opened):
            self.handles[call.handle] = (answer.path, answer.stat.instance)
            self.paths[call.handle] = answer.path
            self.tickets[call.handle] = answer.ticket
        if isinstance(call, Close):
            self.tickets.pop(call.handle, None)
        if isinstance(call, Acquire) and isinstance(answer, LockGranted) and call.handle in self.handles:
            let_go = self.let_go.get(call.handle, 0) > reply.number
            self.locks.update({} if let_go else {call.handle: None})
        if reply.cacheable:
            self._fill(call, reply)

    def _fill(self, call: PeerCall, reply: Reply) -> None:
        answer = reply.answer
        path = "" if isinstance(call, Transact) else self.paths.get(call.handle, "")
        if isinstance(answer, Contents):
            self.cache[CacheKey(path, CacheKind.NODE)] = (answer.stat, answer.contents)
        elif isinstance(answer, StatResult):
            contents = call.contents if isinstance(call, SetContents) else None
            self.cache[CacheKey(path, CacheKind.NODE)] = (answer.stat, contents)
        elif isinstance(answer, Opened):
            self.cache[CacheKey(answer.path, CacheKind.NODE)] = (answer.stat, None)
        elif isinstance(answer, Listing):
            self.cache[CacheKey(path, CacheKind.CHILDREN)] = tuple(entry.name for entry in answer.entries)
            for entry in answer.entries:
                child = path.rstrip("/") + "/" + entry.name
                self.cache[CacheKey(child, CacheKind.NODE)] = (entry.stat, None)
        elif isinstance(call, Open):
            self.cache[CacheKey(call.path, CacheKind.NODE)] = (None, None)


class World:
    """The cell and its clients."""

    def __init__(self, settings: MasterSettings, names: tuple[str, ...]) -> None:
        self.cell = Cell(settings)
        self.cell.applying = False
        self.peers = [Peer(self, name, nonce) for nonce, name in enumerate(names, 1)]
        self.looked_at = 0
        self.last_change: dict[tuple[SessionId, str], CallNumber] = {}
        self.excused: dict[tuple[SessionId, CallNumber], None] = {}

    def settle(self) -> None:
        """Deliver and apply everything until nothing moves."""
        moving = True
        while moving:
            moving = False
            self.cell.pump()
            while self.cell.log:
                self.cell.apply()
                moving = True
            for peer in self.peers:
                while peer.up:
                    peer.deliver()
                    moving = True
                while peer.down:
                    peer.hear()
                    moving = True

    def check(self) -> None:
        """What must hold at every step."""
        self.check_order()
        machine, now = self.cell.machine, self.cell.now
        for peer in self.peers:
            if now < peer.session_until and not peer.dead:
                for handle in peer.locks:
                    path, instance = peer.handles[handle]
                    node = machine.node(path)
                    if node is not None and node.instance == instance:
                        answer = machine.standing(LockOwner(peer.session, handle), path, instance)
                        assert answer.standing is LockStanding.HELD, f"{peer.name} believes it holds {path}"
                if now < peer.cache_until:
                    for key, value in peer.cache.items():
                        assert value == _applied(machine, key, value), f"{peer.name} has a stale {key}"

    def excuse(self) -> None:
        """What is unanswered now may have been refused meanwhile, which leaves no trace: its repeat comes later."""
        for peer in self.peers:
            for number in peer.calls:
                self.excused[peer.session, number] = None

    def check_order(self) -> None:
        """Changes of one session to one node, or to one lock, are applied in the order of their numbers."""
        cell = self.cell
        for command, outcome in zip(cell.commands[self.looked_at :], cell.outcomes[self.looked_at :], strict=True):
            body = command.body
            if isinstance(body, Request) and not outcome.void and not outcome.repeated:
                if (body.session, body.number) in self.excused:
                    continue
                for thing in _things(body.action):
                    before = self.last_change.get((body.session, thing), 0)
                    assert before < body.number, f"call {body.number} on {thing} was applied after {before}"
                    self.last_change[body.session, thing] = body.number
        self.looked_at = len(cell.commands)


def _things(action: Action) -> set[str]:
    """The node or lock that a command changes, unless it might have been answered like a read.

    Such an answer leaves no trace in the log: when it is lost the call is worked out anew, later.
    """
    if isinstance(action, AcquireLock) and not action.wait:
        return set()
    if not isinstance(action, Transaction):
        return {f"the lock of {action.path}"}
    if len(action.guards) != 1 or action.otherwise:
        return set()
    return {one.path for one in action.then if isinstance(one, Write | WriteAcl | WriteAttributes)}


def _applied(machine: Machine, key: CacheKey, cached: Value) -> Value:
    """What the applied state says, in as much detail as `cached`."""
    if key.kind is CacheKind.CHILDREN:
        return tuple(entry.name for entry in machine.children(key.path, "", 0)[0])
    if (node := machine.node(key.path)) is None:
        return (None, None)
    return (node.stat, None if cached[1:] == (None,) else node.contents)


def _is_directory(value: Value | None) -> bool:
    return value is not None and isinstance(value[0], Stat) and value[0].kind is NodeKind.DIRECTORY


def _removal_keys(path: str) -> list[CacheKey]:
    keys = []
    while path != "/":
        keys += [CacheKey(path, CacheKind.NODE), CacheKey(path, CacheKind.CHILDREN)]
        path = parent_of(path)
        keys.append(CacheKey(path, CacheKind.CHILDREN))
    return keys


def parent_of(path: str) -> str:
    """The path of the parent, spelled out here so that the model shares no code with the master."""
    return path.rsplit("/", 1)[0] or "/"
