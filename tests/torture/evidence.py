"""What a run leaves to be judged, and all verdicts on it. PURE but for the reading of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tests.checking.verdict import Judgement
from tests.torture import deeds
from tests.torture.deeds import Fates, SetFate
from tests.torture.judge import Histories, Judged, judge
from tests.torture.recording import BUGS, Ended, Line, read
from tests.torture.store import SetKind
from tests.torture.work_appends import fingerprint


class Evidence(msgspec.Struct, frozen=True):
    """Histories, and what was there in the end: sets, files by name with their lines, the number of the counter."""

    files: list[Path]
    sets: Mapping[SetKind, Sequence[str]]
    appends: Mapping[str, Sequence[str]]
    lines: Mapping[str, Sequence[str]]
    counter: int


class Verdicts(msgspec.Struct, frozen=True):
    """What came of it. `sets` is for the table; whatever is wrong is in `judged`."""

    judged: tuple[Judged, ...]
    sets: Mapping[SetKind, SetFate]

    @property
    def passed(self) -> bool:
        """Whether all of it was proved right."""
        return all(each.passed for each in self.judged)


class Files:
    """Reads the histories, again for each judge: together they may be large."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __iter__(self) -> Iterator[Iterator[Line]]:
        return (read(file) for file in self._files)


def verdicts(evidence: Evidence) -> Verdicts:
    """Judge it all."""
    files = Files(evidence.files)
    histories = Histories()
    for lines in files:
        histories.add(lines)
    found = judge(histories)
    found += _growth(files, evidence.appends)
    found += [
        _judged(f"lines of {place}", fate, deeds.sequence_complaints(fate, evidence.lines.get(place, ())))
        for place, fate in sorted((f"/{name}", fate) for name, fate in deeds.fates(files, "line", "written").items())
    ]
    found.append(_counter(files, evidence.counter))
    sets = {}
    added = deeds.fates(files, "add", "added")
    for kind in SetKind:
        fate = added.get(kind.value, Fates())
        sets[kind] = deeds.set_fate(fate, evidence.sets.get(kind, ()))
        found.append(_judged(f"set {kind.value}", fate, _set_complaints(kind, sets[kind])))
    found.append(_answers(files))
    return Verdicts(tuple(found), sets)


def _growth(files: Files, appends: Mapping[str, Sequence[str]]) -> list[Judged]:
    """Of files that grow by compare-and-set, entry by entry and version by version."""
    versions = {place: _versions(entries) for place, entries in appends.items()}
    wrong = deeds.growth_complaints(files, appends, versions)
    found = [Judged("versions of appended files", sum(map(len, appends.values())), _verdict(wrong), "\n".join(wrong))]
    for place, fate in sorted(deeds.fates(files, "append", "wrote").items()):
        complaints = deeds.sequence_complaints(fate, appends.get(place, ()))
        found.append(_judged(f"entries of {place}", fate, complaints))
    return found


def _versions(entries: Sequence[str]) -> list[str]:
    """The fingerprints of a file with none of its entries, with one, with two, ..."""
    contents = b""
    found = [fingerprint(contents)]
    for entry in entries:
        contents += entry.encode() + b"\n"
        found.append(fingerprint(contents))
    return found


def _counter(files: Files, number: int) -> Judged:
    certain, maybe = deeds.counted(files)
    complaints = deeds.counter_complaints(certain, maybe, number)
    return Judged("counter of the mounts", len(certain), _verdict(complaints), "\n".join(complaints))


def _set_complaints(kind: SetKind, fate: SetFate) -> list[str]:
    """A set that is not fenced may lose elements: that is measured. None makes any up."""
    complaints = [f"{len(fate.strange)} that nobody added, or twice: {fate.strange[:5]}"] if fate.strange else []
    if kind.fenced and fate.lost:
        complaints.append(f"{len(fate.lost)} acknowledged and lost: {fate.lost[:5]}")
    return complaints


def _answers(files: Files) -> Judged:
    """Whether anybody was told of a bug."""
    told: dict[str, int] = {}
    number = 0
    for lines in files:
        for line in lines:
            if isinstance(line, Ended):
                number += 1
                if line.said in BUGS:
                    told[line.said] = told.get(line.said, 0) + 1
    complaints = [f"{name}, {times} times" for name, times in sorted(told.items())]
    return Judged("answers that tell of a bug", number, _verdict(complaints), "\n".join(complaints))


def _judged(name: str, fate: Fates, complaints: Sequence[str]) -> Judged:
    return Judged(name, len(fate.deeds), _verdict(complaints), "\n".join(complaints))


def _verdict(complaints: Sequence[str]) -> Judgement:
    return Judgement.BROKEN if complaints else Judgement.LINEARIZABLE
