"""Systems and clients that cost nothing: what the tests of the harness run instead of the real ones."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.compare.catalogue import Point, Unit, Work
from bench.compare.contenders import Contender, Kind
from bench.compare.results import Entrant, Results, Series, Topic
from bench.compare.runner import Measured
from bench.load.client import Client, Driver, Lock
from bench.load.engines import AsyncAct, AsyncEngine
from bench.load.sample import Sample
from bench.peers.system import Member, Role, Unavailable

MEMBER = "echo $0 > role; exec sleep 1000"
"""What a member runs: it says its role, and stays."""


class Toy:
    """A system of shells that sleep; the first member leads. `script` is what each of them runs."""

    name = "toy"

    def __init__(self, script: str = MEMBER) -> None:
        self._script = script

    def version(self) -> str:
        """See `System`."""
        return "1.0"

    def lay_out(self, directory: Path, members: int) -> list[Member]:
        """See `System`."""
        made = [Member(n, f"127.0.0.1:{n}", directory / f"n{n}", ()) for n in range(1, members + 1)]
        for member in made:
            member.directory.mkdir()
        return made

    def command(self, member: Member) -> list[str]:
        """See `System`."""
        role = Role.LEADER if member.number == 1 else Role.FOLLOWER
        return ["sh", "-c", f"cd {member.directory} && {self._script}", role.value]

    def role(self, member: Member) -> Role | None:
        """See `System`."""
        file = member.directory / "role"
        return Role(file.read_text().strip()) if file.exists() and file.read_text() else None


class Absent(Toy):
    """A system that is not installed."""

    def version(self) -> str:
        """See `System`."""
        raise Unavailable("toys are sold out")


class Store:
    """A whole system in memory, with locks that are fair."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.locks: dict[str, asyncio.Lock] = {}
        self.watches: dict[str, list[Callable[[], object]]] = {}
        self.granted: list[tuple[str, int]] = []
        self.asked: list[Sequence[str]] = []
        self.open = 0
        self.renewed = 0
        self.filled = 0


class StoreClient:
    """A client of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.open += 1

    async def writer(self, name: str, value: bytes) -> AsyncAct:
        """See `Client`."""

        async def write() -> None:
            await asyncio.sleep(0)
            self._store.values[name] = value
            for told in self._store.watches.get(name, []):
                told()

        return write

    async def reader(self, name: str) -> AsyncAct:
        """See `Client`."""

        async def read() -> bytes:
            await asyncio.sleep(0)
            return self._store.values[name]

        return read

    async def near_reader(self, name: str) -> AsyncAct:
        """See `Client`."""
        return await self.reader(name)

    async def lock(self, name: str) -> Lock[AsyncAct]:
        """See `Client`."""
        lock = self._store.locks.setdefault(name, asyncio.Lock())

        async def acquire() -> None:
            await lock.acquire()
            self._store.granted.append((name, id(self)))

        async def release() -> None:
            lock.release()

        async def cycle() -> None:
            await acquire()
            await asyncio.sleep(0)
            await release()

        return Lock(acquire, release, cycle)

    async def watch(self, name: str, told: Callable[[], object]) -> None:
        """See `Client`."""
        self._store.watches.setdefault(name, []).append(told)

    async def fill(self, nodes: int, value: bytes) -> None:
        """See `Client`."""
        self._store.filled += nodes

    async def renew(self) -> None:
        """See `Client`."""
        self._store.renewed += 1

    async def close(self) -> None:
        """See `Client`."""
        self._store.open -= 1


def driver_of(store: Store) -> Driver[AsyncAct]:
    """How to use it."""

    async def connect(endpoints: Sequence[str]) -> Client[AsyncAct]:
        store.asked.append(endpoints)
        return StoreClient(store)

    return Driver(connect, AsyncEngine())


SAYS = Sample(100.0, 50, 0.5, 0.001, 0.002, 0.003, 0, 0.25)
"""What the toy generator prints."""
LINE = '{"value":100,"operations":50,"seconds":0.5,"p50":0.001,"p99":0.002,"worst":0.003,"errors":0,"processor":0.25}'


def generator(system: str = "toy", key: str = "toy", kind: Kind = Kind.OURS, script: str = "") -> Contender:
    """A contender whose generator says at once what `SAYS` is, after having run `script`."""
    program = f"import sys\n{script}\nprint('ready', flush=True)\nprint('{LINE}')"
    return Contender(key, key.title(), system, kind, (sys.executable, "-c", program))


WORK = Work("writes", "Writes", "writes", Unit.RATE, "in flight", (Point("1", 1, 1), Point("10", 10, 10)))


def measured(*figures: float) -> tuple[Measured, ...]:
    """Rounds that came to these."""
    return tuple(Measured(figure, Sample(figure, 100, 1.0, 0.001, 0.01, 0.1), 1.0, 1.0, 0.1) for figure in figures)


def results(**figures: tuple[float, ...]) -> Results:
    """Results at the first point of `WORK`: by contender the figures of its rounds, or of `_seconds` of a gap."""
    kinds = {"ours": Kind.OURS, "python": Kind.PYTHON, "compiled": Kind.COMPILED}
    entrants = tuple(Entrant(key, key.replace("_", " "), key, kinds[key.split("_")[0]], "1.0") for key in figures)
    topics = (
        Topic("writes", "Writes of 100 bytes", Unit.RATE, "in flight", ("1", "10")),
        Topic("fan_out", "Fan-out", Unit.SECONDS, "connections", ("10",)),
    )
    series = tuple(
        Series(topic.key, topic.points[0], key, measured(*each)) for topic in topics for key, each in figures.items()
    )
    return Results("2026-01-01T00:00+00:00", "python -m bench.compare", {"disk": "ext4"}, topics, entrants, series)
