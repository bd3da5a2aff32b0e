"""Any clients of one cell, and one honest client among them (DESIGN §4, §5; `chubby.master`).

The others say what they like: good calls in absurd orders, numbers used again, handles that never were, streams that
ended, epochs and cursors of other times, claims they have no right to. The replica never raises and holds no more than
its bounds; and the honest client is served, finds what it wrote, and keeps its lock while its session lasts.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Acquire, Call, CreateMode, GetContentsAndStat, Open, SetContents
from chubby.types.results import Answer, Contents, LockGranted, Opened, StatResult
from chubby.types.stream import (
    Acknowledge,
    CallFrame,
    ClientFrame,
    CloseSession,
    HandleClaim,
    KeepAlive,
    OpenSession,
    Push,
    Redirect,
    Refused,
    Reply,
    Resume,
    Resumed,
    SessionOpened,
    WatchClaim,
)
from chubby.types.time import MILLISECOND, SECOND
from chubby.wire.codec import pack_client
from tests.fuzzing.mutation import spoilt
from tests.fuzzing.streams import EVERY_EVENT, FULL, GREATEST, KINDS, PATHS, AnyClients, calls_on
from tests.wire.samples import complete, of

WHICH = st.integers(0, 40)
NUMBERS = st.integers(0, 12) | st.sampled_from([100, 10_000, GREATEST])
HANDLES = st.integers(0, 14) | st.sampled_from([1000, GREATEST])
PACKETS = [pack_client([frame]) for frame in complete(ClientFrame) if isinstance(frame, ClientFrame)]
FRAMES = of(ClientFrame)
MINE = "/mine"


class Honest:
    """A client that keeps the protocol: one call at a time, repeated on a new stream if the old one ended."""

    def __init__(self, clients: AnyClients) -> None:
        """Not there yet."""
        self.clients = clients
        self.stream = 0
        self.session = 0
        self.ticket = b""
        self.streams = 0
        self.number = 0
        self.handle = 0
        self.handle_ticket = b""
        self.written = b""

    def _hear(self, stream: int) -> Reply | Resumed | SessionOpened | Refused | Redirect | None:
        """The last answer of those that came."""
        found = None
        for frame in self.clients.cell.take(stream):
            match frame:
                case Push():
                    self.clients.cell.receive(stream, [Acknowledge(frame.number)])
                case Reply() | Resumed() | SessionOpened() | Refused() | Redirect():
                    found = frame
        return found

    def greet(self) -> bool:
        """Be on a stream; whether the session is the same as before."""
        same = self.session != 0
        for _ in range(100):
            self.stream = self.clients.cell.attach("bob")
            self.streams += 1
            claims = (HandleClaim(self.handle, self.handle_ticket, EVERY_EVENT),) if self.handle else ()
            greeting: ClientFrame = OpenSession(9_000_000 + self.streams)
            if self.session:
                greeting = Resume(self.session, self.ticket, self.streams, 0, 0, claims)
            self.clients.cell.receive(self.stream, [greeting])
            answer = self._hear(self.stream)
            match answer:
                case SessionOpened():
                    self.session, self.ticket, self.number, self.handle = answer.session, answer.ticket, 0, 0
                    return False
                case Resumed():
                    return same
                case Refused(failure=failure) if failure.code is ErrorCode.SESSION_EXPIRED:
                    self.session, same = 0, False
                case _:
                    self.clients.cell.detach(self.stream)
                    self.clients.cell.pass_time(100 * MILLISECOND)
        raise AssertionError(f"nobody lets an honest client in: {answer}")

    def ask(self, call: Call) -> Answer:
        """The answer to one call, whatever becomes of the stream meanwhile."""
        self.number += 1
        frame = CallFrame(self.number, self.number - 1, 0, call)
        for _ in range(100):
            if self.stream in self.clients.cell.ended and not self.greet():
                return Failure(ErrorCode.SESSION_EXPIRED, "the session is over")
            self.clients.cell.receive(self.stream, [frame])
            answer = self._hear(self.stream)
            if isinstance(answer, Reply):
                assert answer.number == frame.number
                return answer.answer
            self.clients.cell.pass_time(50 * MILLISECOND)
        raise AssertionError(f"an honest client's {call} is not answered")

    def settle_in(self) -> None:
        """Have a session, a handle and the lock."""
        if self.stream == 0 or self.stream in self.clients.cell.ended or not self.session:
            self.greet()
        if not self.handle:
            opened = self.ask(Open(1, MINE, FULL, EVERY_EVENT, CreateMode.MAY))
            if isinstance(opened, Opened):
                self.handle, self.handle_ticket = 1, opened.ticket


class AnyCrowd(RuleBasedStateMachine):
    """The model: what the honest client wrote last."""

    @initialize()
    def begin(self) -> None:
        """A cell, the honest client in it, and somebody else."""
        self.clients = AnyClients()
        self.honest = Honest(self.clients)
        self.honest.settle_in()
        assert isinstance(self.honest.ask(SetContents(1, b"first")), StatResult)
        assert isinstance(self.honest.ask(Acquire(1)), LockGranted)
        self.honest.written = b"first"
        self.clients.attach()
        self._say(0, OpenSession(1))
        self.burst(0, 0, "/a", 1, 14, 0)

    def _stream(self, which: int) -> int:
        return self.clients.attached[which % len(self.clients.attached)]

    def _say(self, which: int, *frames: ClientFrame) -> None:
        self.clients.say(self._stream(which), pack_client(frames))

    @rule()
    def attach(self) -> None:
        """A stream nobody speaks on yet."""
        self.clients.attach()

    @rule(which=WHICH, nonce=NUMBERS, caching=st.booleans())
    def open_session(self, which: int, nonce: int, caching: bool) -> None:
        """On a fresh stream, or on any other."""
        self.clients.attach()
        self._say(-1 if which % 3 else which, OpenSession(nonce, caching))

    @rule(which=WHICH, stream=NUMBERS, epoch=NUMBERS, cursor=NUMBERS, claims=st.lists(HANDLES, max_size=14))
    def resume(self, which: int, stream: int, epoch: int, cursor: int, claims: list[int]) -> None:
        """A session there is, with numbers of other times; and the honest client's, without its ticket."""
        sessions = [*self.clients.session_tickets, self.honest.session, 0]
        session = sessions[which % len(sessions)]
        handles = tuple(HandleClaim(claim, b"", EVERY_EVENT) for claim in claims)
        watches = tuple(WatchClaim(claim, PATHS[claim % len(PATHS)], recursive=True) for claim in claims)
        self.clients.attach()
        self._say(-1, Resume(session, b"", stream, epoch, cursor, handles, watches))

    @rule(
        which=WHICH,
        kind=st.integers(0, KINDS - 1),
        handle=HANDLES,
        path=st.sampled_from(PATHS),
        number=NUMBERS,
        acknowledged=st.just(0) | st.just(0) | NUMBERS,
        patience=st.sampled_from([0, 1, SECOND, GREATEST]),
        extra=st.integers(0, 9),
        caching=st.booleans(),
    )
    def call(
        self,
        which: int,
        kind: int,
        handle: int,
        path: str,
        number: int,
        acknowledged: int,
        patience: int,
        extra: int,
        caching: bool,
    ) -> None:
        """Any call, under any number, acknowledging what was never answered."""
        self._say(which, CallFrame(number, acknowledged, patience, calls_on(handle, path, extra)[kind], caching))

    @rule(
        which=WHICH,
        kind=st.integers(0, KINDS - 1),
        path=st.sampled_from(PATHS),
        first=st.integers(1, 60),
        count=st.integers(2, 24),
        extra=st.integers(0, 9),
    )
    def burst(self, which: int, kind: int, path: str, first: int, count: int, extra: int) -> None:
        """Many calls of one kind in one packet, each with another number and another handle."""
        numbers = range(first, first + count)
        self._say(which, *(CallFrame(number, 0, 0, calls_on(number, path, extra)[kind], True) for number in numbers))

    @rule(which=WHICH, frames=st.lists(FRAMES, min_size=1, max_size=4))
    def anything(self, which: int, frames: list[ClientFrame]) -> None:
        """Frames of any kind with anything in them."""
        self.clients.say(self._stream(which), pack_client(frames))

    @rule(which=WHICH, packet=spoilt(PACKETS))
    def damaged(self, which: int, packet: bytes) -> None:
        """A packet that took harm."""
        self.clients.say(self._stream(which), packet)

    @rule(which=WHICH, number=NUMBERS, kind=st.integers(0, 2))
    def housekeeping(self, which: int, number: int, kind: int) -> None:
        """KeepAlive, Acknowledge, CloseSession, whether due or not."""
        self._say(which, (KeepAlive(number, True), Acknowledge(number), CloseSession())[kind])

    @rule(which=WHICH)
    def detach(self, which: int) -> None:
        """A connection breaks, perhaps one that is gone already."""
        self.clients.cell.detach(self._stream(which))

    @rule(duration=st.sampled_from([1, 50 * MILLISECOND, 400 * MILLISECOND, 1200 * MILLISECOND, 3 * SECOND]))
    def time_passes(self, duration: int) -> None:
        """Leases may run out, the honest client's as well."""
        self.clients.cell.pass_time(duration)
        self.clients.listen()

    @rule(duration=st.sampled_from([200 * MILLISECOND, 2 * SECOND]))
    def the_replica_sleeps(self, duration: int) -> None:
        """It stalls, and comes to."""
        self.clients.cell.sleep(duration)
        self.clients.listen()

    @rule(value=st.binary(min_size=1, max_size=8))
    def the_honest_client_is_served(self, value: bytes) -> None:
        """It finds what it wrote; and writes anew."""
        self.honest.settle_in()
        answer = self.honest.ask(GetContentsAndStat(1))
        if isinstance(answer, Failure):
            assert answer.code in (ErrorCode.SESSION_EXPIRED, ErrorCode.HANDLE_INVALID, ErrorCode.NO_NODE), answer
            self.honest.handle = 0
            return
        assert isinstance(answer, Contents) and answer.contents == self.honest.written
        changed = self.honest.ask(SetContents(1, value))
        if isinstance(changed, StatResult):
            self.honest.written = value

    @invariant()
    def within_bounds(self) -> None:
        """Of the master and of the cell."""
        if hasattr(self, "clients"):
            self.clients.listen()
            self.clients.cell.check()

    def teardown(self) -> None:
        """In the end the honest client is served once more."""
        if hasattr(self, "honest"):
            for stream in self.clients.attached:
                self.clients.cell.detach(stream)
            self.clients.cell.detach(self.honest.stream)
            self.clients.cell.pass_time(5 * SECOND)
            machine = self.clients.cell.replica.machine
            assert machine is not None and machine.session_count == 0, "who is gone is forgotten with his lease"
            self.honest.stream = 0
            self.honest.settle_in()
            if not self.honest.handle:
                self.honest.settle_in()
            answer = self.honest.ask(GetContentsAndStat(1))
            assert isinstance(answer, Contents) and answer.contents == self.honest.written, answer


TestAnyCrowd = AnyCrowd.TestCase
TestAnyCrowd.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
