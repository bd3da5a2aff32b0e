"""One link on a transport made of paper: timers, stalls, lingering, and what is told to its owner."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest

from chubby.paxos.configuration import Identity
from chubby.transport.codec import Codec
from chubby.transport.doorkeeper import Doorkeeper
from chubby.transport.framing import FrameDecoder, encode_frame
from chubby.transport.greetings import CONTROL_LIMIT, Control, Goodbye, Hello, Reason, Welcome, decode_control
from chubby.transport.inbox import Inbox
from chubby.transport.links import Link
from chubby.transport.mesh import believe
from chubby.transport.settings import BURST_FRAMES, BURST_SIZE, WRITE_SIZE, Limits, Timing
from chubby.transport.statistics import Tally
from chubby.transport.surroundings import Surroundings
from chubby.types.identity import ReplicaId
from chubby.types.time import MILLISECOND, SECOND
from tests.transport.conftest import Run
from tests.transport.meshes import CELL, CODEC, Mail, Note, Parcel, control, hello, turns, until

SLOW = 3600 * SECOND
TIMING = Timing(handshake=SLOW, dead=SLOW, linger=SLOW)
"""No timer of a test runs out unless the test is about it."""


class Paper(asyncio.Transport):
    """A transport that keeps what is written, and whose buffer is as full as the test says."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open, empty, reading."""
        super().__init__()
        self._loop = loop
        self._ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.written = b""
        self.unsent = 0
        self.closing = False
        self.aborted = False
        self.reading = True
        self.protocol: asyncio.BaseProtocol | None = None

    def get_extra_info(self, name: str, default: object = None) -> object:
        """A socket, to have its options set."""
        return self._tcp if name == "socket" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        assert not self.closing, "nothing is written to a closing connection"
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Note the limit."""
        self.high = high

    def get_write_buffer_size(self) -> int:
        """As the test says."""
        return self.unsent

    def is_closing(self) -> bool:
        """Whether it was closed or aborted."""
        return self.closing

    def close(self) -> None:
        """Closing; gone once the buffer is empty, which a test brings about by `gone`."""
        self.closing = True

    def abort(self) -> None:
        """Gone in the next turn."""
        if not self.aborted:
            self.closing = self.aborted = True
            self._loop.call_soon(self.gone)

    def gone(self) -> None:
        """The connection is lost."""
        for each in (*self._ends, self._tcp):
            each.close()
        assert isinstance(self.protocol, asyncio.Protocol)
        self.protocol.connection_lost(None)

    def pause_reading(self) -> None:
        """No more data."""
        self.reading = False

    def resume_reading(self) -> None:
        """More data."""
        self.reading = True

    def controls(self) -> list[Control | None]:
        """The control frames written so far."""
        return [decode_control(payload) for payload in FrameDecoder().feed(self.written)]


class Diary:
    """An owner of links that writes everything down."""

    def __init__(self) -> None:
        """Empty."""
        self.entries: list[object] = []

    def link_established(self, link: Link, peer: Hello, joining: bool) -> None:
        """Note the peer."""
        self.entries.append(("established", peer.replica, joining))

    def link_received(self, link: Link, payloads: Sequence[bytes]) -> None:
        """Note the payloads."""
        self.entries.append(("received", list(payloads)))

    def link_writable(self, link: Link) -> None:
        """Note it."""
        self.entries.append("writable")

    def link_parted(self, link: Link, reason: Reason, by_peer: bool) -> None:
        """Note the reason."""
        self.entries.append(("parted", reason, by_peer))


class Scene:
    """Replica 1's side of one link, its owner's diary, and the paper it is written on."""

    def __init__(self, dialled: ReplicaId | None, timing: Timing = TIMING) -> None:
        """Not connected."""
        loop = asyncio.get_running_loop()
        self.learned: list[int] = []
        self.surroundings = Surroundings(
            loop=loop,
            doorkeeper=Doorkeeper(Identity(CELL, 1, 10), (2, 3), 4242),
            limits=Limits(),
            timing=timing,
            tls=None,
            authenticate=believe,
            on_cell_learned=self.learned.append,
            clock=lambda: 0,
        )
        self.diary = Diary()
        self.link = Link(self.surroundings, self.diary, dialled)
        self.paper = Paper(loop)
        self.paper.protocol = self.link

    def connect(self) -> Scene:
        """The connection is made."""
        self.link.connection_made(self.paper)
        return self

    def establish(self) -> Scene:
        """The handshake is over."""
        self.connect()
        self.link.data_received(hello())
        if ("established", 2, False) not in self.diary.entries:
            self.link.data_received(control(Welcome()))
        assert self.diary.entries == [("established", 2, False)]
        self.diary.entries.clear()
        return self

    async def end(self) -> None:
        """Whatever state it is in; the link must know that it is over."""
        if not self.link.closed.done():
            self.paper.gone()
        assert self.link.over and self.link.closed.done()
        assert not self.surroundings.links
        await asyncio.sleep(0)


def test_the_dialling_side_greets_and_is_welcomed(run: Run) -> None:
    """Hello, then Welcome once the peer has said Hello; the connection counts among the living."""

    async def scenario() -> None:
        scene = Scene(dialled=2).connect()
        assert scene.surroundings.links == {scene.link}
        assert scene.paper.controls() == [scene.surroundings.doorkeeper.hello()]
        scene.link.data_received(hello())
        assert scene.paper.controls()[1:] == [Welcome()]
        assert scene.diary.entries == [("established", 2, False)]
        assert scene.paper.high == WRITE_SIZE
        await scene.end()

    run(scenario())


def test_options_of_the_connection(run: Run) -> None:
    """No delay, and the kernel gives up a peer that is silent for as long as told (DESIGN §7)."""

    async def scenario() -> None:
        scene = Scene(2, Timing(dead=2500 * MILLISECOND)).connect()
        option = scene.paper._tcp.getsockopt
        assert option(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2500
        assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 2
        await scene.end()

    run(scenario())


def test_messages_may_follow_welcome_in_one_piece(run: Run) -> None:
    """A dialler writes Welcome and its messages at once."""

    async def scenario() -> None:
        scene = Scene(dialled=None).connect()
        scene.link.data_received(hello())
        big = bytes(10 * CONTROL_LIMIT)
        scene.link.data_received(control(Welcome()) + encode_frame(b"one") + encode_frame(big) + encode_frame(b"x")[:5])
        scene.link.data_received(encode_frame(b"x")[5:])
        expected = [("established", 2, False), ("received", [b"one", big]), ("received", [b"x"])]
        assert scene.diary.entries == expected
        await scene.end()

    run(scenario())


def test_a_stranger_may_not_send_large_frames(run: Run) -> None:
    """Not even behind a good Hello, in one piece with it: nobody sends more before it has read our answer."""

    async def scenario() -> None:
        for greeting in (b"", hello()):
            scene = Scene(dialled=None).connect()
            scene.link.data_received(greeting + encode_frame(bytes(CONTROL_LIMIT + 1)))
            assert scene.diary.entries == [("parted", Reason.FRAME, False)]
            assert scene.paper.closing
            await scene.end()

    run(scenario())


def test_nothing_is_told_after_parting(run: Run) -> None:
    """Bytes that are still under way are not read, writes find no place, and the end is told once."""

    async def scenario() -> None:
        scene = Scene(dialled=None).establish()
        scene.link.dismiss(Reason.REPLACED)
        assert not scene.link.writable
        scene.link.data_received(encode_frame(b"late"))
        scene.link.pause_writing()
        scene.link.resume_writing()
        scene.link.resume_reading()
        scene.link.dismiss(Reason.STOPPED)
        assert scene.paper.controls()[1:] == [Goodbye(Reason.REPLACED)]
        await scene.end()
        assert scene.diary.entries == [("parted", Reason.REPLACED, False)]

    run(scenario())


def test_a_lost_connection_parts(run: Run) -> None:
    """In any state, once."""

    async def scenario() -> None:
        for scene in (Scene(2).connect(), Scene(None).connect(), Scene(2).establish(), Scene(None).establish()):
            await scene.end()
            assert scene.diary.entries == [("parted", Reason.LOST, False)]
            scene.link.connection_lost(None)
            assert len(scene.diary.entries) == 1

    run(scenario())


def test_a_handshake_runs_out(run: Run) -> None:
    """With a word to the peer; an established link has no such limit."""

    async def scenario() -> None:
        timing = Timing(handshake=20 * MILLISECOND, dead=SLOW, linger=SLOW)
        slow, quick = Scene(None, timing).connect(), Scene(None, timing).establish()
        await until(lambda: slow.link.over)
        assert slow.diary.entries == [("parted", Reason.TIMEOUT, False)]
        assert slow.paper.controls() == [Goodbye(Reason.TIMEOUT)]
        await asyncio.sleep(0.04)
        assert not quick.link.over
        await slow.end()
        await quick.end()

    run(scenario())


def test_a_closed_connection_may_linger_for_a_while_only(run: Run) -> None:
    """A peer that does not read must not keep a descriptor."""

    async def scenario() -> None:
        scene = Scene(None, Timing(linger=20 * MILLISECOND)).establish()
        scene.link.dismiss(Reason.REPLACED)
        assert scene.paper.closing and not scene.paper.aborted
        await until(lambda: scene.paper.aborted)
        await scene.end()

    run(scenario())


def test_a_buffer_that_does_not_drain_ends_the_link(run: Run) -> None:
    """At once, without lingering: the bytes are going nowhere."""

    async def scenario() -> None:
        scene = Scene(2, Timing(dead=20 * MILLISECOND)).establish()
        scene.paper.unsent = 2_000_000
        scene.link.pause_writing()
        assert not scene.link.writable
        await until(lambda: scene.link.over)
        assert scene.diary.entries == [("parted", Reason.STALLED, False)]
        assert scene.paper.aborted
        await scene.end()

    run(scenario())


def test_a_buffer_that_drains_slowly_does_not(run: Run) -> None:
    """However long it takes: a Promise of 32 MiB over a thin line must arrive some day."""

    async def scenario() -> None:
        scene = Scene(2, Timing(dead=20 * MILLISECOND)).establish()
        scene.paper.unsent = 2_000_000
        scene.link.pause_writing()
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.2
        while loop.time() < end:
            scene.paper.unsent -= 1
            await asyncio.sleep(0)
        assert not scene.link.over
        scene.link.resume_writing()
        assert scene.diary.entries == ["writable"]
        assert scene.link.writable
        await asyncio.sleep(0.05)
        assert not scene.link.over
        await scene.end()

    run(scenario())


def test_a_link_given_up_before_its_connection_is_dropped_when_it_comes(run: Run) -> None:
    """The peer's address changed while the connection was being made."""

    async def scenario() -> None:
        scene = Scene(dialled=2)
        scene.link.dismiss(Reason.STOPPED)
        assert scene.diary.entries == [("parted", Reason.STOPPED, False)]
        scene.connect()
        assert scene.paper.aborted and scene.paper.written == b""
        await until(scene.link.closed.done)
        await scene.end()
        assert len(scene.diary.entries) == 1

    run(scenario())


