"""Reads the recorded histories of `tests/checking/recorded`; its README says where they come from.

`*.log` are of a register with compare-and-set, `*.txt` of strings by key. Lines stand in the order in which things
happened, so the number of a line serves as its instant. What is still open at the end of a file is of unknown outcome,
and so is what was told `:info`. A read that failed has no effect, and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.checking.history import History, HistoryBuilder, Malformed
from tests.checking.registers import (
    NIL,
    Append,
    Get,
    Put,
    ReadRegister,
    RegisterCall,
    RegisterResult,
    StringCall,
    Swap,
    WriteRegister,
)

FOLDER = Path(__file__).parent / "recorded"

_REGISTER_LINE = re.compile(r"INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.+)")
_STRING_LINE = re.compile(
    r"\{:process (\d+), :type :(invoke|ok), :f :(get|put|append), :key \"([^\"]*)\", :value (nil|\"[^\"]*\")\}"
)


def register_files() -> list[Path]:
    """Histories for `read_register`."""
    return sorted(FOLDER.glob("*.log"))


def string_files() -> list[Path]:
    """Histories for `read_strings`."""
    return sorted(FOLDER.glob("*.txt"))


def expected(file: Path) -> bool:
    """Whether the history is linearizable, by its name."""
    return not file.stem.endswith("_not_linearizable")


def read_register(text: str) -> History[RegisterCall, RegisterResult]:
    """The history of one register. Raises Malformed for what is no such file."""
    builder: HistoryBuilder[RegisterCall, RegisterResult] = HistoryBuilder()
    running: dict[str, int] = {}
    for at, (process, kind, verb, value) in _matches(_REGISTER_LINE, text):
        if kind == "invoke":
            running[process] = builder.invoke(process, _register_call(verb, value), at)
            continue
        number = running.pop(process)
        if kind == "ok":
            result = (NIL if value == "nil" else int(value)) if verb == "read" else True
            builder.answer(number, result, at)
        elif kind == "fail" and verb == "cas":
            builder.answer(number, False, at)
        elif kind == "fail":
            builder.fail(number)
    return builder.history()


def _register_call(verb: str, value: str) -> RegisterCall:
    if verb == "read":
        return ReadRegister()
    if verb == "write":
        return WriteRegister(int(value))
    old, new = value.strip("[]").split()
    return Swap(int(old), int(new))


def read_strings(text: str) -> History[StringCall, str]:
    """The history of strings by key. Raises Malformed for what is no such file."""
    builder: HistoryBuilder[StringCall, str] = HistoryBuilder()
    running: dict[str, int] = {}
    for at, (process, kind, verb, key, quoted) in _matches(_STRING_LINE, text):
        value = "" if quoted == "nil" else quoted[1:-1]
        if kind == "invoke":
            call = Get() if verb == "get" else Put(value) if verb == "put" else Append(value)
            running[process] = builder.invoke(process, call, at, (key,))
        else:
            builder.answer(running.pop(process), value if verb == "get" else "", at)
    return builder.history()


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each line's number and parts. Raises Malformed for a line that is not understood."""
    for number, line in enumerate(text.splitlines(), 1):
        match = pattern.fullmatch(line.rstrip())
        if match is None:
            raise Malformed(f"line {number} is not understood: {line!r}")
        yield number, match.groups()
