"""What a production session shell sees of the simulated network, and the fate of the process it lives in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from chubby.client.session import Session
from chubby.client.state import SessionState
from chubby.errors import AvailabilityError
from chubby.types.status import Location
from chubby.types.stream import OpenSession, ServerFrame, SessionOpened
from chubby.types.time import SECOND, to_seconds
from tests.simulation.clients import RESET_AFTER
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Weather
from tests.simulation.plan import draw
from tests.simulation.programs.process import Process, together
from tests.simulation.programs.wire import ProgramLink, ProgramNetwork
from tests.simulation.scenario import Scenario
from tests.simulation.violation import Violation
from tests.simulation.world import START


class Place:
    """A calm cell of three, and one client's machine with a process on it."""

    def __init__(self) -> None:
        plan = msgspec.structs.replace(
            draw(1, SECOND), replicas=3, clients=0, workloads=("registers",), weather=Weather(), bounded=True
        )
        self.scenario = Scenario(plan)
        self.world = self.scenario.world
        for host in self.scenario.hosts:
            host.format()
            host.start()
        self.client = self.scenario.population.add(1.0, None)
        self.process = Process(self.client)
        self.world.run(START + 5 * SECOND)

    @property
    def master(self) -> ReplicaHost:
        """The replica that counts on its master lease."""
        return next(host for host in self.scenario.hosts if host.believes)

    def address(self, host: ReplicaHost) -> str:
        """Where clients reach it."""
        return next(address for address, each in self.client.hosts.items() if each is host)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.world.now + round(seconds * SECOND))

    def start(self, main: Callable[[Process], Coroutine[Any, Any, None]]) -> None:
        """Run this, and see to it that it ends the process only when the test does."""

        async def and_wait(process: Process) -> None:
            await main(process)
            await asyncio.sleep(1e6)

        self.process.start(and_wait)

    def cut(self, host: ReplicaHost) -> None:
        """No way between the machine and this replica."""
        self.scenario.network.cut(self.client.place, host.place)
        self.scenario.network.cut(host.place, self.client.place)


@pytest.fixture
def place() -> Iterator[Place]:
    """One of each; the process is gone in the end."""
    made = Place()
    yield made
    made.process.kill()


class TestQuestions:
    """Locate, and what may become of it."""

    def ask(self, place: Place, host: ReplicaHost, seconds: float) -> list[object]:
        """What it says, or why it does not, after so many seconds."""
        said: list[object] = []

        async def main(process: Process) -> None:
            try:
                said.append(await ProgramNetwork(process).locate(place.address(host)))
            except AvailabilityError as error:
                said.append(str(error))

        place.start(main)
        place.run(seconds)
        return said

    def test_any_replica_names_the_master(self, place: Place) -> None:
        """With the epoch, and all addresses."""
        other = next(host for host in place.scenario.hosts if host is not place.master)
        (said,) = self.ask(place, other, 0.01)
        assert isinstance(said, Location)
        assert said.address == place.address(place.master) and said.master == place.master.number
        assert said.epoch > 0 and said.replicas == tuple(place.client.hosts)

    def test_one_that_is_down_refuses_at_once(self, place: Place) -> None:
        """Its system does."""
        host = place.master
        host.crash()
        assert self.ask(place, host, 0.01) == [f"nobody listens at {host.place}"]

    def test_one_that_cannot_be_reached_says_nothing(self, place: Place) -> None:
        """Until patience is over."""
        host = place.master
        place.cut(host)
        said = self.ask(place, host, 1.9)
        assert said == []
        place.run(0.2)
        assert said == [f"{host.place} does not answer"]

    def test_one_that_sleeps_answers_later(self, place: Place) -> None:
        """When it wakes."""
        host = place.master
        host.pause(SECOND)
        said = self.ask(place, host, 0.9)
        assert said == []
        place.run(0.2)
        assert [type(each) for each in said] == [Location]


class TestLinks:
    """Session streams: what arrives, and how they end."""

    def connect(self, place: Place, host: ReplicaHost) -> tuple[list[ProgramLink], list[ServerFrame], list[str]]:
        """A stream that has opened a session; what came, and why it ended."""
        links: list[ProgramLink] = []
        came: list[ServerFrame] = []
        ends: list[str] = []

        def received(frames: Sequence[ServerFrame]) -> None:
            came.extend(frames)

        async def main(process: Process) -> None:
            link = await ProgramNetwork(process).connect(place.address(host), received, ends.append)
            assert isinstance(link, ProgramLink)
            links.append(link)
            assert link.send([OpenSession(99, True)]) == []

        place.start(main)
        place.run(0.1)
        return links, came, ends

    def test_frames_go_there_and_back(self, place: Place) -> None:
        """An opening is answered."""
        links, came, ends = self.connect(place, place.master)
        assert isinstance(came[0], SessionOpened) and not ends
        assert list(place.process.links) == links

    def test_a_replica_that_dies_resets_its_streams(self, place: Place) -> None:
        """That is told at once, and once."""
        master = place.master
        _, _, ends = self.connect(place, master)
        master.crash()
        place.run(0.1)
        assert ends == ["the replica ended the stream"] and not place.process.links

    def test_a_stream_over_a_cut_link_hangs_until_both_give_up(self, place: Place) -> None:
        """Nothing arrives, also when the link is mended, and the end is told late."""
        links, came, ends = self.connect(place, place.master)
        place.cut(place.master)
        links[0].send([OpenSession(98, True)])
        place.run(0.1)
        place.scenario.network.heal()
        seen = len(came)
        links[0].send([OpenSession(97, True)])
        place.run(to_seconds(RESET_AFTER) - 1)
        assert len(came) == seen and not ends
        place.run(2)
        assert ends == ["the connection was reset"]

    def test_a_closed_stream_tells_nothing_more(self, place: Place) -> None:
        """Whatever comes."""
        links, came, ends = self.connect(place, place.master)
        links[0].close()
        links[0].close()
        seen = len(came)
        place.master.crash()
        place.run(30)
        assert len(came) == seen and not ends and not place.process.links


