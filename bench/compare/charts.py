"""The results as SVG: a chart for each work, bars from one client to the next, whiskers from least to greatest."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
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


def draw(results: Results, topic: Topic) -> Figure:
    """One chart: groups are the points of the work. Rates are drawn to the power of ten."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    entrants = [each for each in results.entrants if any(results.find(topic.key, p, each.key) for p in topic.points)]
    used = dict.fromkeys(Kind, 0)
    width = 0.8 / max(1, len(entrants))
    for number, entrant in enumerate(entrants):
        colour = OURS if entrant.kind is Kind.OURS else SHADES[entrant.kind][used[entrant.kind] % 3]
        used[entrant.kind] += 1
        places, medians, below, above = [], [], [], []
        for group, point in enumerate(topic.points):
            series = results.find(topic.key, point, entrant.key)
            if series is not None:
                places.append(group - 0.4 + width * (number + 0.5))
                medians.append(series.median)
                below.append(series.median - series.least)
                above.append(series.greatest - series.median)
        axes.bar(places, medians, width, label=entrant.title, color=colour)
        axes.errorbar(places, medians, (below, above), fmt="none", ecolor="black", elinewidth=0.8, capsize=1.5)
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
