"""The results as a page of Markdown, and as a table on the terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.compare.catalogue import Unit
from bench.compare.contenders import OURS, Kind
from bench.compare.results import Results, Series, Topic
from bench.compare.targets import goal, target

HEAD = """# Side by side: what the same work costs here, on etcd and on ZooKeeper

Written by `make bench-peers`; the figures are in `{data}`, and
`python -m bench.compare --render` writes this page from them again. Five members of each system on one machine, data on
its disk, fsync on, defaults otherwise. One system is up at a time, they take turns, and each figure is the **median**
of {rounds} rounds with (least–greatest) behind it. Machines and their neighbours differ: a **ratio** of two medians
counts, an absolute figure does not.

Clients: of ours `chubby.aio`; of etcd gRPC stubs in asyncio; of ZooKeeper kazoo, by threads and by its asynchronous
calls. *Compiled* clients (Go on etcd's own client, Java on ZooKeeper's own) show what the peers themselves can do; *at
the leader*: no hop through another member. Each ratio is ours over that of the **better** of the peers' clients of its
kind. CPU is processor time of all members and the client together for one operation. What a mount costs is measured by
`python -m bench.mount`.
"""


def rate(value: float) -> str:
    """Operations a second for humans: three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(value: float) -> str:
    """Seconds for humans."""
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


def figure(value: float, unit: Unit) -> str:
    """A figure of that unit."""
    match unit:
        case Unit.RATE:
            return rate(value)
        case Unit.SECONDS:
            return duration(value)
        case Unit.BYTES:
            return f"{value:,.0f} B"
        case Unit.CORES:
            return f"{value:.0%} of a core"


def cell(series: Series, unit: Unit) -> str:
    """Median and range."""
    median, least, greatest = (figure(value, unit) for value in (series.median, series.least, series.greatest))
    return f"{median} ({least}–{greatest})" if len(series.values) > 1 else median


def ratio_cell(results: Results, topic: Topic, point: str, kind: Kind) -> str:
    """Our ratio to the best of that kind, what was wanted of it, and how that went."""
    ratio = results.ratio(topic, point, kind)
    if ratio is None:
        return ""
    wanted = target(topic.key, point, kind)
    if wanted is None:
        return f"{ratio:.2f} ×"
    sign = "≥" if topic.unit.more_is_better else "≤"
    verdict = "met" if wanted.met(ratio, topic.unit.more_is_better) else "**missed**"
    return f"{ratio:.2f} × ({sign} {wanted.ratio:g}: {verdict})"


def goal_row(results: Results, topic: Topic) -> list[str]:
    """What is wanted of our figures, and how that went; empty if nothing is."""
    found = []
    for point in topic.points:
        wanted, ours = goal(topic.key, point), results.best(topic, point, Kind.OURS)
        if wanted is None or ours is None:
            found.append("")
            continue
        sign = "≥" if topic.unit.more_is_better else "≤"
        verdict = "met" if wanted.met(ours.median, topic.unit.more_is_better) else "**missed**"
        found.append(f"{sign} {figure(wanted.figure, topic.unit)}: {verdict}")
    return ["wanted of ours", *found] if any(found) else []


def growth_row(results: Results, topic: Topic) -> list[str]:
    """How many times its first figure each one is, where ours stands alone; empty where it does not."""
    if len(topic.points) == 1 or any(each.contender != OURS.key for each in results.series if each.work == topic.key):
        return []
    found = [results.best(topic, point, Kind.OURS) for point in topic.points]
    first = found[0]
    if first is None or not first.median:
        return []
    return ["times the first", *(f"{each.median / first.median:.2f} ×" if each else "–" for each in found)]


def rows(results: Results, topic: Topic) -> Iterator[list[str]]:
    """A row for each contender that took part: point by point its figure and its processor time."""
    for entrant in results.entrants:
        found = [results.find(topic.key, point, entrant.key) for point in topic.points]
        if any(found):
            yield [entrant.title, *(cell(each, topic.unit) if each else "–" for each in found)]


