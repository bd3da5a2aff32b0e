"""All that was measured: kept as JSON, so that the report can be rendered again."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bench.compare.catalogue import Unit
from bench.compare.contenders import Kind
from bench.compare.runner import Measured


class Series(msgspec.Struct, frozen=True):
    """What a contender came to at one point of a work, round by round."""

    work: str
    point: str
    contender: str
    measured: tuple[Measured, ...]

    @property
    def values(self) -> list[float]:
        """The figures."""
        return [each.figure for each in self.measured]

    @property
    def median(self) -> float:
        """Of the figures."""
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """Of the figures."""
        return min(self.values)

    @property
    def greatest(self) -> float:
        """Of the figures."""
        return max(self.values)

    @property
    def cost(self) -> float:
        """The median of processor seconds for an operation."""
        return statistics.median(each.cost for each in self.measured)

    def middle(self, quantile: Literal["p50", "p99", "worst"]) -> float:
        """The median of a quantile of the samples, in seconds."""
        match quantile:
            case "p50":
                return statistics.median(each.sample.p50 for each in self.measured)
            case "p99":
                return statistics.median(each.sample.p99 for each in self.measured)
            case "worst":
                return statistics.median(each.sample.worst for each in self.measured)


class Entrant(msgspec.Struct, frozen=True):
    """A contender as it took part: what reports need of it."""

    key: str
    title: str
    system: str
    kind: Kind
    version: str


class Topic(msgspec.Struct, frozen=True):
    """A work as it was done: what reports need of it."""

    key: str
    title: str
    unit: Unit
    axis: str
    points: tuple[str, ...]


class Results(msgspec.Struct, frozen=True):
    """One run of the comparison. `machine` are facts by name; `missing` says who could not take part, and why."""

    began: str
    command: str
    machine: dict[str, str]
    topics: tuple[Topic, ...]
    entrants: tuple[Entrant, ...]
    series: tuple[Series, ...]
    missing: dict[str, str] = {}

    def find(self, work: str, point: str, contender: str) -> Series | None:
        """What that contender came to there."""
        wanted = (work, point, contender)
        return next((each for each in self.series if (each.work, each.point, each.contender) == wanted), None)

    def best(self, topic: Topic, point: str, kind: Kind) -> Series | None:
        """The best of that kind there, by its median."""
        keys = [entrant.key for entrant in self.entrants if entrant.kind is kind]
        found = [series for key in keys if (series := self.find(topic.key, point, key)) is not None]
        choose = max if topic.unit.more_is_better else min
        return choose(found, key=lambda series: series.median, default=None)

    def ratio(self, topic: Topic, point: str, kind: Kind) -> float | None:
        """Our median over that of the best of that kind; None if either is missing."""
        ours, theirs = self.best(topic, point, Kind.OURS), self.best(topic, point, kind)
        return ours.median / theirs.median if ours is not None and theirs is not None else None

    def with_others(self, other: Results) -> Results:
        """These, and behind them the topics of another run."""
        merged = msgspec.structs.replace(self, topics=self.topics + other.topics, series=self.series + other.series)
        return msgspec.structs.replace(merged, command=f"{self.command}; {other.command}")

    def save(self, file: Path) -> None:
        """As JSON, for humans too."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def load(cls, file: Path) -> Results:
        """What was saved. Raises DecodeError of msgspec, FileNotFoundError."""
        return msgspec.json.decode(file.read_bytes(), type=cls)


def gather(series: Sequence[tuple[str, str, str, Measured]]) -> tuple[Series, ...]:
    """Single measurements (work, point, contender, what) as series, in the order in which each first came."""
    found: dict[tuple[str, str, str], list[Measured]] = {}
    for work, point, contender, measured in series:
        found.setdefault((work, point, contender), []).append(measured)
    return tuple(Series(*key, tuple(each)) for key, each in found.items())


def now() -> str:
    """The date and time, as reports have it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes")
