"""A cell of one: the real machine, a real master, and a log that applies what is proposed when told to.

`Cell` owns the clock and the log, `Client` is one client's stream with a memory of what it was told. Nothing here
happens by itself: `settle` lets the log run until nothing moves, `advance` lets time pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from chubby.errors import ErrorCode, Failure
from chubby.master import ChangeMembers, Deliver, EndStream, HandOver, Master, MasterSettings, Propose
from chubby.namespace.commands import Body, Command, LeaseCaps, Limits
from chubby.namespace.machine import Genesis, Machine
from chubby.namespace.outcomes import Outcome
from chubby.types.calls import Call, CreateMode, Mode, Open
from chubby.types.events import Event, EventMask
from chubby.types.identity import CallNumber, HandleNumber, SessionId
from chubby.types.results import Answer, Opened
from chubby.types.stream import (
    Acknowledge,
    CacheKey,
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
    SessionClosed,
    SessionOpened,
    WatchClaim,
)
from chubby.types.time import MILLISECOND, SECOND, Duration, Instant

START: Instant = 1_000 * SECOND
WALL_MS = 1_700_000_000_000
LEASE: Duration = SECOND
SETTINGS = MasterSettings(replica=1)


class Cell:
    """See the module. `live`: whether the master lease is; `applying`: whether the log applies by itself."""

    def __init__(
        self,
        settings: MasterSettings = SETTINGS,
        *,
        machine: Machine | None = None,
        caps: LeaseCaps | None = None,
        limits: Limits | None = None,
        elect: bool = True,
    ) -> None:
        self.settings = settings
        self.now = START
        self.live = True
        self.applying = True
        self.jitter = 0.0
        self.keys = 0
        self.machine = machine or Machine.genesis(
            Genesis(77, "test", ("root",), limits or Limits(), caps or LeaseCaps(), b"k" * 32, WALL_MS)
        )
        self.log: deque[Command] = deque()
        self.slot = self.machine.applied
        self.commands: list[Command] = []
        self.outcomes: list[Outcome] = []
        self.frames: dict[int, list[ServerFrame]] = {}
        self.ended: dict[int, None] = {}
        self.requests: list[HandOver | ChangeMembers] = []
        self.streams = 0
        self.clients: list[Client] = []
        self.master = self.new_master()
        if elect:
            self.elect()

    def new_master(self) -> Master:
        """A master that remembers nothing."""
        return Master(self.machine, self.settings, self.fresh_key, lambda: self.jitter)

    def fresh_key(self) -> bytes:
        """The next of a sequence of keys."""
        self.keys += 1
        return self.keys.to_bytes(32, "little")

    @property
    def lease_until(self) -> Instant:
        """What Paxos would say."""
        return self.now + LEASE if self.live else self.now

    @property
    def epoch(self) -> int:
        """The machine's."""
        return self.machine.epoch

    # -------------------------------------------------------------------------------------------------- mastership

    def elect(self) -> None:
        """Paxos makes us master, and the log applies our BeginEpoch."""
        self.master.elected(self.now, self.wall_ms)
        self.settle()
        self.tick()

    def depose(self, address: str = "other:1", epoch: int = 0) -> None:
        """Paxos has made another master; what was proposed and not applied is lost."""
        self.log.clear()
        self.master.deposed(self.now, address, epoch or self.machine.epoch)
        self.settle()

    def fail_over(self) -> None:
        """Another master of the same machine: what was proposed and not applied is lost."""
        self.log.clear()
        self.master = self.new_master()
        self.elect()

    # -------------------------------------------------------------------------------------------------------- time

    @property
    def wall_ms(self) -> int:
        """A wall clock that goes with ours."""
        return WALL_MS + self.now // MILLISECOND

    def tick(self) -> None:
        """Fire what is due."""
        self.master.tick(self.now, self.lease_until)
        self.settle()

    def advance(self, duration: Duration) -> None:
        """Let time pass, ticking whenever the master wants it."""
        until = self.now + duration
        while (wake := self.master.wake_at) <= until:
            self.now = max(self.now, wake)
            self.tick()
        self.now = until
        self.tick()

    # --------------------------------------------------------------------------------------------------------- log

    def pump(self) -> None:
        """Take the master's effects."""
        for effect in self.master.take_effects():
            match effect:
                case Propose(command):
                    self.log.append(command)
                case Deliver(stream, frames):
                    assert stream not in self.ended, "nothing is delivered on a stream that has ended"
                    self.frames.setdefault(stream, []).extend(frames)
                case EndStream(stream):
                    assert stream not in self.ended, "a stream ends once"
                    self.ended[stream] = None
                case HandOver() | ChangeMembers():
                    self.requests.append(effect)

    def apply(self, count: int = 1) -> None:
        """Let the log apply some commands."""
        for _ in range(count):
            command = self.log.popleft()
            self.slot += 1
            self.commands.append(command)
            outcome = self.machine.apply(self.slot, command)
            self.outcomes.append(outcome)
            self.master.applied(outcome, self.now, self.wall_ms)
            self.pump()

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        self.pump()
        while self.applying and self.log:
            self.apply()

    def let_read(self) -> None:
        """Let every client read what came, until nothing comes any more."""
        while any(client.read() for client in self.clients):
            pass

    def proposed(self, kind: type[Body]) -> list[Command]:
        """The commands in the log, applied or not, of that kind."""
        return [command for command in (*self.commands, *self.log) if isinstance(command.body, kind)]

    def client(self, principal: str = "alice", *, caching: bool = True) -> Client:
        """A client whose session is open."""
        client = Client(self, principal, caching=caching)
        client.open()
        return client