class TestFollowing:
    """The idle watch on one replica."""

    def test_news_and_the_end(self, place: Place) -> None:
        """The location now, the new master, and the end of the replica that was followed."""
        master = place.master
        other = next(host for host in place.scenario.hosts if host is not master)
        told: list[str] = []

        async def main(process: Process) -> None:
            try:
                async for location in ProgramNetwork(process).follow(place.address(other)):
                    told.append(location.address)
            except AvailabilityError as error:
                told.append(str(error))

        place.start(main)
        place.run(0.1)
        assert told == [place.address(master)]
        master.crash()
        place.run(20)
        assert place.address(place.master) == told[-1] != told[0]
        other.crash()
        place.run(0.1)
        assert told[-1] == f"{place.address(other)} is gone" and not other.on_drop


class TestProcess:
    """Its sessions, its sleep, its ends."""

    def session(self, place: Place) -> list[Session]:
        """A session that is open, for as long as its process lives."""
        opened: list[Session] = []

        async def main(process: Process) -> None:
            async with process.session() as session:
                opened.append(session)
                await asyncio.sleep(1e6)

        place.start(main)
        place.run(1)
        return opened

    def test_a_session_over_the_simulated_cell(self, place: Place) -> None:
        """Production all the way up, on the machine's own clock."""
        (session,) = self.session(place)
        assert session.state is SessionState.NORMAL and session.certain and place.process.acts(session)
        assert session._driver.clock() == place.client.clock.now()
        place.run(60)
        assert session.certain, "it is kept alive"

    def test_who_sleeps_acts_on_nothing_and_wakes_to_jeopardy_or_worse(self, place: Place) -> None:
        """Nothing runs meanwhile; then the lease is over before anything else happens."""
        (session,) = self.session(place)
        place.client.pause(40 * SECOND)
        place.run(39)
        assert not place.process.acts(session)
        states = [session.state]
        place.run(3)
        states.append(session.state)
        assert states == [SessionState.NORMAL, SessionState.EXPIRED], "nothing runs, then it learns of all at once"

    def test_a_killed_process_is_gone_at_once(self, place: Place) -> None:
        """The cell learns of it by the end of its lease; its system resets its connections."""
        (session,) = self.session(place)
        place.client.crash()
        assert place.process.ended and not place.process.links and place.process.loop.is_closed()
        assert not place.process.acts(session)
        machine = place.master.replica
        assert machine is not None and machine.machine is not None
        assert session.id in machine.machine.session_ids()
        place.run(30)
        replica = place.master.replica
        assert replica is not None and replica.machine is not None
        assert session.id not in replica.machine.session_ids()

    def test_a_process_that_is_told_to_end_closes_its_session(self, place: Place) -> None:
        """In good order, at once."""
        (session,) = self.session(place)
        place.process.end()
        place.run(0.1)
        assert place.process.ended and session.state is SessionState.CLOSED
        replica = place.master.replica
        assert replica is not None and replica.machine is not None
        assert session.id not in replica.machine.session_ids()

    def test_a_task_left_behind_is_told(self, place: Place) -> None:
        """A program that ends takes all of its tasks with it."""
        tasks: list[asyncio.Task[None]] = []

        async def main(process: Process) -> None:
            tasks.append(asyncio.create_task(asyncio.sleep(1000), name="forgotten"))
            await asyncio.sleep(1)

        place.process.start(main)
        with pytest.raises(Violation, match="left behind forgotten"):
            place.run(2)
        place.process.kill()

    def test_a_program_that_fails_is_told(self, place: Place) -> None:
        """Whatever it fails with."""

        async def main(process: Process) -> None:
            await asyncio.sleep(1)
            raise KeyError("oops")

        place.process.start(main)
        with pytest.raises(Violation, match="oops"):
            place.run(2)


class TestTogether:
    """Several programs of one process."""

    def outcome(self, place: Place, *programs: Coroutine[Any, Any, None]) -> list[object]:
        """How they end."""
        said: list[object] = []

        async def main(process: Process) -> None:
            try:
                await together(*programs)
            except (KeyError, Violation) as error:
                said.append(error.args[0])
            else:
                said.append("well")

        place.start(main)
        place.run(5)
        return said

    def test_the_first_failure_ends_all(self, place: Place) -> None:
        """Those that would go on are cancelled; what a checker says comes first."""
        ended: list[str] = []

        async def fail(error: Exception) -> None:
            await asyncio.sleep(1)
            raise error

        async def last() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                ended.append("cancelled")

        assert self.outcome(place, last(), fail(KeyError("key")), fail(Violation("promise"))) == ["promise"]
        assert ended == ["cancelled"]

    def test_all_may_end_well(self, place: Place) -> None:
        """When all have."""
        assert self.outcome(place, asyncio.sleep(1), asyncio.sleep(2)) == ["well"]
