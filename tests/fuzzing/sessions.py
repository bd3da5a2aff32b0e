"""A client's session under any cell: whoever answers at a replica's address can say anything (`chubby.client`).

A program's steps are packets as bytes, or frames of a table of good ones, most of them about calls that are really
under way; calls begun, given up and poisoned; connections that come and break; time that passes. The core never
raises, and asks its shell for nothing senseless.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chubby.client.effects import Complete, Connect, Deliver, Disconnect, Effect, Relay, Send, StateChanged
from chubby.client.session_core import SessionCore
from chubby.client.state import SessionState
from chubby.errors import BadArgument, ErrorCode, Failure
from chubby.types.calls import Call
from chubby.types.events import Event, EventKind
from chubby.types.nodes import ANYONE, AclNames, DirEntry, LockMode, NodeKind, Stat
from chubby.types.results import (
    Answer,
    Contents,
    Done,
    Listing,
    LockGranted,
    Opened,
    Result,
    SequencerResult,
    StatResult,
    Watching,
)
from chubby.types.stream import (
    CacheKey,
    CacheKind,
    CallFrame,
    KeepAlive,
    KeepAliveReply,
    Push,
    Redirect,
    Refused,
    Reply,
    Resumed,
    ServerFrame,
    SessionClosed,
    SessionOpened,
)
from chubby.types.time import MILLISECOND, NEVER, SECOND, Duration, Instant
from chubby.wire.codec import pack_client, pack_server, unpack_server
from tests.fuzzing.program import Program, block
from tests.fuzzing.streams import GREATEST, KINDS, PATHS, calls_on
from tests.fuzzing.target import KIB, MIB, Target
from tests.wire.samples import complete

SPINS: Final = 300
"""So often the timer may be due again without time passing."""
RESULTS: Final[tuple[Answer, ...]] = (
    *(each for each in complete(Result) if isinstance(each, Result)),
    *(Failure(code, "told") for code in ErrorCode),
)


class AnyCell:
    """One session core, and a shell that does what it asks and checks that it makes sense."""

    def __init__(self, relays: bool = False) -> None:
        """Started, not connected."""
        self.core = SessionCore(4711, lambda: 0.5, relays=relays)
        self.now: Instant = 1000 * SECOND
        self.stream = 0
        self.wanted = False
        self.answered: dict[int, int] = {}
        self.begun: list[int] = []
        self.sent: list[CallFrame] = []
        self.keep_alive = 0
        self.pushed = 0
        self.relayed = 0
        self.told = 0
        self.core.start(self.now, self.now + 600 * SECOND)
        self.drain()

    def drain(self) -> None:
        """Do what the core asks for."""
        for effect in self.core.effects():
            self._carry_out(effect)
        assert not (self.core.gone and self.wanted), "who is gone seeks nobody"
        assert self.core.state.final or not self.core.gone

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Connect(stream=stream):
                assert stream > self.stream, "streams are numbered upwards"
                self.stream, self.pushed, self.wanted = stream, 0, True
            case Send(stream=stream, frame=frame):
                assert stream == self.stream, "what is sent goes on the newest stream"
                pack_client([frame])
                self._sent(frame)
            case Complete(number=number):
                assert number in self.begun, "only calls that were begun are answered"
                self.answered[number] = self.answered.get(number, 0) + 1
                assert self.answered[number] == 1, "a call is answered once"
            case Relay(place=place):
                assert place == self.told + 1, "places ascend"
                self.told = place
            case Disconnect(stream=stream):
                self.wanted = self.wanted and stream != self.stream
            case Deliver() | StateChanged():
                pass

    def _sent(self, frame: object) -> None:
        if isinstance(frame, CallFrame):
            self.sent = [*self.sent[-63:], frame]
        elif isinstance(frame, KeepAlive):
            self.keep_alive = frame.number

    # --- inputs --------------------------------------------------------------------------------------------------

    def begin(self, call: Call, patience: Duration = 0) -> None:
        """A caller's call."""
        number = self.core.begin(call, self.now, self.now + patience if patience else NEVER)
        self.begun.append(number)
        self.drain()

    def receive(self, frames: Sequence[ServerFrame], stream: int = 0) -> None:
        """Frames on the newest stream, or another."""
        self.core.received(stream or self.stream, frames, self.now)
        self.drain()

    def pass_time(self, duration: Duration) -> None:
        """Let time pass, with every timer rung when it is due."""
        until = self.now + duration
        spins = 0
        while (wake := self.core.wake_at()) <= until:
            spins = spins + 1 if wake <= self.now else 0
            assert spins < SPINS, "it is due again and again without time passing"
            self.now = max(self.now, wake)
            self.core.tick(self.now)
            self.drain()
        self.now = until

    def connect(self) -> None:
        """The connection asked for stands."""
        self.core.connected(self.stream, self.now)
        self.drain()

    def disconnect(self) -> None:
        """It breaks."""
        self.core.disconnected(self.stream, self.now)
        self.drain()

    def check(self) -> None:
        """What may be asked at any time, and what is held within bounds."""
        figures = self.core.statistics(self.now)
        assert self.core.cache._size <= self.core.cache._limit, "the cache keeps to its bound"
        assert figures.state is self.core.state
        assert self.core.state.live or not self.core.certain(self.now), "who is not live is certain of nothing"
        idle = not self.core.cache.enabled and not len(self.core.cache)
        assert self.core.state.live or idle, "out of a lease the cache is off and empty"


