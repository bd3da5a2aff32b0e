"""`make bench-peers`, or `python -m bench.compare`: the same work on a cell of ours and on its peers; see `--help`.

Exit codes: 0; 69 if somebody who was to take part cannot; 130 after Ctrl-C, which leaves no process and no data.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console

from bench.compare import report
from bench.compare.alternate import alternate
from bench.compare.catalogue import WORKS, Victims, Work
from bench.compare.contenders import OURS, PYTHON, SYSTEMS, Contender, etcd_compiled, zookeeper_compiled
from bench.compare.machine import facts, raise_descriptor_limit
from bench.compare.options import INTERRUPTED, SESSIONS, Options, parse
from bench.compare.results import Entrant, Results, Topic, gather, now
from bench.compare.scratch import scratch
from bench.compiled.build import GO_PACKAGES, JAVA_PACKAGES
from bench.peers import etcd, packages, zookeeper
from bench.peers.system import Unavailable

ALONE = 1.5
ALONE_STRUCK = 4.0
"""Seconds of a run where ours is measured alone, the latter of one with a fault: all of it takes two minutes."""
ALONE_ROUNDS = 2
COULD_NOT = 69


def tell(line: str) -> None:
    """On the way."""
    print(line, file=sys.stderr, flush=True)


def works_of(options: Options) -> list[Work]:
    """What to measure, and for how long."""
    chosen = [work for work in WORKS if work.key in options.works]
    if options.seconds is not None:
        chosen = [shortened(work, options.seconds, None) for work in chosen]
    if options.alone:
        chosen = [
            shortened(work, ALONE if work.victims is Victims.NOBODY else ALONE_STRUCK, ALONE_ROUNDS) for work in chosen
        ]
    return chosen


def shortened(work: Work, seconds: float, rounds: int | None) -> Work:
    """The same work in less time."""
    points = (replace(point, seconds=seconds, rounds=rounds or point.rounds) for point in work.points)
    return replace(work, points=tuple(points))


def contenders_of(options: Options, build: Path) -> tuple[list[Contender], dict[str, str]]:
    """Who takes part; and who cannot, with the reason."""
    if options.alone:
        return [OURS], {}
    missing: dict[str, str] = {}
    wanted = dict.fromkeys((*etcd.PACKAGES, *zookeeper.PACKAGES, *GO_PACKAGES, *JAVA_PACKAGES))
    if options.install:
        try:
            tell(f"installed: {', '.join(packages.install(tuple(wanted))) or 'nothing, all is there'}")
        except Unavailable as reason:
            tell(str(reason))
    found = [OURS, *PYTHON]
    for name, compiled in (("the compiled client of etcd", etcd_compiled), ("that of ZooKeeper", zookeeper_compiled)):
        try:
            found += compiled(build)
        except Unavailable as reason:
            missing[name] = str(reason)
    for name, make in SYSTEMS.items():
        try:
            make().version()
        except Unavailable as reason:
            missing[name] = str(reason)
            found = [contender for contender in found if contender.system != name]
    if options.only:
        found = [contender for contender in found if contender.key in options.only]
    return found, missing


def compare(options: Options, command: str) -> Results:
    """Measure all that is wanted. Raises Unavailable if nobody is left to compare."""
    raise_descriptor_limit()
    with scratch(options.data) as directory:
        contenders, missing = contenders_of(options, options.data / "build")
        for name, reason in missing.items():
            tell(f"{name} does not take part: {reason}")
        if not contenders:
            raise Unavailable("nobody is left to compare")
        machine = facts(directory)
        works = works_of(options)
        began = now()
        series = gather(list(alternate(works, contenders, options.rounds, directory, tell)))
    versions = {name: SYSTEMS[name]().version() for name in dict.fromkeys(each.system for each in contenders)}
    topics = [Topic(w.key, w.title, w.unit, w.axis, tuple(point.label for point in w.points)) for w in works]
    entrants = [Entrant(c.key, c.title, c.system, c.kind, versions[c.system]) for c in contenders]
    return Results(began, command, machine, tuple(topics), tuple(entrants), series, missing)


def render(options: Options, results: Results) -> None:
    """Write charts and page, of these results and of those on sessions that lie beside them."""
    from bench.compare.charts import save_all

    sessions = options.results.with_name(SESSIONS)
    if sessions.exists():
        results = results.with_others(Results.load(sessions))
    charts = save_all(results, options.results.parent)
    report.write_page(results, options.page, options.results, charts)
    tell(f"written: {options.page}")


def main(arguments: Sequence[str]) -> int:
    """Do what is asked; returns an exit code."""
    options = parse(arguments)
    try:
        if options.render:
            render(options, Results.load(options.results))
            return 0
        results = compare(options, shlex.join(["python", "-m", "bench.compare", *arguments]))
    except Unavailable as reason:
        tell(str(reason))
        return COULD_NOT
    except KeyboardInterrupt:
        tell("interrupted: no process and no data is left")
        return INTERRUPTED
    report.show(results, Console(width=150))
    if not options.alone:
        results.save(options.results)
        render(options, results)
    return COULD_NOT if results.missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
