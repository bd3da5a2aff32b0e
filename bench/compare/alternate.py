"""Who runs when: one system up at a time, in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from bench.compare.catalogue import Work
from bench.compare.contenders import SYSTEMS, Contender
from bench.compare.runner import GeneratorFailed, Measured, measure
from bench.peers.cluster import Cluster

T = TypeVar("T")

Tell = Callable[[str], object]


def turns(parties: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Every round has all parties, and begins with the next: nobody always runs first."""
    for number in range(rounds):
        first = number % len(parties) if parties else 0
        for party in (*parties[first:], *parties[:first]):
            yield number, party


def takes_part(contender: Contender, work: Work) -> bool:
    """Whether that client does that work."""
    return work.workload in contender.workloads and (not work.only or contender.key in work.only)


def systems_of(contenders: Sequence[Contender]) -> list[str]:
    """The systems of these, in the order of reports."""
    wanted = {contender.system for contender in contenders}
    return [name for name in SYSTEMS if name in wanted]


def alternate(
    works: Sequence[Work], contenders: Sequence[Contender], rounds: int, directory: Path, tell: Tell
) -> Iterator[tuple[str, str, str, Measured]]:
    """Measure everything: work, point and contender with what came of it, one by one as they come.

    Each system is started anew for each work and round, below `directory`; leaving the iteration ends it. A generator
    that fails is told of and left out.
    """
    for work in works:
        able = [contender for contender in contenders if takes_part(contender, work)]
        for number, system in turns(systems_of(able), rounds):
            with Cluster(SYSTEMS[system](), directory / f"{work.key}-{number}-{system}") as cluster:
                for contender in (each for each in able if each.system == system):
                    for point in work.points:
                        try:
                            measured = measure(work, point, contender, cluster)
                        except GeneratorFailed as failure:
                            tell(f"{work.key} {point.label} {contender.key}: {failure}")
                            continue
                        tell(told(work, point.label, contender, number, measured))
                        yield work.key, point.label, contender.key, measured


def told(work: Work, point: str, contender: Contender, number: int, measured: Measured) -> str:
    """A line on the way."""
    sample = measured.sample
    return (
        f"{work.key} {point}, {contender.key}, round {number + 1}: {measured.figure:,.4g} {work.unit.value}, "
        f"p99 {sample.p99 * 1000:.1f} ms, {sample.errors} errors, cores: generator {sample.processor:.2f}, "
        f"members {measured.members:.2f}, other {measured.other:.2f}"
    )