class Client:
    """One client. `auto_ack`: whether it acknowledges pushes when `read` finds them."""

    def __init__(self, cell: Cell, principal: str = "alice", *, caching: bool = True, nonce: int | None = None) -> None:
        self.cell = cell
        cell.clients.append(self)
        self.principal = principal
        self.caching = caching
        self.auto_ack = True
        cell.streams += 1
        self.nonce = cell.streams if nonce is None else nonce
        self.stream = 0
        self.stream_number = 1
        self.session: SessionId = 0
        self.ticket = b""
        self.number: CallNumber = 0
        self.acknowledged: CallNumber = 0
        self.handles: HandleNumber = 0
        self.cursor = 0
        self.epoch = 0
        self.opened: SessionOpened | None = None
        self.resumed: Resumed | None = None
        self.end: ServerFrame | None = None
        self.replies: dict[CallNumber, Reply] = {}
        self.keep_alives: list[KeepAliveReply] = []
        self.pushes: list[Push] = []
        self.events: list[Event] = []
        self.tickets: dict[HandleNumber, bytes] = {}
        self.masks: dict[HandleNumber, EventMask] = {}
        self.sent: dict[CallNumber, CallFrame] = {}

    # ------------------------------------------------------------------------------------------------------ stream

    def connect(self) -> None:
        """A new stream; nothing is said on it yet."""
        self.cell.streams += 1
        self.stream = self.cell.streams
        self.cell.master.attach(self.stream, self.principal, self.cell.now)

    def send(self, frame: ClientFrame) -> None:
        """Say something, let everything happen, and read what came."""
        self.cell.master.receive(self.stream, frame, self.cell.now, self.cell.lease_until)
        self.cell.settle()
        self.cell.let_read()

    def disconnect(self) -> None:
        """The connection breaks."""
        self.cell.master.detach(self.stream, self.cell.now)
        self.cell.settle()

    def read(self) -> list[ServerFrame]:
        """Take what the cell has delivered."""
        taken: list[ServerFrame] = []
        while frames := self.cell.frames.pop(self.stream, []):
            taken += frames
            owed = 0
            for frame in frames:
                self._take(frame)
                if isinstance(frame, Push):
                    owed = frame.number
            if owed and self.auto_ack:
                self.cell.master.receive(self.stream, Acknowledge(owed), self.cell.now, self.cell.lease_until)
                self.cell.settle()
        return taken

    def _take(self, frame: ServerFrame) -> None:
        match frame:
            case Reply():
                assert frame.number not in self.replies, f"call {frame.number} is answered once"
                self.replies[frame.number] = frame
                while self.acknowledged + 1 in self.replies:
                    self.acknowledged += 1
            case Push():
                self.pushes.append(frame)
                self.events.extend(frame.events)
                self.cursor = max(self.cursor, frame.cursor)
            case KeepAliveReply():
                self.keep_alives.append(frame)
            case SessionOpened():
                self.opened = frame
                self.session, self.ticket, self.epoch = frame.session, frame.ticket, frame.epoch
                self.cursor = frame.revision
            case Resumed():
                self.resumed = frame
                self.epoch = frame.epoch
            case Redirect() | Refused() | SessionClosed():
                self.end = frame

    # ----------------------------------------------------------------------------------------------------- session

    def open(self) -> SessionOpened:
        """Open the session."""
        self.connect()
        self.send(OpenSession(self.nonce, self.caching))
        assert self.opened is not None, f"the session is open, not {self.end}"
        return self.opened

    def resume(self, *, claims: Sequence[HandleClaim] | None = None, watches: Sequence[WatchClaim] = ()) -> None:
        """A new stream for the same session, under the next number."""
        self.connect()
        self.end = self.resumed = None
        self.stream_number += 1
        if claims is None:
            claims = [HandleClaim(number, ticket, self.masks[number]) for number, ticket in self.tickets.items()]
        number, cursor = self.stream_number, self.cursor
        self.send(Resume(self.session, self.ticket, number, self.epoch, cursor, tuple(claims), tuple(watches)))

    def keep_alive(self, *, caching: bool = True) -> KeepAliveReply | None:
        """Send a KeepAlive; its answer, if there is one at once."""
        before = len(self.keep_alives)
        self.send(KeepAlive(before + 1, caching))
        return self.keep_alives[-1] if len(self.keep_alives) > before else None

    # ------------------------------------------------------------------------------------------------------- calls

    def start(self, call: Call, *, patience: Duration = 0, caching: bool = True) -> CallNumber:
        """Send a call and do not wait for the answer."""
        self.number += 1
        self.read()
        frame = CallFrame(self.number, self.acknowledged, patience, call, caching and self.caching)
        self.sent[self.number] = frame
        self.send(frame)
        return self.number

    def again(self, number: CallNumber) -> None:
        """Send a call again, as after a Resume."""
        self.send(self.sent[number])

    def answer(self, number: CallNumber) -> Answer | None:
        """The answer to a call, if it has come."""
        self.cell.let_read()
        reply = self.replies.get(number)
        return None if reply is None else reply.answer

    def call(self, call: Call, *, patience: Duration = 0, caching: bool = True) -> Answer:
        """Send a call that is answered at once."""
        number = self.start(call, patience=patience, caching=caching)
        assert number in self.replies, f"{call} is answered"
        return self.replies[number].answer

    @property
    def last(self) -> Reply:
        """The reply to the last call."""
        return self.replies[self.number]

    def open_handle(
        self,
        path: str,
        mode: Mode = Mode.READ | Mode.WRITE,
        events: EventMask = EventMask.NONE,
        create: CreateMode = CreateMode.MAY,
        *,
        contents: bytes = b"",
        ephemeral: bool = False,
        sequential: bool = False,
    ) -> HandleNumber:
        """Open a node, which succeeds."""
        self.handles += 1
        answer = self.call(
            Open(
                self.handles,
                path,
                mode,
                events,
                create,
                contents=contents,
                ephemeral=ephemeral,
                sequential=sequential,
            )
        )
        assert isinstance(answer, Opened), answer
        self.tickets[self.handles] = answer.ticket
        self.masks[self.handles] = events
        return self.handles

    @property
    def invalidated(self) -> list[CacheKey]:
        """Every key that was invalidated, in order."""
        return [key for push in self.pushes for key in push.invalidate]


def code_of(answer: Answer | None) -> ErrorCode | None:
    """The code of a failure; None for anything else."""
    return answer.code if isinstance(answer, Failure) else None
