"""Many targets under atheris, one after the other, and what they report.

libFuzzer ends a process at its first finding, so each target has its own. A finding is kept as a regression at once,
and the next target goes on. Ctrl-C ends the present one in good order and shows the table so far.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from tests.fuzzing import kept

PULSE: Final = re.compile(r"#(?P<runs>\d+)\s+(?P<event>\w+)\s+cov: (?P<coverage>\d+) ft: \d+ corp: (?P<corpus>\d+)/")
TOTAL: Final = re.compile(r"stat::number_of_executed_units:\s*(?P<runs>\d+)")
ARTIFACT: Final = re.compile(r"^(crash|timeout|oom|slow-unit|leak)-")
LONGEST_RUN: Final = 20
"""Seconds that one input may take: longer is a hang."""
MEMORY_MIB: Final = 2048
"""What the process may take: more is memory without end."""
TOLD_EVERY: Final = 15.0
"""Seconds between two lines of progress where nobody watches a terminal."""


class Report(msgspec.Struct, frozen=True):
    """What came of one target. `coverage` counts edges of the product's code; `found` are kept inputs."""

    target: str
    runs: int = 0
    coverage: int = 0
    corpus: int = 0
    seconds: float = 0.0
    found: tuple[str, ...] = ()
    trouble: str = ""
    """Why the process ended, if neither by its time nor with an input: its last words."""


class Interruption:
    """Ctrl-C while this is entered ends the present engine, and says so; no moment is too early for it."""

    def __init__(self) -> None:
        self.asked = False
        self._engine: subprocess.Popen[str] | None = None
        self._before: Callable[[int, FrameType | None], object] | int | None = None

    def __enter__(self) -> Interruption:
        self._before = signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def watch(self, engine: subprocess.Popen[str] | None) -> None:
        """This is the engine to end now."""
        self._engine = engine
        if self.asked and engine is not None:
            engine.terminate()

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self.watch(self._engine)


Command = Callable[[str, Path, Path, int], Sequence[str]]
"""The command that fuzzes a target: its name, the corpus, where artifacts go, seconds."""


def atheris_command(target: str, corpus: Path, artifacts: Path, seconds: int) -> Sequence[str]:
    """The engine in a process of its own."""
    return (
        sys.executable,
        "-m",
        "tests.fuzzing.engine",
        target,
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST_RUN}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-artifact_prefix={artifacts}{os.sep}",
        "-print_final_stats=1",
        str(corpus),
    )


def absorb(report: Report, line: str) -> Report:
    """`report` after one more line of libFuzzer's."""
    if pulse := PULSE.search(line):
        numbers = {name: int(pulse[name]) for name in ("runs", "coverage", "corpus")}
        return msgspec.structs.replace(report, **numbers)
    if total := TOTAL.search(line):
        return msgspec.structs.replace(report, runs=max(report.runs, int(total["runs"])))
    return report


def fuzz(
    target: str,
    seconds: int,
    work: Path,
    tell: Callable[[Report], None],
    interruption: Interruption,
    *,
    command: Command = atheris_command,
    regressions: Path = kept.REGRESSIONS,
) -> Report:
    """Fuzz one target, to its end or to where Ctrl-C ends it.

    `work` keeps the corpus from run to run; `tell` is called now and then. What is found goes into `regressions`.
    """
    corpus, artifacts = work / "corpus" / target, work / "found" / target
    for folder in (corpus, artifacts):
        folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    process = subprocess.Popen(
        command(target, corpus, artifacts, seconds),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Ctrl-C is ours: the engine is told to end when its report has been taken.
        start_new_session=True,
    )
    report, words = Report(target), [""]
    with process:
        interruption.watch(process)
        assert process.stdout is not None, "a pipe was asked for"
        for line in process.stdout:
            words = [*words[-30:], line]
            report = absorb(report, line)
            tell(msgspec.structs.replace(report, seconds=time.monotonic() - began))
        interruption.watch(None)
    found = take_artifacts(target, artifacts, regressions)
    failed = process.returncode and not interruption.asked and not found
    trouble = f"ended with {process.returncode}: {''.join(words)}" if failed else ""
    return msgspec.structs.replace(report, seconds=time.monotonic() - began, found=found, trouble=trouble)


def take_artifacts(target: str, artifacts: Path, regressions: Path) -> tuple[str, ...]:
    """Move what libFuzzer left into the regressions; what each was, and where it is."""
    found = []
    for file in sorted(artifacts.iterdir()):
        if ARTIFACT.match(file.name):
            place = kept.keep(regressions, target, file.read_bytes())
            found.append(f"{file.name.split('-')[0]}: {place}")
            file.unlink()
    return tuple(found)


def sentence(report: Report) -> str:
    """One line of progress."""
    rate = report.runs / report.seconds if report.seconds else 0.0
    return (
        f"{report.target:<20} {report.seconds:6.0f} s  {report.runs:>10,} runs  {rate:>8,.0f}/s  "
        f"{report.coverage:>6,} edges  {report.corpus:>5,} inputs"
    )


def table(reports: Sequence[Report]) -> str:
    """All reports, as docs/testing.md shows them."""
    rows = ["| target | runs | seconds | edges | inputs | found |", "|---|---|---|---|---|---|"]
    for each in reports:
        rows.append(
            f"| `{each.target}` | {each.runs:,} | {each.seconds:.0f} | {each.coverage:,} | {each.corpus:,} "
            f"| {len(each.found) or '–'} |"
        )
    return "\n".join(rows)
