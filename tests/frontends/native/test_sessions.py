"""Session streams that behave: what is sent reaches the door, what the door delivers reaches the client, and each
stream's end is told once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import get_args

import pytest

from chubby.errors import ErrorCode, Failure, InternalError, PermissionDenied
from chubby.frontends.native.stream import Context
from chubby.replica.door import StreamId
from chubby.types.calls import Call, GetStat
from chubby.types.nodes import AclNames, NodeKind, Stat
from chubby.types.results import Answer, Contents, Done
from chubby.types.stream import (
    Acknowledge,
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
    ServerFrame,
    SessionClosed,
)
from chubby.wire.limits import PACK_BYTES, PACK_FRAMES
from tests.frontends.native.conftest import Service, serving, until
from tests.frontends.native.door import OPENED, RESUMED, Attached, FakeDoor, friendly
from tests.wire.samples import complete

STAT = Stat(NodeKind.FILE, False, 1, 1, 1, 1, 1, 1, 1, 1, 1, AclNames("r", "w", "c"))


def only(door: FakeDoor) -> Attached:
    """The one stream of a door."""
    (attached,) = door.streams.values()
    return attached


async def test_a_session_is_opened(service: Service) -> None:
    """The first packet attaches the stream, and the answer comes back."""
    caller = await service.opened()
    attached = only(service.door)
    assert attached.principal == "anyone"
    assert attached.received == [OpenSession(1)]
    assert service.frontend.statistics().streams == 1
    caller.call.cancel()


async def test_a_session_is_resumed(service: Service) -> None:
    """Resume opens a stream as well as OpenSession, with calls in the same packet if the client likes."""
    caller = service.caller()
    resume, call = Resume(1, b"ticket", 2, 7, 3), CallFrame(5, 4, 0, GetStat(1))
    await caller.send(resume, call)
    assert await caller.take(2) == [RESUMED, Reply(5, Done(5))]
    assert only(service.door).received == [resume, call]


async def test_every_call_reaches_the_door_and_every_answer_the_client() -> None:
    """DESIGN §6: each call the paper names crosses a real connection, each result and failure comes back."""
    calls = [frame for frame in complete(ClientFrame) if isinstance(frame, CallFrame)]
    answers = [frame for frame in complete(ServerFrame) if isinstance(frame, Reply)]
    assert {type(frame.call) for frame in calls} == set(get_args(Call))
    assert {type(frame.answer) for frame in answers} == set(get_args(Answer))
    waiting = list(answers)

    def answer(frame: ClientFrame) -> Sequence[ServerFrame]:
        return (OPENED,) if isinstance(frame, OpenSession) else tuple(waiting[:1] and [waiting.pop(0)])

    async with serving(FakeDoor(answer)) as service:
        caller = await service.opened()
        for call in calls:
            await caller.send(call)
        assert await caller.take(len(answers)) == answers
        await until(lambda: len(only(service.door).received) == 1 + len(calls))
        assert only(service.door).received[1:] == calls


async def test_every_other_frame_crosses_too(service: Service) -> None:
    """Keep-alives, acknowledgements and pushes, in the order in which they were sent."""
    caller = await service.opened()
    await caller.send(KeepAlive(1, True), Acknowledge(1))
    assert isinstance(await caller.receive(), KeepAliveReply)
    pushes = [frame for frame in complete(ServerFrame) if isinstance(frame, Push)]
    only(service.door).deliver(pushes)
    assert await caller.take(len(pushes)) == pushes
    assert only(service.door).received[1:] == [KeepAlive(1, True), Acknowledge(1)]


async def test_a_packet_comes_in_as_one(service: Service) -> None:
    """DESIGN §6: what a client packs reaches the door together: one batch, not many."""
    caller = await service.opened()
    await caller.send(*[CallFrame(number, 0, 0, GetStat(1)) for number in range(1, 501)])
    assert await caller.take(500) == [Reply(number, Done(number)) for number in range(1, 501)]
    assert only(service.door).batches == [1, 500]


async def test_what_waits_goes_out_in_few_packets(service: Service) -> None:
    """DESIGN §7: three thousand single deliveries become three packets or little more, in order."""
    caller = await service.opened()
    replies = [Reply(number, Done(number)) for number in range(3 * PACK_FRAMES)]
    for reply in replies:
        only(service.door).deliver((reply,))
    assert await caller.take(len(replies)) == replies
    assert max(caller.packets) == PACK_FRAMES
    assert len(caller.packets) <= 1 + 4
    await until(lambda: service.frontend.statistics().frames_out == 1 + len(replies))
    assert service.frontend.statistics().packets_out == len(caller.packets)


async def test_what_arrives_during_a_write_goes_out_together(service: Service) -> None:
    """Replies from many loop turns pile up behind a packet that is under way: fewer packets than replies."""
    caller = await service.opened()
    rounds = 200
    for number in range(rounds):
        only(service.door).deliver([Reply(number, Contents(bytes(20_000), STAT))])
        if number % 10 == 0:
            await asyncio.sleep(0)
    frames = await caller.take(rounds)
    assert [frame.number for frame in frames if isinstance(frame, Reply)] == list(range(rounds))
    assert len(caller.packets) < rounds / 2


async def test_a_frame_longer_than_a_packet_arrives(service: Service) -> None:
    """Also one longer than all that may wait for a client: it reads, so it is served."""
    caller = await service.opened()
    frames = [Reply(1, Contents(bytes(3 * PACK_BYTES), STAT)), Reply(2, Done())]
    only(service.door).deliver(frames)
    assert await caller.take(2) == frames
    assert service.door.cut == []


async def test_a_redirect_ends_the_stream() -> None:
    """A replica that is not the master says who is, and hangs up in good order; the door needs no detach."""
    redirect = Redirect("127.0.0.1:7002", 8)

    class Elsewhere(FakeDoor):
        """Not the master."""

        def receive(self, stream: StreamId, frames: Sequence[ClientFrame]) -> None:
            """Redirect and end."""
            self.streams[stream].deliver((redirect,))
            self.streams[stream].end()

    async with serving(Elsewhere()) as service:
        caller = service.caller()
        await caller.send(OpenSession(1))
        assert await caller.receive() == redirect
        assert await caller.verdict() is None
        await until(lambda: service.frontend.statistics().streams == 0)
        assert service.door.detached == service.door.cut == []


async def test_a_door_may_end_a_stream_while_it_is_attached() -> None:
    """Even before the stream has a name: no frame is handed in afterwards, and no detach."""

    class Shut(FakeDoor):
        """Refuses everybody at once."""

        def attach(
            self, principal: str, deliver: Callable[[Sequence[ServerFrame]], None], end: Callable[[], None]
        ) -> StreamId:
            """Refuse."""
            deliver((Refused(Failure(ErrorCode.OVERLOADED, "full")),))
            end()
            return super().attach(principal, deliver, end)

    async with serving(Shut()) as service:
        caller = service.caller()
        await caller.send(OpenSession(1))
        assert await caller.receive() == Refused(Failure(ErrorCode.OVERLOADED, "full"))
        assert await caller.verdict() is None
        assert only(service.door).received == []
        assert service.door.detached == []


async def test_a_session_is_closed_in_good_order(service: Service) -> None:
    """CloseSession is answered, then the stream ends well."""
    caller = await service.opened()
    await caller.send(CloseSession())
    assert await caller.receive() == SessionClosed()
    assert await caller.verdict() is None
    assert service.door.detached == []


async def test_a_client_that_half_closes_gets_what_waits(service: Service) -> None:
    """It will acknowledge nothing any more: the stream ends, after the replies that were under way."""
    caller = await service.opened()
    await caller.send(*[CallFrame(number, 0, 0, GetStat(1)) for number in range(100)])
    await caller.call.done_writing()
    assert len(await caller.take(100)) == 100
    assert await caller.verdict() is None
    assert service.door.detached == [1]


async def test_a_client_that_cancels_is_detached(service: Service) -> None:
    """DESIGN §5: the session lives on until it resumes or its lease runs out; the door hears of it once."""
    caller = await service.opened()
    caller.call.cancel()
    await until(lambda: service.door.detached == [1])
    await until(lambda: service.frontend.statistics().streams == 0)
    assert service.door.detached == [1] and service.door.cut == []


async def test_a_client_whose_connection_breaks_is_detached(service: Service) -> None:
    """All streams of a connection, each once."""
    channel = service.channel()
    for _ in range(3):
        caller = service.caller(channel)
        await caller.send(OpenSession(1))
        await caller.receive()
    await channel.close()
    await until(lambda: len(service.door.detached) == 3)
    assert sorted(service.door.detached) == [1, 2, 3]


async def test_deliveries_after_the_end_are_ignored(service: Service) -> None:
    """A door may deliver to a stream that has just gone; nothing happens, and nothing is kept."""
    caller = await service.opened()
    attached = only(service.door)
    caller.call.cancel()
    await until(lambda: service.door.detached == [1])
    attached.deliver((KeepAliveReply(1, 1, 1),))
    attached.end()
    attached.end()
    statistics = service.frontend.statistics()
    assert statistics.waiting_bytes == 0 and service.door.detached == [1]


async def test_the_principal_comes_from_the_connection() -> None:
    """The seam for certificates: whoever the connection proves is who the door is told."""

    def named(context: Context) -> str:
        assert context.peer().startswith("ipv4:127.0.0.1")
        return "alice"

    async with serving(principal_of=named) as service:
        await service.opened()
        assert only(service.door).principal == "alice"


async def test_a_caller_who_proves_nothing_is_told_why() -> None:
    """What the seam raises ends the stream before the door hears of it."""

    def nobody(context: Context) -> str:
        raise PermissionDenied("no certificate")

    async with serving(principal_of=nobody) as service:
        verdict = await service.caller().verdict()
        assert isinstance(verdict, PermissionDenied) and str(verdict) == "no certificate"
        assert service.door.streams == {}


async def test_a_bug_behind_the_door_ends_one_stream() -> None:
    """The client sees its stream fail, the door is told, everybody else is served."""

    def answer(frame: ClientFrame) -> Sequence[ServerFrame]:
        if isinstance(frame, KeepAlive):
            raise AssertionError("a broken invariant")
        return friendly(frame)

    async with serving(FakeDoor(answer)) as service:
        healthy, doomed = await service.opened(), await service.opened()
        await doomed.send(KeepAlive(1, True))
        assert isinstance(await doomed.verdict(), InternalError)
        await until(lambda: service.door.detached == [2])
        await healthy.send(CallFrame(1, 0, 0, GetStat(1)))
        assert await healthy.receive() == Reply(1, Done(1))


async def test_a_frame_that_cannot_be_encoded_ends_one_stream(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """The door is not disturbed by an exception in the midst of a delivery; the log says whose stream was cut."""
    healthy, doomed = await service.opened(), await service.opened()
    service.door.streams[2].deliver((Reply(1 << 70, Done()),))
    assert isinstance(await doomed.verdict(), InternalError)
    await until(lambda: service.door.detached == [2])
    assert "cut a session stream of anyone" in caplog.text
    await healthy.send(CallFrame(1, 0, 0, GetStat(1)))
    assert await healthy.receive() == Reply(1, Done(1))


async def test_many_sessions_at_once(service: Service) -> None:
    """Two hundred streams, each with its own conversation: nothing is mixed up, everything is counted."""

    async def converse(number: int) -> None:
        caller = service.caller(channels[number % len(channels)])
        await caller.send(OpenSession(number))
        assert await caller.receive() == OPENED
        for call in range(1, 6):
            await caller.send(CallFrame(1000 * number + call, 0, 0, GetStat(1)))
            assert await caller.receive() == Reply(1000 * number + call, Done(1000 * number + call))
        await caller.send(CloseSession())
        assert await caller.verdict() is None

    channels = [service.channel() for _ in range(10)]
    await asyncio.gather(*[converse(number) for number in range(200)])
    await until(lambda: service.frontend.statistics().streams == 0)
    statistics = service.frontend.statistics()
    assert (statistics.attached, statistics.packets_in, statistics.frames_in) == (200, 1400, 1400)
    assert statistics.frames_out == 1400 and statistics.packets_out <= 1400
    assert statistics.bytes_in > 0 and statistics.bytes_out > 0
    assert (statistics.bad_packets, statistics.congested, statistics.silent, statistics.turned_away) == (0, 0, 0, 0)


async def test_streams_of_one_connection_share_it_fairly(service: Service) -> None:
    """A stream that does not read does not hold up its neighbour on the same connection."""
    channel = service.channel()
    idle, busy = service.caller(channel), service.caller(channel)
    for caller in (idle, busy):
        await caller.send(OpenSession(1))
        assert await caller.receive() == OPENED
    service.door.streams[1].deliver([Reply(number, Contents(bytes(100_000), STAT)) for number in range(20)])
    await busy.send(CallFrame(1, 0, 0, GetStat(1)))
    assert await busy.receive() == Reply(1, Done(1))
