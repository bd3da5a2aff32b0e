"""What is printed at the end of a run. PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from tests.checking.verdict import Judgement
from tests.torture.evidence import Verdicts
from tests.torture.judge import Judged
from tests.torture.plan import Kind, Track, kinds
from tests.torture.store import SetKind

HOW = {
    SetKind.BARE: "memory, lock alone",
    SetKind.FENCED: "memory, fencing.Guard",
    SetKind.CELL_BARE: "file of the cell, lock alone",
    SetKind.CELL_FENCED: "file of the cell, TokenIs",
}

NUMBER = re.compile(r"\d+")
WORDS = {Judgement.LINEARIZABLE: "right", Judgement.BROKEN: "WRONG", Judgement.UNDECIDED: "UNDECIDED"}


class Summary(msgspec.Struct, frozen=True):
    """All that a run counted."""

    seed: int
    seconds: float
    recovery: float
    """Seconds from the end of the faults until everybody was served; negative: it did not come to that."""
    faults: Mapping[Kind, int]
    notes: Mapping[str, int]
    frames: Mapping[str, int]
    calls: Mapping[str, tuple[int, int]]
    errors: Mapping[str, int]
    slept: int
    overslept: int
    findings: tuple[str, ...]
    verdicts: Verdicts | None

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings and self.verdicts is not None and self.verdicts.passed


def table(summary: Summary) -> str:
    """All of it, for a terminal."""
    lines = [f"torture, seed {summary.seed}: {summary.seconds:.0f} s of faults"]
    for track in Track:
        struck = [(kind.value, summary.faults.get(kind, 0)) for kind in kinds(track)]
        lines += ["", f"{track.value}: {sum(times for _, times in struck)} faults"]
        lines += _columns(struck)
    lines += ["", "what came of them", *_columns(sorted(summary.notes.items()))]
    lines += ["", "frames between machines", *_columns(sorted(summary.frames.items()))]
    lines += ["", "calls answered (and failed)"]
    lines += _columns([(name, f"{done} ({failed})") for name, (done, failed) in sorted(summary.calls.items())])
    lines += _columns(sorted(summary.errors.items()))
    if summary.verdicts is not None:
        lines += _sets(summary, summary.verdicts)
        lines += ["", "verdicts", *_verdicts(summary.verdicts.judged)]
    if summary.recovery >= 0:
        lines += ["", f"everybody was served and all replicas voted {summary.recovery:.1f} s after the last fault"]
    lines += [f"FOUND: {finding}" for finding in summary.findings]
    lines += ["", "GREEN" if summary.passed else "RED"]
    return "\n".join(lines)


def _verdicts(judged: Sequence[Judged]) -> list[str]:
    """What passed, together with its like; whatever did not, by itself and with its reasons."""
    lines: list[str] = []
    alike: dict[str, list[Judged]] = {}
    for each in judged:
        alike.setdefault(NUMBER.sub("*", each.name) if each.passed else each.name, []).append(each)
    for name, group in alike.items():
        operations = sum(each.operations for each in group)
        times = f" ({len(group)} of them)" if len(group) > 1 else ""
        lines.append(f"  {name:<34} {operations:>8}  {WORDS[group[0].judgement]}{times}")
        lines += [f"      {reason}" for reason in group[0].reasons.splitlines()]
    return lines


def _sets(summary: Summary, verdicts: Verdicts) -> Sequence[str]:
    slept = f"{summary.slept} naps of clients with a lock, {summary.overslept} of them longer than the session lease"
    lines = ["", f"lock-set: {slept}"]
    lines.append(f"  {'kept in':<34} {'added':>8} {'refused':>8} {'unknown':>8} {'LOST':>8}")
    for kind, fate in verdicts.sets.items():
        numbers = (fate.acknowledged, fate.refused, fate.unknown, len(fate.lost))
        lines.append(f"  {HOW[kind]:<34} " + " ".join(f"{number:>8}" for number in numbers))
    return lines


def _columns(pairs: Sequence[tuple[str, object]]) -> list[str]:
    return [f"  {name:<42} {value!s:>8}" for name, value in pairs]
