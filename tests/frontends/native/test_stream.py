"""One session stream in every order of events, without a network: what is promised of its end holds whatever happens.

The context is a queue of packets in and a gate for packets out, so that each example decides when a write finishes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Never, cast

import grpc
import grpc.aio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chubby.errors import NotMaster
from chubby.frontends.native.settings import NativeSettings
from chubby.frontends.native.statistics import Counters
from chubby.frontends.native.stream import Context, Phase, SessionStream
from chubby.replica.door import StreamId
from chubby.types.calls import GetStat
from chubby.types.nodes import AclNames, NodeKind, Stat
from chubby.types.results import Contents
from chubby.types.stream import CallFrame, ClientFrame, OpenSession, Refused, Reply, ServerFrame
from chubby.types.time import MILLISECOND, SECOND
from chubby.wire.codec import pack_client, unpack_server
from tests.frontends.native.door import FakeDoor

STAT = Stat(NodeKind.FILE, False, 1, 1, 1, 1, 1, 1, 1, 1, 1, AclNames("r", "w", "c"))
SIZE: Final = 1000
BOUND: Final = 5 * SIZE


class Aborted(Exception):
    """What gRPC's abort raises."""


class FakeContext:
    """The connection of one stream, in memory."""

    def __init__(self) -> None:
        """Nothing was sent, and the client reads."""
        self.incoming: asyncio.Queue[bytes | object] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        self.written: list[ServerFrame] = []
        self.status: grpc.StatusCode | None = None
        self.headers = 0

    async def send_initial_metadata(self, metadata: Sequence[tuple[str, str]]) -> None:
        """See grpc.aio."""
        assert not self.written, "headers precede every message"
        self.headers += 1

    async def read(self) -> bytes | object:
        """See grpc.aio."""
        return await self.incoming.get()

    async def write(self, data: bytes) -> None:
        """See grpc.aio: finishes when the client reads."""
        assert self.status is None, "nothing is written after the end"
        await self.reads.wait()
        self.written += unpack_server(data)

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Sequence[tuple[str, str]]) -> Never:
        """See grpc.aio."""
        assert self.status is None and details and trailing_metadata
        self.status = code
        raise Aborted(details)


class Scene:
    """A stream, its door, its connection, and what a script may do to them."""

    def __init__(self, settings: NativeSettings) -> None:
        """A stream that has just begun."""
        self.door = FakeDoor(self.answer)
        self.context = FakeContext()
        self.counters = Counters()
        self.stream = SessionStream(self.door, cast("Context", self.context), "anyone", settings, self.counters)
        self.delivered: list[ServerFrame] = []
        self.ended_by_door = False
        self.task = asyncio.create_task(self.stream.run())

    def answer(self, frame: ClientFrame) -> Sequence[ServerFrame]:
        """Answer calls, and remember what was accepted for delivery."""
        return self.replies(1) if isinstance(frame, CallFrame) else ()

    def replies(self, count: int) -> list[ServerFrame]:
        """Fresh replies, which the stream will take if it is open and not full."""
        replies = [Reply(len(self.delivered) + index, Contents(bytes(SIZE), STAT)) for index in range(count)]
        if self.stream.phase is Phase.OPEN and not self.stream.outbox.overflown:
            self.delivered += replies
        return list(replies)

    async def act(self, name: str) -> None:
        """Do what the script says, then let all tasks run until nothing moves."""
        ACTIONS[name](self)
        for _ in range(12):
            await asyncio.sleep(0)

    def attached(self) -> bool:
        """Whether the door knows the stream."""
        return bool(self.door.streams)

    def deliver(self) -> None:
        """The door has something to say."""
        if self.attached():
            self.door.streams[1].deliver(self.replies(2))

    def end(self) -> None:
        """The door closes the stream."""
        if self.attached():
            self.ended_by_door = self.ended_by_door or self.stream.phase is Phase.OPEN
            self.door.streams[1].end()


ACTIONS: Final[dict[str, Callable[[Scene], object]]] = {
    "open": lambda scene: scene.context.incoming.put_nowait(pack_client([OpenSession(1)])),
    "call": lambda scene: scene.context.incoming.put_nowait(pack_client([CallFrame(1, 0, 0, GetStat(1))])),
    "bad": lambda scene: scene.context.incoming.put_nowait(b"\xff"),
    "half-close": lambda scene: scene.context.incoming.put_nowait(grpc.aio.EOF),
    "deliver": Scene.deliver,
    "end": Scene.end,
    "stop": lambda scene: scene.stream.stop(NotMaster("stopping")),
    "stop reading": lambda scene: scene.context.reads.clear(),
    "read on": lambda scene: scene.context.reads.set(),
    "disconnect": lambda scene: scene.task.cancel(),
}


async def finish(scene: Scene) -> None:
    """Let the client read what is left and go."""
    scene.context.reads.set()
    scene.context.incoming.put_nowait(grpc.aio.EOF)
    with suppress(Aborted, asyncio.CancelledError):
        async with asyncio.timeout(30):
            await scene.task


async def play(script: list[str]) -> Scene:
    """The scene after a script and an end."""
    scene = Scene(NativeSettings(outbox_bytes=BOUND, handshake=60 * SECOND, farewell=60 * SECOND))
    # gRPC starts a handler before it can cancel it.
    await asyncio.sleep(0)
    for name in script:
        await scene.act(name)
    await finish(scene)
    return scene


