"""A client's session under any cell, an owner who makes calls, and a network that breaks (DESIGN §6; `chubby.client`).

Whatever the cell says, in whatever order, on whichever stream: the core never raises, answers each call once at most,
keeps nothing in its cache beyond its leases, and in the end is gone with every call answered.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chubby.client.state import SessionState
from chubby.types.calls import (
    Acquire,
    CheckSequencer,
    GetContentsAndStat,
    GetSequencer,
    GetStat,
    Open,
    ReadDir,
    SetAcl,
    SetAttributes,
    SetContents,
    Watch,
)
from chubby.types.results import Answer
from chubby.types.stream import KeepAliveReply, Reply, Resumed, ServerFrame, SessionOpened
from chubby.types.time import MILLISECOND, NEVER, SECOND
from chubby.wire.codec import pack_server
from tests.fuzzing.mutation import spoilt
from tests.fuzzing.sessions import AnyCell, endings, fitting, greetings, hear, pushes
from tests.fuzzing.streams import KINDS, PATHS, calls_on
from tests.wire.samples import complete, of

WHICH = st.integers(0, 60)
PATH = st.sampled_from(PATHS)
PACKETS = [pack_server([frame]) for frame in complete(ServerFrame) if isinstance(frame, ServerFrame)]
RIGHT = {
    Open: 0,
    GetContentsAndStat: 1,
    GetStat: 2,
    SetContents: 2,
    SetAcl: 2,
    SetAttributes: 2,
    ReadDir: 3,
    Acquire: 4,
    GetSequencer: 5,
    CheckSequencer: 5,
    Watch: 6,
}
"""Which of the `fitting` answers is one to a call of this kind; to all others it is Done."""
OPENED = SessionOpened(77, b"t" * 16, 7, 5, 12 * SECOND, 4 * SECOND, 45 * SECOND, 10_000, 100)


class AnyTalk(RuleBasedStateMachine):
    """The model is in `AnyCell`: which calls were begun, answered, given up."""

    @initialize(relays=st.booleans(), opened=st.booleans())
    def begin(self, relays: bool, opened: bool) -> None:
        """A session that seeks its cell, or has found it."""
        self.cell = AnyCell(relays)
        self.given_up: set[int] = set()
        if opened:
            self.cell.connect()
            self.relayed()
            self._hear(OPENED)

    def _hear(self, frame: ServerFrame, stream: int = 0) -> None:
        hear(self.cell, pack_server([frame]), stream)

    @rule(kind=st.integers(0, 3), number=WHICH, old=st.booleans())
    def greeting(self, kind: int, number: int, old: bool) -> None:
        """The session is opened or resumed, whether asked for or not."""
        self._hear(greetings(number)[kind], 1 if old else 0)

    @rule(kind=st.integers(0, 3), number=WHICH)
    def ending(self, kind: int, number: int) -> None:
        """It is sent away."""
        self._hear(endings(number)[kind])

    @rule(kind=st.integers(0, 4), number=WHICH, path=PATH)
    def push(self, kind: int, number: int, path: str) -> None:
        """The next one, or one out of turn."""
        self._hear(pushes(self.cell, number, path)[kind])

    @rule(back=WHICH, kind=st.integers(0, 7), number=WHICH, path=PATH, cacheable=st.booleans())
    def answer(self, back: int, kind: int, number: int, path: str, cacheable: bool) -> None:
        """A call is answered with what some call could be."""
        sent = self.cell.sent
        asked = sent[-1 - back % len(sent)].number if sent and back < 50 else number
        self._hear(Reply(asked, fitting(number, path)[kind], cacheable, number % 7 * SECOND))

    @rule(number=WHICH, path=PATH, cacheable=st.booleans())
    def right_answer(self, number: int, path: str, cacheable: bool) -> None:
        """The latest call is answered as an honest cell would: it has to come far to go wrong."""
        if self.cell.sent:
            frame = self.cell.sent[-1]
            kind = RIGHT.get(type(frame.call), 7)
            self._hear(Reply(frame.number, fitting(number, path)[kind], cacheable, 4 * SECOND))

    @rule(back=WHICH, answer=of(Answer))
    def any_answer(self, back: int, answer: Answer) -> None:
        """With anything."""
        sent = self.cell.sent
        self._hear(Reply(sent[-1 - back % len(sent)].number if sent else back, answer, cacheable=True))

    @rule(late=st.integers(0, 2), lease=st.integers(0, 70), cache=st.integers(0, 70))
    def keep_alive(self, late: int, lease: int, cache: int) -> None:
        """A KeepAlive is answered, the latest or one before."""
        self._hear(KeepAliveReply(max(0, self.cell.keep_alive - late), lease * SECOND, cache * SECOND))

    @rule(packet=spoilt(PACKETS))
    def damaged(self, packet: bytes) -> None:
        """A packet that took harm."""
        hear(self.cell, packet)

    @rule(kind=st.integers(0, KINDS - 1), handle=st.integers(0, 5), path=PATH, extra=WHICH)
    def call(self, kind: int, handle: int, path: str, extra: int) -> None:
        """The owner makes a call."""
        self.cell.begin(calls_on(handle, path, extra)[kind], (0, 100 * MILLISECOND, 20 * SECOND)[extra % 3])

    @precondition(lambda self: self.cell.begun)
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        """And gives one up."""
        number = self.cell.begun[which % len(self.cell.begun)]
        if number not in self.cell.answered:
            self.given_up.add(number)
        self.cell.core.cancel(number, self.cell.now)
        self.cell.drain()

    @rule(handle=st.integers(0, 5))
    def poison(self, handle: int) -> None:
        """Or all on one handle."""
        self.cell.core.poison(handle, self.cell.now)
        self.cell.drain()

    @rule()
    def connect(self) -> None:
        """The connection stands."""
        self.cell.connect()

    @rule()
    def disconnect(self) -> None:
        """It breaks."""
        self.cell.disconnect()

    @rule()
    def relayed(self) -> None:
        """Whoever rests on the cache has dropped what it was told to."""
        while self.cell.relayed < self.cell.told:
            self.cell.relayed += 1
            self.cell.core.relayed(self.cell.relayed, self.cell.now)
            self.cell.drain()

    @rule(duration=st.sampled_from([0, 10 * MILLISECOND, SECOND, 7 * SECOND, 13 * SECOND, 60 * SECOND]))
    def time_passes(self, duration: int) -> None:
        """Leases, deadlines and pauses run out."""
        self.cell.pass_time(duration)

    @invariant()
    def sound(self) -> None:
        """At any time."""
        if hasattr(self, "cell"):
            self.cell.check()
            assert not self.given_up & {number for number in self.cell.answered if number not in self.given_up}

    def teardown(self) -> None:
        """The owner closes: every call that was not given up is answered, and nothing is awaited any more."""
        if not hasattr(self, "cell"):
            return
        self.cell.core.close(self.cell.now)
        self.cell.drain()
        assert set(self.cell.begun) - self.given_up <= set(self.cell.answered), "nobody waits for ever"
        assert self.cell.core.state in (SessionState.CLOSED, SessionState.EXPIRED)
        if not self.cell.core.gone:
            self._hear(Resumed(5, 12 * SECOND, 4 * SECOND))
            if not self.cell.core.gone:
                self.cell.core.abandon()
                self.cell.drain()
        assert self.cell.core.gone and self.cell.core.wake_at() == NEVER


TestAnyTalk = AnyTalk.TestCase
TestAnyTalk.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
