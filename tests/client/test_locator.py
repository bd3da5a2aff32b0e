"""Finding the master, and hearing of a new one (DESIGN §6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from chubby.client.locator import Locator
from chubby.client.network import Link, Lost, Received
from chubby.errors import AvailabilityError, NotMaster
from chubby.types.status import CellStatus, Location

A, B, C = "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"


def location(address: str, epoch: int, replicas: tuple[str, ...] = (A, B, C)) -> Location:
    """What a replica says."""
    return Location("here", 99, 1 if address else 0, address, epoch, replicas)


class Replicas:
    """A network of replicas that say what the test wants; one that says nothing hangs."""

    def __init__(self, **said: Location | Exception) -> None:
        self.said: dict[str, Location | Exception] = {{"a": A, "b": B, "c": C}[k]: v for k, v in said.items()}
        self.asked: list[str] = []
        self.followed: list[str] = []
        self.news: dict[str, asyncio.Queue[Location | Exception]] = {}

    async def locate(self, address: str) -> Location:
        """See `Network`."""
        self.asked.append(address)
        said = self.said.get(address)
        if said is None:
            await asyncio.Event().wait()
        if isinstance(said, Exception):
            raise said
        assert said is not None
        return said

    async def follow(self, address: str) -> AsyncIterator[Location]:
        """See `Network`."""
        self.followed.append(address)
        queue = self.news.setdefault(address, asyncio.Queue())
        while True:
            said = await queue.get()
            if isinstance(said, Exception):
                raise said
            yield said

    async def connect(self, address: str, received: Received, lost: Lost) -> Link:
        """See `Network`."""
        raise AvailabilityError("not here")

    async def status(self, address: str) -> CellStatus:
        """See `Network`."""
        raise AvailabilityError("not here")

    def export(self, address: str) -> AsyncIterator[bytes]:
        """See `Network`."""
        raise AvailabilityError("not here")

    async def close(self) -> None:
        """See `Network`."""


def locator(replicas: Replicas, *addresses: str, jitter: float = 0.0) -> tuple[Locator, list[tuple[int, str]]]:
    """A locator, and what it tells."""
    told: list[tuple[int, str]] = []
    made = Locator(
        replicas, addresses or (A, B, C), lambda epoch, address: told.append((epoch, address)), lambda: jitter
    )
    return made, told


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, generously."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def test_all_are_asked_and_the_highest_epoch_is_right() -> None:
    """A deposed master still names itself."""
    replicas = Replicas(a=location(A, 7), b=location(B, 9), c=location(A, 7))
    found, _ = locator(replicas)
    assert await found.find() == B
    assert sorted(replicas.asked) == [A, B, C]
    assert (found.address, found.epoch, found.cell) == (B, 9, "here")


async def test_one_that_is_down_delays_nobody() -> None:
    """The others' word is waited for a moment, not for ever."""
    replicas = Replicas(a=location(B, 9), b=location(B, 9))
    found, _ = locator(replicas)
    async with asyncio.timeout(1.5):
        assert await found.find() == B


async def test_nobody_knows() -> None:
    """Empty; and what each said is there for the error's text."""
    replicas = Replicas(a=location("", 7), b=NotMaster("starting"), c=AvailabilityError("connection refused"))
    found, _ = locator(replicas)
    assert await found.find() == ""
    assert found.describe() == f"{A}: knows no master; {B}: starting; {C}: connection refused"


async def test_what_they_said_is_one_line_and_new() -> None:
    """Who did not answer this time says so; who cannot be connected to, though named, too."""
    replicas = Replicas(a=AvailabilityError("a text\n  of two lines"), b=location("", 7))
    found, _ = locator(replicas, A, B)
    await found.find()
    assert found.describe() == f"{A}: a text of two lines; {B}: knows no master; {C}: not asked yet"
    replicas.said = {A: location(B, 9)}
    assert await found.find() == B
    found.failed(B, AvailabilityError("connection refused"))
    found.failed("10.9.9.9:1", AvailabilityError("an address nobody told of"))
    assert found.describe().startswith(f"{A}: names {B} (epoch 9); {B}: connection refused")
    assert "10.9.9.9" not in found.describe()


async def test_silence_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody answers, the text must not repeat what was said an hour ago."""
    monkeypatch.setattr("chubby.client.locator.ASK", 0.05)
    found, _ = locator(Replicas(a=location("", 7)), A, B)
    assert await found.find() == ""
    assert found.describe() == f"{A}: knows no master; {B}: no answer; {C}: not asked yet"


async def test_other_replicas_are_learnt_from_those_one_knows() -> None:
    """Any of them leads to all the others."""
    replicas = Replicas(a=location(C, 9), b=location(C, 9), c=location(C, 9))
    found, _ = locator(replicas, A)
    assert await found.find() == C
    assert found.addresses == (A, B, C)


async def test_what_replicas_tell_is_bounded() -> None:
    """A mad one cannot fill our memory."""
    many = tuple(f"10.1.0.{index}:1" for index in range(200))
    found, _ = locator(Replicas(a=location(A, 9, many)), A)
    await found.find()
    assert len(found.addresses) <= 32


@pytest.mark.parametrize("jitter", [0.0, 0.3, 0.6, 0.99])
async def test_the_idle_watch_is_kept_on_another_than_the_master(jitter: float) -> None:
    """Which would fall silent with it."""
    replicas = Replicas(a=location(A, 7), b=location(A, 7), c=location(A, 7))
    found, told = locator(replicas, jitter=jitter)
    await found.find()
    found.follow()
    found.follow()
    await until(lambda: bool(replicas.followed))
    (followed,) = replicas.followed
    assert followed != A
    replicas.news[followed].put_nowait(location("", 8))
    replicas.news[followed].put_nowait(location(B, 8))
    await until(lambda: told == [(8, B)])
    assert (found.address, found.epoch) == (B, 8)
    await found.close()


async def test_a_lost_watch_is_taken_up_elsewhere() -> None:
    """After a pause, on whichever replica comes next."""
    replicas = Replicas(a=location(A, 7), b=location(A, 7), c=location(A, 7))
    found, _ = locator(replicas)
    await found.find()
    found.follow()
    await until(lambda: len(replicas.followed) == 1)
    replicas.news[replicas.followed[0]].put_nowait(AvailabilityError("gone"))
    await until(lambda: len(replicas.followed) == 2)
    assert set(replicas.followed) == {B, C}
    await found.close()


async def test_a_replica_that_becomes_master_is_not_watched_any_more() -> None:
    """The watch moves on, so that the next fail-over is told too."""
    replicas = Replicas(a=location(A, 7), b=location(A, 7), c=location(A, 7))
    found, _ = locator(replicas)
    await found.find()
    found.follow()
    await until(lambda: len(replicas.followed) == 1)
    replicas.news[replicas.followed[0]].put_nowait(location(replicas.followed[0], 8))
    await until(lambda: len(replicas.followed) == 2)
    assert replicas.followed[1] != replicas.followed[0]
    await found.close()


async def test_a_cell_of_one_is_watched_itself() -> None:
    """There is nobody else."""
    replicas = Replicas(a=location(A, 7, (A,)))
    found, told = locator(replicas, A)
    await found.find()
    found.follow()
    await until(lambda: replicas.followed == [A])
    replicas.news[A].put_nowait(location(A, 8, (A,)))
    await until(lambda: told == [(8, A)])
    await found.close()
    await found.close()
