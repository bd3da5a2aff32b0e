"""The real network: gRPC streams to the real front end, with the fake cell behind it (DESIGN §6, §7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
import pytest

from chubby import aio
from chubby.client import grpc_network
from chubby.client.driver import boot_clock
from chubby.client.grpc_network import GrpcNetwork
from chubby.client.network import Link
from chubby.client.state import SessionState
from chubby.errors import AvailabilityError, ChubbyError, ConfigError, ForkedProcess, NoQuorum, TooLarge
from chubby.types.calls import GetStat, SetContents
from chubby.types.stream import CallFrame, OpenSession, ServerFrame, SessionOpened
from tests.client.conftest import until
from tests.client.fake_cell import FakeCell
from tests.client.fake_door import Server, serve, served
from tests.integration.cells import free_ports


@pytest.fixture
async def server(cell: FakeCell) -> AsyncIterator[Server]:
    """One replica that is master."""
    async with served(cell) as made:
        yield made


@pytest.fixture
async def real() -> AsyncIterator[GrpcNetwork]:
    """The real network."""
    made = GrpcNetwork()
    yield made
    await made.close()


class Ear:
    """What a link told."""

    def __init__(self) -> None:
        self.frames: list[ServerFrame] = []
        self.lost: list[str] = []

    async def link(self, network: GrpcNetwork, address: str) -> Link:
        """A link to `address` that tells this ear."""
        return await network.connect(address, self.frames.extend, self.lost.append)


class TestLinks:
    """One session stream on a connection of its own."""

    async def test_frames_go_and_come(self, real: GrpcNetwork, server: Server) -> None:
        """In packets, in order."""
        ear = Ear()
        link = await ear.link(real, server.door.address)
        assert link.send([OpenSession(7)]) == []
        await until(lambda: bool(ear.frames))
        assert isinstance(ear.frames[0], SessionOpened)
        link.close()
        link.close()
        assert ear.lost == [], "who closes knows"

    async def test_what_waits_goes_out_in_one_packet(self, real: GrpcNetwork, server: Server, cell: FakeCell) -> None:
        """DESIGN §6: packs whatever is waiting into one frame."""
        ear = Ear()
        link = await ear.link(real, server.door.address)
        link.send([OpenSession(7)])
        link.send([CallFrame(number, 0, 0, GetStat(1)) for number in range(1, 500)])
        await until(lambda: len(cell.received) == 500)
        assert server.frontend.statistics().packets_in <= 3
        assert [frame.number for frame in cell.received if isinstance(frame, CallFrame)] == list(range(1, 500))
        link.close()

    async def test_only_what_the_protocol_cannot_carry_is_refused(self, real: GrpcNetwork, server: Server) -> None:
        """The frames around it go."""
        ear = Ear()
        link = await ear.link(real, server.door.address)
        good, bad = CallFrame(1, 0, 0, GetStat(1)), CallFrame(2, 0, 0, SetContents(1, b"x" * (2 << 20)))
        refused = link.send([OpenSession(7), good, bad, CallFrame(3, 0, 0, GetStat(1))])
        assert [frame for frame, _ in refused] == [bad]
        assert "content" in refused[0][1].message
        await until(lambda: len(ear.frames) == 3)
        link.close()

    async def test_it_says_when_the_other_side_is_gone(self, real: GrpcNetwork, cell: FakeCell) -> None:
        """Once."""
        server = await serve(cell)
        ear = Ear()
        link = await ear.link(real, server.door.address)
        link.send([OpenSession(7)])
        await until(lambda: bool(ear.frames))
        await server.stop()
        await until(lambda: bool(ear.lost))
        assert len(ear.lost) == 1
        assert link.send([CallFrame(1, 0, 0, GetStat(1))]) == [], "too late, and harmless"
        link.close()

    async def test_nobody_there(self, real: GrpcNetwork) -> None:
        """Soon, and as an error of availability."""
        ear = Ear()
        with pytest.raises(ChubbyError) as caught:
            link = await ear.link(real, f"127.0.0.1:{free_ports(1)[0]}")
            link.send([OpenSession(7)])
            await until(lambda: bool(ear.lost))
            raise AvailabilityError(ear.lost[0])
        assert isinstance(caught.value, AvailabilityError)

    async def test_something_else_there(self, real: GrpcNetwork) -> None:
        """A gRPC server that is no replica."""
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        with pytest.raises(ConfigError):
            await real.locate(f"127.0.0.1:{port}")
        await server.stop(0)


class TestQuestions:
    """Locate, Follow, Status, Export."""

    async def test_each_is_answered(self, real: GrpcNetwork, server: Server) -> None:
        """By any replica."""
        address = server.door.address
        assert (await real.locate(address)).address == address
        assert (await real.status(address)).cell == "here"
        assert b"".join([slice_ async for slice_ in real.export(address)]) == b"a snapshot of " + address.encode()
        following = real.follow(address)
        assert (await anext(following)).epoch == 7
        server.door.cell.epoch = 8
        server.door.announce()
        assert (await anext(following)).epoch == 8
        assert hasattr(following, "aclose")
        await following.aclose()

    async def test_nobody_there(self, real: GrpcNetwork) -> None:
        """Each says so in its own time."""
        address = f"127.0.0.1:{free_ports(1)[0]}"
        for attempt in (real.locate(address), real.status(address), anext(real.follow(address))):
            with pytest.raises(AvailabilityError):
                await attempt
        with pytest.raises(AvailabilityError):
            await anext(real.export(address))

    async def test_a_replica_that_comes_back_is_found_again(self, real: GrpcNetwork, cell: FakeCell) -> None:
        """The shared connection does not remember the failure for long."""
        port = free_ports(1)[0]
        with pytest.raises(AvailabilityError):
            await real.locate(f"127.0.0.1:{port}")
        async with served(cell, port) as server:
            async with asyncio.timeout(20):
                while True:
                    try:
                        assert (await real.locate(server.door.address)).epoch == 7
                        break
                    except AvailabilityError:
                        await asyncio.sleep(0.05)


class TestSessions:
    """Whole sessions over real sockets."""

    async def test_a_session(self, server: Server, cell: FakeCell) -> None:
        """DESIGN §6, the example."""
        async with aio.connect("/ls/local", addresses=[server.door.address]) as session:
            async with session.open("/ls/local/leader", create=True) as handle:
                await handle.acquire()
                await handle.set_contents(b"10.0.0.7:8080")
                assert (await handle.get_sequencer()).token > 0
                await asyncio.gather(*(handle.get_lock_info() for _ in range(3000)))
            assert session.state is SessionState.NORMAL
        assert not cell.sessions

    async def test_contents_up_to_the_ceiling(self, server: Server) -> None:
        """And not beyond, with a clear error."""
        async with aio.connect("/ls/local", addresses=[server.door.address]) as session:
            handle = await session.open("/a", create=True)
            whole = bytes(range(256)) * 4096
            await handle.set_contents(whole)
            assert (await handle.get_contents_and_stat())[0] == whole
            with pytest.raises(TooLarge):
                await handle.set_contents(whole + b"x")

    async def test_it_follows_a_redirect_to_the_master(self, cell: FakeCell) -> None:
        """The replica that was asked is none, and the one it names serves."""
        elsewhere = FakeCell()
        elsewhere.serving = False
        async with served(cell) as master, served(elsewhere) as other:
            elsewhere.elsewhere, elsewhere.epoch = master.door.address, 7
            async with aio.connect("/ls/local", addresses=[other.door.address]) as session:
                assert session.state is SessionState.NORMAL
                assert session.id in cell.sessions

    async def test_a_master_that_dies_is_replaced_by_another(self, cell: FakeCell) -> None:
        """The idle watch on the other replica tells of it; locks and calls survive."""
        first, second = await serve(cell), await serve(cell)
        for server in (first, second):
            server.door.peers = (first.door.address, second.door.address)
            server.door.master_address = first.door.address
        async with aio.connect("/ls/local", addresses=[first.door.address]) as session:
            handle = await session.open("/a", create=True)
            token = (await handle.acquire()).token
            await first.stop()
            cell.fail_over(boot_clock())
            second.door.master_address = second.door.address
            second.door.announce()
            await handle.set_contents(b"after", timeout=30)
            assert (await handle.get_sequencer()).token == token
            assert session._driver.locator.address == second.door.address
        await second.stop()

    async def test_nobody_there(self) -> None:
        """The error names the replica, and what it said."""
        address = f"127.0.0.1:{free_ports(1)[0]}"
        with pytest.raises(NoQuorum, match=rf"over \d\.\d s \(cell local; {address}: connection refused\)$"):
            await aio.connect("/ls/local", addresses=[address], timeout=2.5)


def test_a_fork_of_a_process_that_uses_grpc_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC's threads do not survive fork: what would hang is an error instead."""
    monkeypatch.setattr(grpc_network, "_users", [1])
    with pytest.raises(ForkedProcess, match="spawn or exec"):
        GrpcNetwork()
