"""What one may say on the command line, and the files that follow from it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.compare.catalogue import QUICK, WORKS
from tests.integration.cells import ROOT

DATA = ROOT / ".bench"
PAGE = ROOT / "docs/benchmarks.md"
RESULTS = ROOT / "docs/benchmarks/results.json"
SESSIONS = "sessions.json"
"""Beside the results: what `python -m bench.crowd` leaves."""
ROUNDS = 3
INTERRUPTED = 130
"""The exit code after Ctrl-C."""


class Options(msgspec.Struct, frozen=True):
    """See `parse`."""

    works: tuple[str, ...]
    rounds: int
    seconds: float | None
    alone: bool
    only: tuple[str, ...]
    install: bool
    render: bool
    data: Path
    results: Path
    page: Path


def parse(arguments: Sequence[str]) -> Options:
    """Exits with a message if something is not understood."""
    names = [work.key for work in WORKS]
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description="The same work on us and our peers.")
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"by default all: {', '.join(names)}")
    parser.add_argument("--rounds", type=int, help=f"times that everybody takes a turn ({ROUNDS}; alone: 1)")
    parser.add_argument("--seconds", type=float, help="measured in each run, instead of what the work has")
    parser.add_argument("--alone", action="store_true", help="ours alone; prints a table and writes nothing")
    parser.add_argument("--only", default="", help="contenders to have, by their keys, with commas")
    parser.add_argument("--install", action="store_true", help="install the peers' packages first, when root")
    parser.add_argument("--render", action="store_true", help="measure nothing: write the page from the results anew")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="where members keep their data: on a disk (%(default)s)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the figures go (%(default)s)")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page goes (%(default)s)")
    found = parser.parse_args(arguments)
    rounds = found.rounds or (1 if found.alone else ROUNDS)
    if unknown := [name for name in found.works if name not in names]:
        parser.error(f"no work {', '.join(unknown)}: there are {', '.join(names)}")
    return Options(
        works=tuple(found.works or (QUICK if found.alone else names)),
        rounds=rounds,
        seconds=found.seconds,
        alone=found.alone,
        only=tuple(filter(None, found.only.split(","))),
        install=found.install,
        render=found.render,
        data=found.data.resolve(),
        results=found.results.resolve(),
        page=found.page.resolve(),
    )