@settings(max_examples=300)
@given(st.lists(st.sampled_from(list(ACTIONS)), max_size=14), st.booleans())
@example(["open", "stop reading", "deliver", "deliver", "deliver", "deliver", "deliver", "end"], False)
@example(["open", "stop reading", "deliver", "disconnect"], False)
@example(["open", "stop", "end"], False)
@example(["stop", "open"], False)
def test_the_end_is_told_once_and_nothing_is_lost_or_left(script: list[str], opened: bool) -> None:
    """In every order of events.

    - The door hears once of the end of a stream it knew, unless it ended it; never of one it did not know.
    - What the client reads is what was delivered, from the front, without a gap; after it at most a refusal.
    - If it ends well, all that was delivered has been read.
    - Nothing waits any more, and no handshake is counted for ever.
    """
    scene = asyncio.run(play(["open", *script] if opened else script))
    told = len(scene.door.detached) + len(scene.door.cut)
    assert told == (1 if scene.attached() and not scene.ended_by_door else 0)
    written = [frame for frame in scene.context.written if not isinstance(frame, Refused)]
    assert written == scene.delivered[: len(written)]
    assert scene.context.written[: len(written)] == written
    if not scene.task.cancelled() and scene.context.status is None:
        assert written == scene.delivered
    assert scene.counters.handshakes == 0
    assert not scene.stream.outbox and scene.stream.phase in (Phase.ENDING, Phase.CUT)
    assert scene.context.headers == 1
    assert (scene.counters.congested == 1) == bool(scene.door.cut)


def scene_of(script: list[str]) -> Scene:
    """The scene after a script, for the tests of single rules."""
    return asyncio.run(play(script))


def test_a_stop_says_why() -> None:
    """Before the first packet and after it."""
    for script in (["stop"], ["open", "stop"], ["open", "deliver", "stop"]):
        assert scene_of(script).context.status is grpc.StatusCode.UNAVAILABLE


def test_an_end_by_the_door_is_well() -> None:
    """The frames have said why; the status has nothing to add."""
    scene = scene_of(["open", "deliver", "end"])
    assert scene.context.status is None and len(scene.context.written) == 2
    assert scene.door.detached == scene.door.cut == []


def test_frames_after_the_end_are_not_sent() -> None:
    """Neither those the door delivers too late nor answers to what came too late."""
    scene = scene_of(["open", "deliver", "end", "deliver", "call"])
    assert len(scene.context.written) == 2
    assert scene.door.streams[1].received == [OpenSession(1)]


def test_packets_behind_a_bad_one_are_not_read() -> None:
    """The stream is over with it."""
    scene = scene_of(["open", "bad", "call", "call"])
    assert scene.door.streams[1].received == [OpenSession(1)]
    assert [type(frame) for frame in scene.context.written] == [Refused]


def test_a_cut_needs_more_than_the_bound_to_wait() -> None:
    """What is being written does not wait; what waits may reach the bound."""
    fits = ["open", "stop reading", "deliver", "deliver", "deliver", "read on"]
    assert scene_of(fits).door.cut == []
    assert scene_of(["open", "stop reading", *["deliver"] * 6]).door.cut == [1]


async def run_with(settings: NativeSettings, *script: str) -> Scene:
    """The scene when it ends by itself."""
    scene = Scene(settings)
    for name in script:
        await scene.act(name)
    async with asyncio.timeout(30):
        with pytest.raises(Aborted):
            await scene.task
    return scene


async def test_the_fuse_bounds_the_first_packet() -> None:
    """Nothing else happens, and it ends."""
    scene = await run_with(NativeSettings(handshake=20 * MILLISECOND))
    assert scene.context.status is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (scene.counters.silent, scene.counters.handshakes, scene.door.streams) == (1, 0, {})


ENDS: Final[list[tuple[str, ...]]] = [("end",), ("half-close",), ("bad",), ("stop",)]


@pytest.mark.parametrize("end", ENDS)
async def test_the_fuse_bounds_the_last_packets(end: tuple[str, ...]) -> None:
    """However the end began: a client that does not read is not waited for."""
    settings = NativeSettings(farewell=20 * MILLISECOND, handshake=60 * SECOND)
    scene = await run_with(settings, "open", "stop reading", "deliver", *end)
    assert scene.context.status is not None
    assert not scene.stream.outbox and scene.context.written == []


async def test_a_door_that_breaks_is_left_in_good_order() -> None:
    """Its exception ends the RPC, as it is; the door is told all the same."""

    class Broken(FakeDoor):
        """Fails on every packet."""

        def receive(self, stream: StreamId, frames: Sequence[ClientFrame]) -> None:
            """Fail."""
            raise AssertionError("a broken invariant")

    door, context, counters = Broken(), FakeContext(), Counters()
    stream = SessionStream(door, cast("Context", context), "anyone", NativeSettings(), counters)
    context.incoming.put_nowait(pack_client([OpenSession(1)]))
    with pytest.raises(AssertionError, match="a broken invariant"):
        await stream.run()
    assert door.detached == [1] and counters.handshakes == 0
