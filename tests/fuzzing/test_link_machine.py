"""One side of a replica link, fed with anything in any order and in any pieces, against a model of four words.

`tests.transport.test_handshake` proves each cell of the table; this is the connection around it: decoder, inbox, the
limit for strangers, and what is kept when it is over (`chubby.transport`).
"""

from __future__ import annotations

import asyncio
import enum
import struct

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chubby.transport.framing import FRAME_LIMIT, HEADER_BYTES, encode_frame
from chubby.transport.greetings import CONTROL_LIMIT, Goodbye, Hello, Reason, Welcome
from tests.fuzzing.links import ENCODED, Conversation
from tests.transport.meshes import control, hello


class Due(enum.Enum):
    """What this side waits for."""

    HELLO = "hello"
    WELCOME = "welcome"
    MESSAGES = "messages"
    GOODBYE = "goodbye"
    """Nothing else may come on a link that was dialled."""
    OVER = "over"


GOOD, STRANGE = (
    (hello(replica=2), hello(replica=2, cell=0)),
    (hello(replica=9), hello(cell=1), hello(version=9, oldest=8)),
)
GARBAGE = (
    bytes(HEADER_BYTES),
    struct.pack(">II", FRAME_LIMIT + 1, 0),
    encode_frame(b"nonsense"),
    encode_frame(b"\x91" * 900),
    struct.pack(">II", 3, 0) + b"abc",
)


class AnyPeer(RuleBasedStateMachine):
    """The model: what is due, how many messages came, and the bytes said but held back."""

    def __init__(self) -> None:
        """No connection."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.due = Due.OVER
        self.messages = 0
        self.dialled = False
        self.talk: Conversation

    @initialize(dialled=st.booleans())
    def connect(self, dialled: bool) -> None:
        """A connection, dialled or accepted."""

        async def made() -> Conversation:
            return Conversation(dialled)

        self.talk = self.loop.run_until_complete(made())
        self.dialled, self.due = dialled, Due.HELLO

    def _say(self, frame: bytes, pieces: int) -> None:
        """In so many pieces: it makes no difference."""

        async def say() -> None:
            step = -(-len(frame) // pieces)
            for at in range(0, len(frame), step):
                self.talk.say(frame[at : at + step])

        self.loop.run_until_complete(say())

    @rule(frame=st.sampled_from(GOOD), pieces=st.integers(1, 5))
    def greet(self, frame: bytes, pieces: int) -> None:
        """The replica that was promised introduces itself."""
        self._say(frame, pieces)
        if self.due is Due.HELLO:
            self.due = Due.GOODBYE if self.dialled else Due.WELCOME
        else:
            self.due = Due.OVER

    @rule(frame=st.sampled_from(STRANGE), pieces=st.integers(1, 5))
    def greet_as_a_stranger(self, frame: bytes, pieces: int) -> None:
        """Somebody else does."""
        self._say(frame, pieces)
        self.due = Due.OVER

    @rule(pieces=st.integers(1, 5))
    def welcome(self, pieces: int) -> None:
        """In turn or not."""
        self._say(control(Welcome()), pieces)
        self.due = Due.MESSAGES if self.due is Due.WELCOME else Due.OVER

    @rule(payload=st.sampled_from(ENCODED), pieces=st.integers(1, 5))
    def message(self, payload: bytes, pieces: int) -> None:
        """One of Paxos's, in turn or not."""
        self._say(encode_frame(payload), pieces)
        if self.due is Due.MESSAGES:
            self.messages += 1
        else:
            self.due = Due.OVER

    @rule(frame=st.sampled_from(GARBAGE), pieces=st.integers(1, 5))
    def garbage(self, frame: bytes, pieces: int) -> None:
        """What is no frame, or no message."""
        self._say(frame, pieces)
        self.due = Due.OVER

    @rule()
    def a_large_frame_is_announced(self) -> None:
        """A stranger's ends the link at once; a peer's would be waited for, up to its limit."""
        self._say(struct.pack(">II", CONTROL_LIMIT + 1, 0), 1)
        if self.due in (Due.HELLO, Due.GOODBYE):
            self.due = Due.OVER
        elif self.due is not Due.OVER:
            assert self.talk.link._decoder.pending == HEADER_BYTES
            self._say(bytes(CONTROL_LIMIT + 1), 3)
            self.due = Due.OVER

    @rule()
    def goodbye(self) -> None:
        """Understood while control frames are; on a made link it is no message."""
        self._say(control(Goodbye(Reason.STOPPED)), 1)
        self.due = Due.OVER

    @rule()
    def break_off(self) -> None:
        """The connection is lost."""

        async def lose() -> None:
            self.talk.scene.paper.gone()

        self.loop.run_until_complete(lose())
        self.due = Due.OVER

    @rule(wanted=st.sampled_from([(2, 3), (3,), ()]))
    def others_are_expected(self, wanted: tuple[int, ...]) -> None:
        """The address book changes and changes back: a link that is made stays."""
        self.talk.scene.surroundings.doorkeeper.expect(wanted)
        self.talk.scene.surroundings.doorkeeper.expect((2, 3))

    @invariant()
    def as_the_model_says(self) -> None:
        """Over or not, and every message that came in turn was delivered."""
        if hasattr(self, "talk"):
            assert self.talk.link.over is (self.due is Due.OVER)
            assert self.talk.owner.messages == self.messages
            greeted = [entry for entry in self.talk.scene.paper.controls() if isinstance(entry, Hello)]
            assert len(greeted) <= 1, "one introduces oneself once"

    def teardown(self) -> None:
        """Nothing is kept of a connection that is gone."""

        async def end() -> None:
            self.talk.end()

        if hasattr(self, "talk"):
            self.loop.run_until_complete(end())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


TestAnyPeer = AnyPeer.TestCase
TestAnyPeer.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
