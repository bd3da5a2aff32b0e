"""Any client of a cell: what arrives on session streams, in any order, against a production replica.

A program's steps are packets as bytes, or as frames of a table of good ones; streams that begin, break and are spoken
on after their end; time that passes. What only a client of this session can know, and no fuzzer guesses (the ticket of
the session, those of its handles), is filled in where a frame leaves it empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from chubby.errors import BadArgument
from chubby.frontends.native.stream import _check_order
from chubby.types.calls import (
    Acquire,
    Call,
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
    MemberAction,
    Mode,
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
from chubby.types.events import EventMask
from chubby.types.nodes import ANYONE, AclNames, LockMode
from chubby.types.results import Opened, SequencerResult
from chubby.types.stream import (
    Acknowledge,
    CallFrame,
    ClientFrame,
    CloseSession,
    HandleClaim,
    KeepAlive,
    OpenSession,
    Redirect,
    Refused,
    Reply,
    Resume,
    ServerFrame,
    SessionOpened,
    WatchClaim,
)
from chubby.types.time import MILLISECOND, SECOND
from chubby.types.transaction import Create, Exists, Remove, Write
from chubby.wire.codec import pack_client, pack_server, unpack_client
from tests.fuzzing.cell import LoneCell
from tests.fuzzing.program import Program, block
from tests.fuzzing.target import KIB, MIB, Target

FULL: Final = Mode.READ | Mode.WRITE
ALL: Final = FULL | Mode.CHANGE_ACL
"""More than most may."""
EVERY_EVENT: Final = EventMask(sum(flag.value for flag in EventMask))
ACL: Final = AclNames(ANYONE, "staff", ANYONE)
GREATEST: Final = (1 << 63) - 1
PATHS: Final = ("/a", "/a/b", "/", "/acl/staff", "/e", "/.chubby", "", "/s-")
"""Few, so that calls meet; some that are none."""


def calls_on(handle: int, path: str, number: int) -> Sequence[Call]:
    """Every kind of call, about one handle and one path; `number` serves where one is asked for."""
    contents = path.encode() * (1 + number % 9)
    may, must = CreateMode.MAY, CreateMode.MUST
    return (
        Open(handle, path, FULL, EVERY_EVENT, may),
        Open(handle, path, FULL, EVERY_EVENT, may, ephemeral=True, contents=contents, acl=ACL),
        Open(handle, path, ALL, create=must, sequential=True, attributes={"k": contents}),
        Open(handle, path),
        Close(handle),
        GetContentsAndStat(handle),
        GetStat(handle),
        GetLockInfo(handle),
        ReadDir(handle, path, number % 5),
        SetContents(handle, contents),
        SetContents(handle, contents, number),
        SetAcl(handle, ACL, number % 3),
        SetAttributes(handle, {path: contents, "k": b""}),
        Delete(handle),
        Acquire(handle),
        Acquire(handle, LockMode.SHARED, wait=bool(number & 1), lock_delay=number * SECOND),
        CancelAcquire(handle),
        Release(handle),
        GetSequencer(handle),
        SetSequencer(handle, b""),
        CheckSequencer(b""),
        Transact((Exists(path, number),), (Create(path, ephemeral=True), Write(path, contents)), (Remove(path),)),
        Transact((), (Create(path), Create(f"{path}/x"), Remove(path)), ()),
        Watch(handle, path, bool(number & 1), number if number & 2 else None),
        Unwatch(handle),
        ListLocks(path, number % 5),
        ListSessions(number, number % 5),
        StepDown(number % 4),
        ChangeMembers(MemberAction(1 + number % 3), number % 5, "a:1", "b:2"),
    )


KINDS: Final = len(calls_on(1, "/a", 1))


class AnyClients:
    """Clients of one cell that say anything, and what an honest one would have learned meanwhile."""

    def __init__(self) -> None:
        """A cell, and nobody has said anything."""
        self.cell = LoneCell()
        self.attached: list[int] = []
        self.fresh: set[int] = set()
        self.greeting: dict[int, int] = {}
        self.session_of: dict[int, int] = {}
        self.session_tickets: dict[int, bytes] = {}
        self.handle_tickets: dict[tuple[int, int], bytes] = {}
        self.sequencer = b""
        self.calls: dict[int, int] = {}
        self.opens: dict[tuple[int, int], int] = {}
        self.answered: dict[tuple[int, int], int] = {}
        self.sent: dict[tuple[int, int], int] = {}

    def attach(self) -> int:
        """Another stream, of an administrator or of somebody else."""
        stream = self.cell.attach(("root", "alice", "root")[len(self.attached) % 3])
        self.attached.append(stream)
        self.fresh.add(stream)
        return stream

    def say(self, stream: int, packet: bytes) -> None:
        """A packet, as the front end takes it: refused as a whole, or handed to the replica."""
        try:
            frames = unpack_client(packet)
            _check_order(frames, first=stream in self.fresh)
        except BadArgument:
            self.cell.detach(stream)
            self.fresh.discard(stream)
            return
        self.fresh.discard(stream)
        frames = [self.completed(frame) for frame in frames]
        self._note(stream, frames)
        self.cell.receive(stream, frames)
        self.listen()

    def listen(self) -> None:
        """Hear what every stream was told: it can be put into packets, and no call is answered more often than sent."""
        for stream in self.attached:
            told = self.cell.take(stream)
            if told:
                pack_server(told)
            for frame in told:
                self._hear(stream, frame)

    def completed(self, frame: ClientFrame) -> ClientFrame:
        """`frame` with what is empty in it, and what an honest client would know, filled in."""
        match frame:
            case Resume():
                session = frame.session or max(self.session_tickets, default=0)
                claims = tuple(self._claimed(session, claim) for claim in frame.handles)
                ticket = frame.ticket or self.session_tickets.get(session, b"")
                return msgspec.structs.replace(frame, session=session, ticket=ticket, handles=claims)
            case CallFrame(call=SetSequencer() | CheckSequencer() as call) if not call.sequencer:
                return msgspec.structs.replace(frame, call=msgspec.structs.replace(call, sequencer=self.sequencer))
            case _:
                return frame

    def _claimed(self, session: int, claim: HandleClaim) -> HandleClaim:
        ticket = claim.ticket or self.handle_tickets.get((session, claim.handle), b"")
        return msgspec.structs.replace(claim, ticket=ticket)

    def _note(self, stream: int, frames: Sequence[ClientFrame]) -> None:
        for frame in frames:
            if isinstance(frame, Resume):
                self.greeting[stream] = frame.session
            elif isinstance(frame, CallFrame):
                key = (stream, frame.number)
                self.sent[key] = self.sent.get(key, 0) + 1
                if isinstance(frame.call, Open):
                    self.opens[key] = frame.call.handle

    def _hear(self, stream: int, frame: ServerFrame) -> None:
        match frame:
            case SessionOpened():
                self.session_of[stream] = frame.session
                self.session_tickets[frame.session] = frame.ticket
            case Reply():
                key = (stream, frame.number)
                self.answered[key] = self.answered.get(key, 0) + 1
                assert self.answered[key] <= self.sent.get(key, 0), f"call {frame.number} is answered more than asked"
                session = self.session_of.get(stream) or self.greeting.get(stream, 0)
                if isinstance(frame.answer, Opened) and key in self.opens:
                    self.handle_tickets[session, self.opens[key]] = frame.answer.ticket
                elif isinstance(frame.answer, SequencerResult):
                    self.sequencer = frame.answer.sequencer
            case Redirect() | Refused():
                assert stream in self.cell.ended, "who is sent away is let go"


# ------------------------------------------------------------------------------------------------------------- programs

STEPS: Final = ("packet", "call", "frame", "attach", "detach", "turn", "time", "sleep")
DELAYS: Final = (0, 50 * MILLISECOND, 300 * MILLISECOND, SECOND, 1500 * MILLISECOND, 4 * SECOND)


def frames_of(number: int, extra: int) -> Sequence[ClientFrame]:
    """Every frame that is no call; numbers are small, or as large as can be."""
    big = (number, GREATEST)[extra & 1]
    claims = tuple(HandleClaim(handle, b"" if extra & 2 else b"forged", EVERY_EVENT) for handle in range(1, 4))
    watches = tuple(WatchClaim(watch, PATHS[watch % len(PATHS)], bool(extra & 4)) for watch in range(extra % 12))
    return (
        OpenSession(number, bool(extra & 1)),
        Resume(0, b"", big, number, big, claims, watches),
        Resume(extra, b"x" * 16, number, big, 0),
        KeepAlive(big, bool(extra & 2)),
        Acknowledge(big),
        CloseSession(),
    )


def call_frame(program: Program) -> CallFrame:
    """Any call, under any number."""
    kind, handle, path = program.number(), program.number(), program.one_of(PATHS)
    number, acknowledged, extra = program.number(), program.number(), program.number()
    call = calls_on(handle, path, extra)[kind % KINDS]
    patience = (0, SECOND, GREATEST)[extra % 3]
    return CallFrame(number, acknowledged if extra & 64 else 0, patience, call, bool(extra & 1))


def live(data: bytes) -> None:
    """A program; the cell survives it, within its bounds, and serves the next client."""
    program = Program(data)
    clients = AnyClients()
    stream = clients.attach()
    while program:
        match STEPS[program.number() % len(STEPS)]:
            case "packet":
                clients.say(stream, program.block())
            case "call":
                clients.say(stream, pack_client([call_frame(program)]))
            case "frame":
                frame = program.one_of(frames_of(program.number(), program.number()))
                clients.say(stream, pack_client([frame]))
            case "attach":
                stream = clients.attach()
            case "detach":
                clients.cell.detach(stream)
            case "turn":
                stream = program.one_of(clients.attached)
            case "time":
                clients.cell.pass_time(program.one_of(DELAYS))
            case _:
                clients.cell.sleep(program.one_of(DELAYS))
        clients.listen()
        clients.cell.check()
    serves(clients)


def serves(clients: AnyClients) -> None:
    """Once all who were there have gone and their leases with them, an honest client is served."""
    for stream in clients.attached:
        clients.cell.detach(stream)
    clients.cell.pass_time(5 * SECOND)
    machine = clients.cell.replica.machine
    assert machine is not None and machine.session_count == 0, "who is gone for longer than his lease is forgotten"
    stream = clients.attach()
    frames: tuple[ClientFrame, ...] = (OpenSession(GREATEST, True), CallFrame(1, 0, 0, Open(1, "/"), True))
    for frame in frames:
        clients.cell.receive(stream, [frame])
    told = clients.cell.take(stream)
    assert any(isinstance(frame, Reply) and isinstance(frame.answer, Opened) for frame in told), told
    clients.cell.check()


OPENED: Final = bytes((2, 7, 0, 0))
"""A session is opened."""


def said(kind: int, handle: int, path: int, number: int, extra: int = 0) -> bytes:
    """The step of one call."""
    return bytes((1, kind, handle, path, number, 0, extra))


LATE: Final = (16, 17, 13, 4, 28, 27)
"""Calls that end what others need: those that give up locks, nodes, handles and the mastership."""


def _lives() -> list[bytes]:
    order = sorted(range(KINDS), key=lambda kind: (LATE.index(kind) if kind in LATE else -1, kind))
    every_call = b"".join(said(kind, 1, 0, 1 + number, 2) for number, kind in enumerate(order))
    again = b"".join(said(kind, 2, 4 * (kind % 2), 40 + number, 3) for number, kind in enumerate(order))
    second = bytes((3,)) + bytes((2, 8, 1, 0))
    resumed = bytes((3, 2, 9, 6, 1))
    return [
        OPENED,
        OPENED + every_call,
        OPENED + every_call + again + bytes((6, 2)) + resumed + again,
        OPENED + said(0, 1, 0, 1) + second + said(0, 1, 0, 1) + said(14, 1, 0, 2) + bytes((5, 0)) + said(14, 1, 0, 2),
        OPENED + said(1, 1, 4, 1) + bytes((4, 6, 4)) + resumed + said(5, 1, 4, 2),
        OPENED + bytes((2, 3, 3, 3, 2, 4, 3, 4, 2, 5, 0, 5)),
        OPENED + bytes((7, 5)) + every_call,
        bytes((0,)) + block(pack_client([OpenSession(1)])) + bytes((0,)) + block(pack_client([KeepAlive(1, True)])),
        bytes((0,)) + block(b"\x0a\x00"),
    ]


TARGETS: Final = (
    Target(
        name="session_stream",
        door="packets on session streams of a cell: the front end's order, then `Replica.receive_frame`",
        feed=live,
        samples=_lives,
        longest=KIB,
        memory=24 * MIB,
    ),
)