def test_a_connection_unmade_is_closed_even_if_nobody_says_so(run: Run) -> None:
    """Made and cancelled in the same turn: uvloop never calls connection_lost then, asyncio does."""

    async def scenario() -> None:
        scene = Scene(dialled=2).connect()
        scene.link.unmake()
        assert scene.paper.aborted and scene.link.closed.done()
        await scene.end()
        never = Scene(dialled=2)
        never.link.unmake()
        assert never.diary.entries == [("parted", Reason.LOST, False)]
        never.connect()
        await turns(2)

    run(scenario())


def test_only_a_made_dialled_link_is_written_to(run: Run) -> None:
    """Messages in the other direction, or too early, would be a bug here, not at the peer."""

    async def scenario() -> None:
        for scene in (Scene(2).connect(), Scene(None).establish()):
            with pytest.raises(AssertionError):
                scene.link.write([encode_frame(b"x")])
            await scene.end()

    run(scenario())


class Mailbox:
    """An inbox, what it delivered, and the paper of its link."""

    def __init__(self, codec: Codec[Mail] = CODEC) -> None:
        """Of a link with replica 2."""
        self.scene = Scene(dialled=None).establish()
        self.delivered: list[Mail] = []
        self.tally = Tally()
        self.inbox: Inbox[Mail] = Inbox(asyncio.get_running_loop(), self.scene.link, 2, codec, self.receive, self.tally)

    def receive(self, replica: ReplicaId, message: Mail) -> None:
        """Keep it."""
        assert replica == 2
        self.delivered.append(message)

    def put(self, *messages: Mail) -> None:
        """They arrive in one read."""
        self.inbox.put([CODEC.encode(message) for message in messages])


