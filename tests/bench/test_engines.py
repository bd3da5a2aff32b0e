"""Three ways to keep operations in flight that come to the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from bench.load.engines import AsyncEngine, CallbackEngine, Outcome, ThreadEngine, merged
from bench.load.sample import Record

SHORT = 0.05
"""Seconds."""


class Failed(Exception):
    """What an act of these tests raises."""


class Moody:
    """Acts of each kind that fail every other time, and count how often they were run and how many were in flight."""

    def __init__(self, fails: bool = True) -> None:
        self.fails = fails
        self.runs = 0
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()
        self._pause = threading.Event()

    def _enter(self) -> bool:
        with self._lock:
            self.runs += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
            return self.fails and self.runs % 2 == 1

    def _leave(self) -> None:
        with self._lock:
            self.inside -= 1

    async def awaited(self) -> None:
        """For `AsyncEngine`."""
        failing = self._enter()
        await asyncio.sleep(0.001)
        self._leave()
        if failing:
            raise Failed

    def blocking(self) -> None:
        """For `ThreadEngine`."""
        failing = self._enter()
        self._pause.wait(0.001)
        self._leave()
        if failing:
            raise Failed

    def calling_back(self, ended: Callable[[Outcome], object]) -> None:
        """For `CallbackEngine`: the answer comes from a thread of its own."""
        failing = self._enter()

        def answer() -> None:
            self._leave()
            ended(SimpleNamespace(exception=Failed() if failing else None))

        threading.Timer(0.001, answer).start()


async def repeated(kind: str, moody: Moody, acts: int, seconds: float = SHORT) -> Record:
    """What that engine makes of so many of its acts."""
    match kind:
        case "asyncio":
            return await AsyncEngine().repeat([moody.awaited] * acts, seconds)
        case "threads":
            return await ThreadEngine().repeat([moody.blocking] * acts, seconds)
    return await CallbackEngine().repeat([moody.calling_back] * acts, seconds)


async def done_once(kind: str, moody: Moody, acts: int) -> None:
    """The same, once."""
    match kind:
        case "asyncio":
            return await AsyncEngine().once([moody.awaited] * acts)
        case "threads":
            return await ThreadEngine().once([moody.blocking] * acts)
    return await CallbackEngine().once([moody.calling_back] * acts)


KINDS = pytest.mark.parametrize("kind", ["asyncio", "threads", "callbacks"])


@KINDS
async def test_an_engine_keeps_as_many_in_flight_as_there_are_acts(kind: str) -> None:
    """Each act runs over and over, all of them at once, none of them twice at a time."""
    moody = Moody(fails=False)
    record = await repeated(kind, moody, 5)
    assert moody.most <= 5
    assert moody.inside == 0
    assert len(record.began) == len(record.ended) == moody.runs >= 5
    assert record.errors == 0


@KINDS
async def test_what_fails_is_counted_and_run_again(kind: str) -> None:
    """And neither ends the loop nor is taken for an operation."""
    moody = Moody()
    record = await repeated(kind, moody, 2, 0.2)
    assert record.errors > 0
    assert len(record.ended) + record.errors == moody.runs
    assert len(record.ended) > 0


@KINDS
async def test_an_operation_ends_after_it_began(kind: str) -> None:
    """The two lists belong together, entry by entry."""
    record = await repeated(kind, Moody(fails=False), 3)
    assert all(end > begin for begin, end in zip(record.began, record.ended, strict=True))


@KINDS
async def test_once_is_once(kind: str) -> None:
    """Every act, and all at once."""
    moody = Moody(fails=False)
    await done_once(kind, moody, 7)
    assert (moody.runs, moody.inside) == (7, 0)


@KINDS
async def test_once_raises_what_an_act_raises(kind: str) -> None:
    """Setting up is not to fail in silence."""
    with pytest.raises(Failed):
        await done_once(kind, Moody(), 1)


def test_records_of_several_threads_become_one() -> None:
    """Nothing is lost."""
    first, second = Record(), Record()
    first.began, first.ended, first.errors = [1.0], [2.0], 1
    second.began, second.ended, second.errors = [0.0, 3.0], [1.0, 4.0], 2
    whole = merged(Record(), [first, second])
    assert (whole.began, whole.ended, whole.errors) == ([1.0, 0.0, 3.0], [2.0, 1.0, 4.0], 3)
