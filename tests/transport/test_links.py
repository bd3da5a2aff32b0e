"""One link on a transport made of paper: timers, stalls, lingering, and what is told to its owner."""

from __future__ import annotations

import asyncio
import socket

import pytest

from chubby.transport.framing import encode_frame
from chubby.transport.greetings import CONTROL_LIMIT, Goodbye, Reason, Welcome
from chubby.transport.settings import WRITE_SIZE, Timing
from chubby.types.time import MILLISECOND
from tests.transport.conftest import Run
from tests.transport.meshes import control, hello, turns, until
from tests.transport.paper import SLOW, Scene


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
        option = scene.paper.socket.getsockopt
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


def test_bytes_behind_a_bad_frame_are_not_read(run: Run) -> None:
    """The stream has lost its rhythm; more of it may still be in the loop's hands."""

    async def scenario() -> None:
        scene = Scene(dialled=None).establish()
        scene.link.data_received(bytes(8))
        scene.link.data_received(encode_frame(b"late"))
        assert scene.diary.entries == [("parted", Reason.FRAME, False)]
        await scene.end()

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
        quick, slow = Scene(None, timing).establish(), Scene(None, timing).connect()
        await until(lambda: slow.link.over)
        assert slow.diary.entries == [("parted", Reason.TIMEOUT, False)]
        assert slow.paper.controls() == [Goodbye(Reason.TIMEOUT)]
        assert not quick.link.over, "its time would have been up before"
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
        later = Scene(2, Timing(dead=20 * MILLISECOND)).establish()
        later.paper.unsent = 2_000_000
        later.link.pause_writing()
        await until(lambda: later.link.over)
        assert not scene.link.over, "once it has drained, its timer is gone"
        await later.end()
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


def test_nothing_is_written_to_a_connection_unmade(run: Run) -> None:
    """The loop has closed it under our feet: not even a goodbye can be said, and the owner hears the true reason."""

    async def scenario() -> None:
        scene = Scene(dialled=2).connect()
        greeted = scene.paper.written
        scene.paper.dead = True
        scene.link.unmake(Reason.UNREACHABLE)
        assert scene.paper.written == greeted and scene.paper.aborted and scene.link.closed.done()
        await scene.end()
        assert scene.diary.entries == [("parted", Reason.UNREACHABLE, False)]

    run(scenario())


def test_only_a_made_dialled_link_is_written_to(run: Run) -> None:
    """Messages in the other direction, or too early, would be a bug here, not at the peer."""

    async def scenario() -> None:
        for scene in (Scene(2).connect(), Scene(None).establish()):
            with pytest.raises(AssertionError):
                scene.link.write([encode_frame(b"x")])
            await scene.end()

    run(scenario())