def test_a_few_messages_are_delivered_at_once(run: Run) -> None:
    """In the read that brought them: no turn is wasted."""

    async def scenario() -> None:
        box = Mailbox()
        box.put(*map(Note, range(10)))
        assert box.delivered == [Note(number) for number in range(10)]
        assert box.scene.paper.reading
        assert box.tally.frames == 10
        await box.scene.end()

    run(scenario())


def test_many_messages_are_delivered_in_bursts(run: Run) -> None:
    """One burst a turn, and the link is not read meanwhile; what comes nevertheless keeps its place."""

    async def scenario() -> None:
        box = Mailbox()
        total = 3 * BURST_FRAMES + 10
        box.put(*map(Note, range(total)))
        assert len(box.delivered) == BURST_FRAMES
        assert not box.scene.paper.reading
        box.put(Note(total))
        assert len(box.delivered) == BURST_FRAMES, "this turn has had its burst"
        await turns(1)
        assert len(box.delivered) == 2 * BURST_FRAMES
        await turns(2)
        assert box.delivered == [Note(number) for number in range(total + 1)]
        assert box.scene.paper.reading
        await box.scene.end()

    run(scenario())


def test_large_messages_are_delivered_by_size(run: Run) -> None:
    """A mebibyte a turn, or one message if it is larger."""

    async def scenario() -> None:
        box = Mailbox()
        box.put(*(Parcel(number, bytes(BURST_SIZE)) for number in range(3)))
        assert len(box.delivered) == 1
        await turns(1)
        assert len(box.delivered) == 2
        await turns(1)
        assert len(box.delivered) == 3
        await box.scene.end()

    run(scenario())


