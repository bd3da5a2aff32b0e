"""Judges of what has to be there in the end: sets, files that grew, counters. PURE.

Each takes what was acknowledged, what may have happened and what is there, and says what is wrong with it. They know
nothing of how it came about: an acknowledged deed is there exactly once, one of unknown outcome at most once, one that
was refused not at all, and nothing else is there; where there is an order, it is one in which they may have happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tests.torture.recording import OPEN_OUTCOMES, Begun, Ended, Line

FOREVER = 1 << 62
SHOWN = 5
"""So many examples of each complaint are shown."""


class Deed(msgspec.Struct, frozen=True):
    """Something that leaves `entry` behind. `returned` None: of unknown outcome."""

    entry: str
    invoked: int
    returned: int | None


class Fates(msgspec.Struct):
    """The deeds of one place, and how many were refused or failed: those must have left nothing."""

    deeds: list[Deed] = []
    refused: int = 0
    failed: int = 0

    def acknowledged(self) -> list[Deed]:
        """Those that are certain."""
        return [deed for deed in self.deeds if deed.returned is not None]


def fates(files: Iterable[Iterable[Line]], verb: str, done: str) -> dict[str, Fates]:
    """By place: the deeds called `verb`, which are certain if `done` was said of them.

    The entry is the owner of an append, and the contents of everything else.
    """
    found: dict[str, Fates] = {}
    for lines in files:
        begun: dict[int, Begun] = {}
        for line in lines:
            if isinstance(line, Begun) and line.verb == verb:
                begun[line.number] = line
            elif isinstance(line, Ended) and line.number in begun:
                beginning = begun.pop(line.number)
                place = found.setdefault(beginning.paths[0], Fates())
                if line.said == done:
                    place.deeds.append(Deed(_entry(beginning), beginning.at, line.at))
                elif line.said in OPEN_OUTCOMES:
                    place.deeds.append(Deed(_entry(beginning), beginning.at, None))
                elif line.said[:1].isupper():
                    place.failed += 1
                else:
                    place.refused += 1
        for beginning in begun.values():
            found.setdefault(beginning.paths[0], Fates()).deeds.append(Deed(_entry(beginning), beginning.at, None))
    return found


def _entry(line: Begun) -> str:
    return line.owner or line.contents


class SetFate(msgspec.Struct, frozen=True):
    """What became of one kind of set: how many adds were acknowledged, refused, of unknown outcome; which are lost."""

    acknowledged: int
    refused: int
    unknown: int
    lost: tuple[str, ...]
    strange: tuple[str, ...]
    """There, although nobody can have put them there, or there twice."""


def set_fate(fate: Fates, found: Sequence[str]) -> SetFate:
    """Compare."""
    certain = [deed.entry for deed in fate.acknowledged()]
    possible = Counter(deed.entry for deed in fate.deeds)
    there = Counter(found)
    lost = tuple(entry for entry in certain if entry not in there)
    strange = tuple(entry for entry, times in there.items() if times > possible[entry])
    return SetFate(len(certain), fate.refused, len(fate.deeds) - len(certain), lost, strange)


def sequence_complaints(fate: Fates, found: Sequence[str]) -> list[str]:
    """What is wrong with a file that only ever grew at its end."""
    deeds = {deed.entry: deed for deed in fate.deeds}
    times = Counter(found)
    complaints: list[str] = []
    _complain(complaints, "acknowledged and not there", [d.entry for d in fate.acknowledged() if d.entry not in times])
    _complain(complaints, "there more than once", [entry for entry, number in times.items() if number > 1])
    _complain(complaints, "there, and nobody wrote it", [entry for entry in times if entry not in deeds])
    earliest = FOREVER
    late: list[str] = []
    for entry in reversed([entry for entry in found if entry in deeds]):
        deed = deeds[entry]
        if deed.invoked > earliest:
            late.append(entry)
        earliest = min(earliest, FOREVER if deed.returned is None else deed.returned)
    _complain(complaints, "before what was over when it began", late)
    return complaints


def counter_complaints(certain: Sequence[int], maybe: Sequence[int], number: int) -> list[str]:
    """What is wrong with a counter that stands at `number`: who is certain has a number of its own, nobody else's."""
    complaints: list[str] = []
    _complain(complaints, "counted twice", [each for each, times in Counter(certain).items() if times > 1])
    _complain(complaints, "counted, and above what is there", [each for each in certain if each > number])
    unseen = set(range(1, number + 1)) - set(certain)
    _complain(complaints, "passed over, and nobody may have counted it", sorted(unseen - set(maybe)))
    return complaints


def counted(files: Iterable[Iterable[Line]]) -> tuple[list[int], list[int]]:
    """The numbers that were written for certain, and those that may have been."""
    certain: list[int] = []
    maybe: list[int] = []
    for lines in files:
        counts: set[int] = set()
        for line in lines:
            if isinstance(line, Begun) and line.verb == "count":
                counts.add(line.number)
            elif isinstance(line, Ended) and line.number in counts:
                (certain if line.said == "counted" else maybe).extend(line.generations)
    return certain, maybe


def growth_complaints(
    files: Iterable[Iterable[Line]], found: Mapping[str, Sequence[str]], fingerprint: Mapping[str, Sequence[str]]
) -> list[str]:
    """Of files that grow by compare-and-set: whether each acknowledged append made the version that it thought it made.

    `fingerprint` has that of each file with its first 0, 1, 2, ... entries; generation 1 has none.
    """
    complaints: list[str] = []
    for lines in files:
        begun: dict[int, Begun] = {}
        wrong: list[str] = []
        for line in lines:
            if isinstance(line, Begun) and line.verb in ("append", "look") and line.paths[0] in found:
                begun[line.number] = line
            elif isinstance(line, Ended) and line.number in begun and line.said in ("wrote", "view"):
                beginning, entries = begun.pop(line.number), line.generations[0] - 1
                known = fingerprint[beginning.paths[0]]
                told = beginning.contents if line.said == "wrote" else line.contents
                if entries >= len(known) or known[entries] != told:
                    wrong.append(f"{beginning.paths[0]} with {entries} entries")
        _complain(complaints, "not the beginning of what is there in the end", wrong)
    return complaints


def _complain(complaints: list[str], what: str, entries: Sequence[object]) -> None:
    if entries:
        shown = ", ".join(map(str, entries[:SHOWN]))
        complaints.append(f"{len(entries)} {what}: {shown}{', ...' if len(entries) > SHOWN else ''}")
