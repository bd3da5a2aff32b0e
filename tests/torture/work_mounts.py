"""Programs that work on a mounted cell by system calls alone, and write down what they do.

    python -m tests.torture.work_mounts PROGRAM NAME HISTORY SEED DIRECTORY

| program | what it does                                                                                 |
|---------|----------------------------------------------------------------------------------------------|
| `lines` | appends lines with O_APPEND, each by an open, a write and a close                            |
| `count` | counts up in a file under flock: read a number, write the next one                           |

A file that is long enough is left alone, and the next one begun. Directories are never made here: where the mount is
gone, so is its `torture`, and nothing can be written beside it by mistake.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tests.integration.mounted import count_up
from tests.torture.recording import Recorder

FOLDER = "torture"
LINES = "lines-"
COUNTER = "counter"
LONG = 16_000
"""Bytes of one file of lines."""
NOT_BEGUN = "NotBegun"
"""It failed before anything was written."""


class Program:
    """One program, one deed after the other."""

    pace = 0.1
    """Seconds between two deeds, on average."""

    def __init__(self, name: str, recorder: Recorder, chance: random.Random, directory: Path) -> None:
        self.name = name
        self.recorder = recorder
        self.chance = chance
        self.folder = directory / FOLDER
        self.ended = threading.Event()
        self._serial = 0
        self._file = 0

    def run(self, deed: Callable[[Program], None]) -> None:
        """Until it is told to end."""
        while not self.ended.wait(self.chance.expovariate(1 / self.pace)):
            deed(self)

    def line(self) -> None:
        """Append a line."""
        self._serial += 1
        text = f"{self.name}/{self._serial}"
        name = f"{LINES}{self._file}"
        number = self.recorder.begin(self.name, "line", name, contents=text)
        said = NOT_BEGUN
        try:
            file = os.open(self.folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
            try:
                long = os.fstat(file).st_size >= LONG
                said = "OSError"
                os.write(file, text.encode() + b"\n")
            finally:
                os.close(file)
        except OSError:
            self.recorder.end(number, said)
            self.ended.wait(0.1)
            return
        self.recorder.end(number, "written")
        self._file += long

    def count(self) -> None:
        """Count up."""
        number = self.recorder.begin(self.name, "count", COUNTER)
        written: list[int] = []
        try:
            count_up(str(self.folder / COUNTER), written)
        except OSError:
            self.recorder.end(number, "OSError" if written else NOT_BEGUN, generations=tuple(written))
            self.ended.wait(0.1)
        else:
            self.recorder.end(number, "counted", generations=tuple(written))


PROGRAMS: dict[str, Callable[[Program], None]] = {"lines": Program.line, "count": Program.count}


def main(arguments: list[str]) -> None:
    """Be a program."""
    deed, name, history, seed, directory = arguments
    program = Program(name, Recorder(Path(history)), random.Random(f"{seed} {name}"), Path(directory))
    signal.signal(signal.SIGTERM, lambda *_: program.ended.set())
    program.run(PROGRAMS[deed])


if __name__ == "__main__":
    main(sys.argv[1:])