def test_a_closed_inbox_delivers_nothing_more(run: Run) -> None:
    """A link that was replaced must not speak after its successor."""

    async def scenario() -> None:
        box = Mailbox()
        box.put(*map(Note, range(2 * BURST_FRAMES)))
        box.inbox.close()
        await turns(3)
        assert len(box.delivered) == BURST_FRAMES
        await box.scene.end()

    run(scenario())


def test_closing_from_within_a_delivery(run: Run) -> None:
    """The replica may change the address book because of a message, and so end the very link that brought it."""

    async def scenario() -> None:
        box = Mailbox()

        def receive(replica: ReplicaId, message: Mail) -> None:
            box.delivered.append(message)
            if message.number == 3:
                box.inbox.close()
                box.scene.link.dismiss(Reason.UNKNOWN_REPLICA)

        box.inbox = Inbox(asyncio.get_running_loop(), box.scene.link, 2, CODEC, receive, box.tally)
        box.put(*map(Note, range(10)))
        await turns(2)
        assert box.delivered == [Note(number) for number in range(4)]
        assert box.tally.frames == 4
        await box.scene.end()

    run(scenario())


def test_garbage_ends_the_delivery(run: Run) -> None:
    """What came before it counts, what came after it is not looked at."""

    async def scenario() -> None:
        box = Mailbox()
        box.inbox.put([CODEC.encode(Note(1)), b"garbage", CODEC.encode(Note(2))])
        assert box.delivered == [Note(1)]
        assert box.tally.frames == 1
        assert box.scene.diary.entries == [("parted", Reason.GARBAGE, False)]
        await box.scene.end()

    run(scenario())


def test_a_failing_receiver_ends_the_link_in_a_later_turn_too(run: Run) -> None:
    """The error reaches the loop's exception handler, the rest is not delivered."""

    async def scenario() -> None:
        box = Mailbox()

        def receive(replica: ReplicaId, message: Mail) -> None:
            box.delivered.append(message)
            if message.number == BURST_FRAMES + 5:
                raise RuntimeError("a bug of the replica")

        box.inbox = Inbox(asyncio.get_running_loop(), box.scene.link, 2, CODEC, receive, box.tally)
        box.put(*map(Note, range(3 * BURST_FRAMES)))
        await turns(4)
        assert len(box.delivered) == BURST_FRAMES + 6
        assert box.scene.paper.aborted
        await box.scene.end()

    run(scenario(), complaints=1)
