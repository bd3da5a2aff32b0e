"""Fuzz the doors: `python -m tests.fuzzing [TARGET]... --minutes 10`, `--list`, `--replay FILE --target NAME`.

Exit code: 0 nothing found; 1 something was; 2 it could not be done, and why; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fuzzing import campaign, kept
from tests.fuzzing.campaign import Report
from tests.fuzzing.table import TARGETS
from tests.fuzzing.target import Target, cost_of
from tests.house.sources import ROOT

MISSING = """atheris is not installed, so there is nothing to guide the search. Install it:
{python} -m pip install -e '.[fuzz]'
It comes ready for Python 3.11 on Linux (x86-64); for another one it is built, which needs clang.
Without it: `make test` tries near misses of every target, and --replay works."""


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="which (all)")
    parser.add_argument("--minutes", type=float, default=10.0, help="for how long, all targets together (10)")
    parser.add_argument("--list", action="store_true", help="say which targets there are")
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="give FILE to the one TARGET and say what comes of it"
    )
    parser.add_argument("--keep", action="store_true", help="take what was found to lead further into the kept corpus")
    parser.add_argument("--work", type=Path, default=ROOT / ".fuzz", help="where the corpus grows (.fuzz)")
    asked = parser.parse_args(words)
    unknown = [name for name in asked.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if asked.replay is not None and len(asked.targets) != 1:
        parser.error("--replay takes one TARGET: whose input it is")
    return asked


def replay(target: Target, file: Path) -> int:
    """Give one input to its target, in this process, and say what comes of it."""
    data = file.read_bytes()
    try:
        refusal = target.taste(data)
    except Exception:
        traceback.print_exc()
        print(f"\n{target.name}: {len(data)} bytes are a FINDING")
        return 1
    cost = cost_of(target, data)
    verdict = "made sense of" if refusal is None else f"refused: {type(refusal).__name__}: {refusal}"
    print(f"{target.name}: {len(data)} bytes, {verdict}; {cost.steps:,} steps, {cost.memory:,} bytes of memory")
    return 0


class Teller:
    """Progress: a line that changes where somebody watches, else one now and then."""

    def __init__(self, write: Callable[[str], object], watched: bool) -> None:
        self._write = write
        self._watched = watched
        self._told = time.monotonic()

    def tell(self, report: Report) -> None:
        """How far it is."""
        now = time.monotonic()
        if now - self._told < (0.2 if self._watched else campaign.TOLD_EVERY):
            return
        self._told = now
        self._write(f"\r{campaign.sentence(report)}" if self._watched else f"{campaign.sentence(report)}\n")

    def end(self, report: Report) -> None:
        """What came of it."""
        start = "\r" if self._watched else ""
        self._write(f"{start}{campaign.sentence(report)}{'  FOUND' if report.found else ''}\n")
        for found in report.found:
            file = found.partition(": ")[2]
            self._write(f"  {found}\n  again: python -m tests.fuzzing {report.target} --replay {file}\n")
        if report.trouble:
            self._write(f"  {report.trouble}\n")


def plant(target: Target, work: Path) -> None:
    """Let the search begin with everything good that is known."""
    known = [*kept.inputs(kept.CORPUS, target.name).values(), *kept.inputs(kept.REGRESSIONS, target.name).values()]
    for data in (*target.samples(), *known):
        kept.keep(work / "corpus", target.name, data)


def harvest(target: Target, work: Path) -> int:
    """Take some of what was found into the kept corpus; how many there are now."""
    for data in kept.choose(list(kept.inputs(work / "corpus", target.name).values())):
        if len(kept.inputs(kept.CORPUS, target.name)) < kept.CORPUS_INPUTS:
            kept.keep(kept.CORPUS, target.name, data)
    return len(kept.inputs(kept.CORPUS, target.name))


def run(asked: argparse.Namespace, command: campaign.Command = campaign.atheris_command) -> int:
    """Fuzz what is asked for; the exit code."""
    chosen = [TARGETS[name] for name in asked.targets or TARGETS]
    seconds = max(1, round(asked.minutes * 60 / len(chosen)))
    teller = Teller(sys.stdout.write, sys.stdout.isatty())
    reports: list[Report] = []
    with campaign.Interruption() as interruption:
        for target in chosen:
            if interruption.asked:
                break
            plant(target, asked.work)
            reports.append(campaign.fuzz(target.name, seconds, asked.work, teller.tell, interruption, command=command))
            teller.end(reports[-1])
            if asked.keep:
                harvest(target, asked.work)
    print(f"\n{campaign.table(reports)}")
    if any(report.found for report in reports):
        return 1
    if any(report.trouble for report in reports):
        return 2
    return 130 if interruption.asked else 0


def main(words: Sequence[str]) -> int:
    """See the module."""
    asked = arguments(words)
    if asked.list:
        for target in TARGETS.values():
            print(f"{target.name:<20} {target.door}")
        return 0
    if asked.replay is not None:
        return replay(TARGETS[asked.targets[0]], asked.replay)
    if importlib.util.find_spec("atheris") is None:
        print(MISSING.format(python=sys.executable), file=sys.stderr)
        return 2
    return run(asked)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