def processor_rows(results: Results, topic: Topic) -> Iterator[list[str]]:
    """What an operation costs of processors: of ours, and of the best of each kind."""
    for kind, title in ((Kind.OURS, "ours"), (Kind.PYTHON, "the best Python"), (Kind.COMPILED, "the best compiled")):
        found = [results.best(topic, point, kind) for point in topic.points]
        if any(found):
            yield [f"CPU for one, {title}", *(duration(each.cost) if each else "–" for each in found)]


def ratio_rows(results: Results, topic: Topic) -> Iterator[list[str]]:
    """A row for each kind of client that ours is compared to."""
    for kind in (Kind.PYTHON, Kind.COMPILED):
        found = [ratio_cell(results, topic, point, kind) for point in topic.points]
        if any(found):
            yield [f"ours ÷ the best {kind.value} client", *found]


def markdown_table(head: list[str], body: list[list[str]]) -> str:
    """A table as Markdown has it; figures to the right."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def section(results: Results, topic: Topic, chart: str | None) -> str:
    """All of one work."""
    axis = [f"{point} {topic.axis}".strip() for point in topic.points]
    unit = "operations a second, more is better" if topic.unit.more_is_better else "less is better"
    table = markdown_table(["", *axis], [*rows(results, topic), *processor_rows(results, topic)])
    parts = [f"## {topic.title}", f"{unit.capitalize()}.", table]
    if compared := [*ratio_rows(results, topic), *filter(None, [growth_row(results, topic), goal_row(results, topic)])]:
        parts.append(markdown_table(["", *axis], compared))
    if chart is not None:
        parts.append(f"![{topic.title}]({chart})")
    return "\n\n".join(parts)


def page(results: Results, data: str, charts: dict[str, str]) -> str:
    """The whole page. `charts` are links by the key of the work."""
    rounds = max((len(each.measured) for each in results.series), default=0)
    facts = {"began": results.began, "command": f"`{results.command}`", **results.machine}
    facts |= {entrant.system: entrant.version for entrant in results.entrants}
    parts = [HEAD.format(data=data, rounds=rounds)]
    parts.append(markdown_table(["machine and versions", ""], [[name, value] for name, value in facts.items()]))
    parts += [f"**{name} did not take part**: {reason}" for name, reason in results.missing.items()]
    parts += [section(results, topic, charts.get(topic.key)) for topic in results.topics]
    return "\n\n".join(parts) + "\n"


def write_page(results: Results, file: Path, data: Path, charts: dict[str, Path]) -> None:
    """Write the page; links are relative to it."""
    links = {key: os.path.relpath(chart, file.parent) for key, chart in charts.items()}
    file.write_text(page(results, os.path.relpath(data, file.parent), links))


def show(results: Results, console: Console) -> None:
    """Print everything as one table."""
    table = Table()
    for heading in ("work", "at", "client", "figure", "p50", "p99", "CPU for one", "ours ÷ this"):
        table.add_column(heading, justify="left" if heading in ("work", "at", "client") else "right")
    for topic in results.topics:
        for point in topic.points:
            for line in _lines(results, topic, point):
                table.add_row(*line)
        table.add_section()
    console.print(table)


def _lines(results: Results, topic: Topic, point: str) -> Iterator[list[str]]:
    ours = results.best(topic, point, Kind.OURS)
    for entrant in results.entrants:
        series = results.find(topic.key, point, entrant.key)
        if series is None:
            continue
        p50, p99 = series.middle("p50"), series.middle("p99")
        ratio = "" if ours is None or ours is series else f"{ours.median / series.median:.2f} ×"
        at = f"{point} {topic.axis}".strip()
        costs = [duration(p50) if p50 else "", duration(p99) if p99 else "", duration(series.cost)]
        yield [topic.title, at, entrant.title, cell(series, topic.unit), *costs, ratio]
