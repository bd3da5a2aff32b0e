"""What clients write down while they work: one file for each process, one line of JSON for each beginning and each end.

A line is written, in one write(2), before a call is made, and another one after it is answered: so of a process that is
killed the calls that it had begun are known, and no more is known of them. Instants are CLOCK_BOOTTIME in nanoseconds,
one clock for all processes of the machine, so those of different files can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec


class Begun(msgspec.Struct, frozen=True, tag="begun", omit_defaults=True):
    """A call is made. `client` does one thing at a time. What the other fields mean depends on the verb."""

    number: int
    client: str
    at: int
    verb: str
    paths: tuple[str, ...]
    contents: str = ""
    expected: tuple[int, ...] = ()
    instance: int = 0
    owner: str = ""
    token: int = 0


class Ended(msgspec.Struct, frozen=True, tag="ended", omit_defaults=True):
    """The call `number` of this file was answered; `said` is one word, or the name of the error."""

    number: int
    at: int
    said: str
    instance: int = 0
    generations: tuple[int, ...] = ()
    contents: str = ""
    made: int = 0
    saw: int = 0
    token: int = 0


class Sure(msgspec.Struct, frozen=True, tag="sure", omit_defaults=True):
    """At this instant the client knew its session lease to run."""

    client: str
    at: int


class Met(msgspec.Struct, frozen=True, tag="met", omit_defaults=True):
    """A session began, or was lost, or the client ends in good order: whatever is no call."""

    client: str
    at: int
    what: str


Line = Begun | Ended | Sure | Met

OPEN_OUTCOMES = frozenset({"OutcomeUnknown", "SessionExpired", "SessionUnknown", "InternalError", "OSError"})
"""After these errors a call may have taken effect; after any other it certainly did not."""
BUGS = frozenset({"InternalError", "CorruptData", "ReplicasDisagree", "MembershipRefused"})
"""Errors that no client of a cell that works is ever told."""

_DECODER = msgspec.json.Decoder(Line)


def now() -> int:
    """This instant."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Recorder:
    """Writes the lines of one process. The file is begun anew if it is there."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("wb", buffering=0)
        self._count = 0

    def begin(
        self,
        client: str,
        verb: str,
        *paths: str,
        contents: str = "",
        expected: tuple[int, ...] = (),
        instance: int = 0,
        owner: str = "",
        token: int = 0,
    ) -> int:
        """A call is about to be made; the number names it."""
        self._count += 1
        self.write(Begun(self._count, client, now(), verb, paths, contents, expected, instance, owner, token))
        return self._count

    def end(
        self,
        number: int,
        said: str,
        *,
        instance: int = 0,
        generations: tuple[int, ...] = (),
        contents: str = "",
        made: int = 0,
        saw: int = 0,
        token: int = 0,
    ) -> None:
        """It was answered."""
        self.write(Ended(number, now(), said, instance, generations, contents, made, saw, token))

    def sure(self, client: str, at: int) -> None:
        """Its session lease was seen to run at that instant."""
        self.write(Sure(client, at))

    def met(self, client: str, what: str) -> None:
        """Something else happened."""
        self.write(Met(client, now(), what))

    def write(self, line: Line) -> None:
        """One line, at once."""
        self._file.write(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Nothing more is written down."""
        self._file.close()


def read(file: Path) -> Iterator[Line]:
    """All lines of a file. The last one may be torn, if its writer was killed: it is left out then."""
    data = file.read_bytes()
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        yield _DECODER.decode(line)


class Tally(msgspec.Struct):
    """How far a file has been read, and what was in it: what a progress line shows."""

    file: Path
    offset: int = 0
    answered: int = 0
    failed: int = 0
    latest: int = 0
    """When the call was begun that was answered, and not with an error, last."""
    begun: dict[int, int] = {}
    errors: dict[str, int] = {}

    def look(self) -> None:
        """Read what has been added."""
        if not self.file.exists():
            return
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            data = stream.read()
        data = data[: data.rfind(b"\n") + 1]
        self.offset += len(data)
        for text in data.splitlines():
            self._count(_DECODER.decode(text))

    def _count(self, line: Line) -> None:
        if isinstance(line, Begun):
            self.begun[line.number] = line.at
        elif isinstance(line, Ended):
            began = self.begun.pop(line.number)
            if line.said[:1].isupper():
                self.failed += 1
                self.errors[line.said] = self.errors.get(line.said, 0) + 1
            else:
                self.answered += 1
                self.latest = max(self.latest, began)