def greetings(number: int) -> Sequence[ServerFrame]:
    """How a session begins or goes on, with leases short and long, and with some that make no sense."""
    lease = (12 * SECOND, 60 * SECOND, 0, 1, GREATEST)[number % 5]
    drift = (10_000, 0, 999_999, 1_000_000, 5_000_000, GREATEST)[number % 6]
    epoch = (5, 6, 0, GREATEST)[number % 4]
    lost = ((1, Failure(ErrorCode.HANDLE_INVALID, "gone")), (number, Failure(ErrorCode.HANDLE_INVALID, "gone")))
    return (
        SessionOpened(77, b"t" * 16, 7, 5, 12 * SECOND, 4 * SECOND, 45 * SECOND, 10_000, 100),
        SessionOpened(number, b"t", 7, epoch, lease, lease // 3, lease, drift, number),
        Resumed(5, 12 * SECOND, 4 * SECOND),
        Resumed(epoch, lease, lease, lost),
    )


def endings(number: int) -> Sequence[ServerFrame]:
    """How a stream ends."""
    code = tuple(ErrorCode)[number % len(ErrorCode)]
    return (
        Redirect(("", "10.0.0.1:7201", "nowhere")[number % 3], number),
        Refused(Failure(code, "no")),
        SessionClosed(),
        Refused(Failure(ErrorCode.SESSION_EXPIRED, "over")),
    )


def pushes(cell: AnyCell, number: int, path: str) -> Sequence[ServerFrame]:
    """Pushes: the next one, or one out of turn."""
    keys = (CacheKey(path, CacheKind.NODE), CacheKey(path, CacheKind.CHILDREN))
    events = tuple(
        Event(kind, path, number, number, number, number % 5 * (index & 1), number % 5 * (1 - (index & 1)))
        for index, kind in enumerate(EventKind)
    )
    upcoming = cell.pushed + 1
    return (
        Push(upcoming, keys, events=events, cursor=number),
        Push(upcoming, everything=True),
        Push(upcoming, events=(*events, *events)),
        Push(number, keys),
        Push(upcoming, cursor=GREATEST),
    )


def fitting(number: int, path: str) -> Sequence[Answer]:
    """Answers that some call could have."""
    acl = AclNames(ANYONE, ANYONE, ANYONE)
    stat = Stat(
        list(NodeKind)[number % len(NodeKind)], bool(number & 4), 1 + number % 3, 1, 1, 0, 0, number, number, 0, 0, acl
    )
    entries = tuple(DirEntry(name, stat) for name in ("a", "b", path))
    return (
        Opened(b"ticket", path, bool(number & 1), stat),
        Contents(b"contents", stat),
        StatResult(stat),
        Listing(entries, bool(number & 1)),
        LockGranted(number, number),
        SequencerResult(b"sequencer", path, LockMode.EXCLUSIVE, number, number),
        Watching(number),
        Done(),
    )


# ------------------------------------------------------------------------------------------------------------- programs

STEPS: Final = (
    "packet",
    "greeting",
    "ending",
    "push",
    "answer",
    "reply",
    "keep alive",
    "call",
    "cancel",
    "poison",
    "connect",
    "disconnect",
    "time",
    "relayed",
    "close",
    "cached",
)
DELAYS: Final = (0, 10 * MILLISECOND, SECOND, 5 * SECOND, 7 * SECOND, 13 * SECOND, 60 * SECOND, 600 * SECOND)


def live(data: bytes) -> None:
    """A program; the session survives it, or ends in good order."""
    program = Program(data)
    cell = AnyCell(relays=bool(program.number() & 1))
    while program:
        step = STEPS[program.number() % len(STEPS)]
        if step in ("packet", "greeting", "ending", "push", "answer", "reply", "keep alive"):
            _hear(cell, step, program)
        else:
            _do(cell, step, program)
        cell.check()
    _end(cell)


def _hear(cell: AnyCell, step: str, program: Program) -> None:
    """The cell says something."""
    if step == "packet":
        hear(cell, program.block())
        return
    number = program.number()
    match step:
        case "greeting":
            frame = program.one_of(greetings(number))
        case "ending":
            frame = program.one_of(endings(number))
        case "push":
            frame = program.one_of(pushes(cell, number, program.one_of(PATHS)))
        case "keep alive":
            frame = KeepAliveReply(cell.keep_alive - number % 3, number % 20 * SECOND, number % 7 * SECOND)
        case _:
            answers = RESULTS if step == "answer" else fitting(number, program.one_of(PATHS))
            asked = cell.sent[-1 - program.number() % len(cell.sent)].number if cell.sent else number
            frame = Reply(asked, program.one_of(answers), bool(number & 1), number % 7 * SECOND)
    hear(cell, pack_server([frame]), 1 if number == 255 else 0)


def hear(cell: AnyCell, packet: bytes, stream: int = 0) -> None:
    """A packet, as the network takes it: one that breaks the protocol ends the connection."""
    try:
        frames = unpack_server(packet)
    except BadArgument:
        cell.disconnect()
    else:
        cell.pushed += sum(isinstance(frame, Push) and frame.number == cell.pushed + 1 for frame in frames)
        cell.receive(frames, stream)


def _do(cell: AnyCell, step: str, program: Program) -> None:
    """The owner, the network or the clock does something."""
    match step:
        case "call":
            kind, handle, path = program.number(), program.number(), program.one_of(PATHS)
            extra = program.number()
            cell.begin(calls_on(1 + handle % 4, path, extra)[kind % KINDS], (0, SECOND, 30 * SECOND)[extra % 3])
        case "cancel":
            if cell.begun:
                cell.core.cancel(program.one_of(cell.begun), cell.now)
        case "poison":
            cell.core.poison(1 + program.number() % 4, cell.now)
        case "connect":
            cell.connect()
        case "disconnect":
            cell.disconnect()
        case "time":
            cell.pass_time(program.one_of(DELAYS))
        case "relayed":
            if cell.relayed < cell.told:
                cell.relayed += 1
                cell.core.relayed(cell.relayed, cell.now)
        case "close":
            cell.core.close(cell.now)
        case _:
            for call in calls_on(1 + program.number() % 4, program.one_of(PATHS), 1)[3:9]:
                cell.core.cached(call, cell.now)
    cell.drain()


def _end(cell: AnyCell) -> None:
    """Whatever happened: closing ends it, and every call was answered once or given up."""
    cell.core.close(cell.now)
    cell.drain()
    assert cell.core.state in (SessionState.CLOSED, SessionState.EXPIRED)
    if not cell.core.gone:
        cell.core.abandon()
        cell.drain()
    assert cell.core.gone
    assert cell.core.wake_at() == NEVER, "who is gone waits for nothing"


OPENED: Final = bytes((0, 10, 1, 0, 0))
"""Connected, and the session is opened."""


def _lives() -> list[bytes]:
    calls = b"".join(bytes((7, kind, 0, 0, 0)) for kind in range(KINDS))
    answers = b"".join(bytes((5, 1, 0, back, kind)) for back in range(6) for kind in range(8))
    open_one = bytes((7, 0, 0, 0, 0)) + bytes((5, 1, 0, 0, 0))
    good = pack_server([SessionOpened(9, b"t", 7, 5, 12 * SECOND, 4 * SECOND, 45 * SECOND, 10_000, 100)])
    return [
        OPENED,
        OPENED + open_one + calls + answers,
        OPENED + open_one + bytes((12, 5, 6, 12)) + bytes((12, 5)) + bytes((10, 1, 0, 2)) + calls + answers,
        OPENED + open_one + b"".join(bytes((3, 1, 0, kind)) for kind in range(5)),
        OPENED + open_one + calls + bytes((8, 1, 8, 3, 9, 0)) + answers + bytes((14,)),
        bytes((0, 10, 1, 3, 1)) + bytes((12, 4)) * 3,
        bytes((0, 10, 0)) + block(good) + open_one + bytes((15, 0, 0)),
        bytes((1, 10, 1, 0, 0)) + open_one + bytes((3, 1, 0, 0, 13, 13)),
        bytes((0, 10)) + b"".join(bytes((2, number, kind)) for number in (0, 1, 14) for kind in range(4)),
    ]


TARGETS: Final = (
    Target(
        name="session_core",
        door="packets from whoever answers at a replica's address, to a client's session: `SessionCore`",
        feed=live,
        samples=_lives,
        longest=KIB,
        memory=16 * MIB,
    ),
)
