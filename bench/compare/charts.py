"""The results as SVG: a chart for each work, a bar for each client, whiskers from the least to the greatest figure."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import msgspec
from matplotlib.figure import Figure

from bench.compare.catalogue import Unit
from bench.compare.contenders import Kind
from bench.compare.results import Results, Topic

HEIGHT = 3.4
WIDTH = 8.0
"""Inches."""
OURS = "#1b6ca8"
SHADES = {
    Kind.PYTHON: ("#e08e45", "#f0b67f", "#c76b2a"),
    Kind.COMPILED: ("#7a8b8b", "#9aa8a8", "#b8c2c2", "#d2d9d9"),
}
"""One colour for us, one family for each kind of client of the peers."""
SALT = "bench"
"""Instead of a random one for the names in a file: the same results give the same file."""


class Marks(msgspec.Struct, frozen=True):
    """What is drawn of one contender: at which groups, where its medians are, and how far the range goes."""

    groups: list[int]
    medians: list[float]
    below: list[float]
    above: list[float]


def marks(results: Results, topic: Topic, contender: str) -> Marks:
    """Those of its points that have figures."""
    found = [(group, results.find(topic.key, point, contender)) for group, point in enumerate(topic.points)]
    there = [(group, series) for group, series in found if series is not None]
    return Marks(
        [group for group, _ in there],
        [series.median for _, series in there],
        [series.median - series.least for _, series in there],
        [series.greatest - series.median for _, series in there],
    )


def draw(results: Results, topic: Topic) -> Figure:
    """One chart, to the power of ten: groups are the points of the work. Who stands alone is drawn as a curve."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    drawn = [(each, marks(results, topic, each.key)) for each in results.entrants]
    drawn = [(entrant, found) for entrant, found in drawn if found.groups]
    used = dict.fromkeys(Kind, 0)
    width = 0.8 / max(1, len(drawn))
    for number, (entrant, found) in enumerate(drawn):
        shades = (OURS,) if entrant.kind is Kind.OURS else SHADES[entrant.kind]
        colour = shades[used[entrant.kind] % len(shades)]
        used[entrant.kind] += 1
        places = [group - 0.4 + width * (number + 0.5) for group in found.groups]
        if len(drawn) == 1 and len(topic.points) > 1:
            axes.plot(places, found.medians, marker="o", label=entrant.title, color=colour)
        else:
            axes.bar(places, found.medians, width, label=entrant.title, color=colour)
        ranges = (found.below, found.above)
        axes.errorbar(places, found.medians, ranges, fmt="none", ecolor="black", elinewidth=0.8, capsize=1.5)
    axes.set_title(topic.title)
    axes.set_xticks(range(len(topic.points)), topic.points)
    axes.set_xlabel(topic.axis)
    axes.set_ylabel("operations a second" if topic.unit is Unit.RATE else topic.unit.value)
    axes.set_yscale("log")
    axes.legend(fontsize=7, ncols=2)
    return figure


def save_all(results: Results, directory: Path) -> dict[str, Path]:
    """Write a chart for each work that has figures; the files by the work's key."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    with mpl.rc_context({"svg.hashsalt": SALT, "svg.fonttype": "none", "font.size": 9}):
        for topic in results.topics:
            if any(series.work == topic.key for series in results.series):
                files[topic.key] = directory / f"{topic.key}.svg"
                draw(results, topic).savefig(files[topic.key], metadata={"Date": None})
    return files
