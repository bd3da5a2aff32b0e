"""Histories of real systems get the verdicts that they are known for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checking import linearizability
from tests.checking.history import UNKNOWN, Malformed
from tests.checking.recorded import FOLDER, expected, read_register, read_strings, register_files, string_files
from tests.checking.registers import NIL, Append, Get, ReadRegister, RegisterModel, StringModel, Swap, WriteRegister
from tests.checking.verdict import Judgement, worst


def name_of(file: Path) -> str:
    """What a test of the file is called."""
    return file.stem


def judgement(file: Path) -> Judgement:
    """What the file's name says."""
    return Judgement.LINEARIZABLE if expected(file) else Judgement.BROKEN


@pytest.mark.parametrize("file", register_files(), ids=name_of)
def test_registers(file: Path) -> None:
    """Five processes, one register, one stretch of trouble each."""
    verdict = linearizability.check(read_register(file.read_text()), RegisterModel())
    assert verdict.judgement is judgement(file), verdict.explain()


@pytest.mark.parametrize("file", string_files(), ids=name_of)
def test_strings(file: Path) -> None:
    """Appends to strings by key: a lost or repeated one shows for ever."""
    verdicts = linearizability.check_each(read_strings(file.read_text()), lambda keys: StringModel())
    verdict = worst(verdicts.values())
    assert verdict.judgement is judgement(file), verdict.explain()


def test_all_of_them_are_there() -> None:
    """A test over no files would pass. Both verdicts occur, and everything in the folder is read."""
    verdicts = [expected(file) for file in [*register_files(), *string_files()]]
    assert (verdicts.count(True), verdicts.count(False)) == (11, 44)
    assert len([*FOLDER.iterdir()]) == len(verdicts) + 1, "the rest is the README"


def test_fates_of_a_register_file() -> None:
    """`:ok`, `:fail`, `:info` and nothing at all."""
    lines = """
INFO  jepsen.util - 0	:invoke	:read	nil
INFO  jepsen.util - 0	:ok	:read	nil
INFO  jepsen.util - 0	:invoke	:cas	[1 2]
INFO  jepsen.util - 1   :invoke :write  3
INFO  jepsen.util - 0	:fail	:cas	[1 2]
INFO  jepsen.util - 0	:invoke	:read	nil
INFO  jepsen.util - 0	:fail	:read	:timed-out
INFO  jepsen.util - 0	:invoke	:read	nil
INFO  jepsen.util - 1	:info	:write	:timed-out
INFO  jepsen.util - 0	:ok	:read	3
INFO  jepsen.util - 2	:invoke	:cas	[3 4]
"""
    operations = read_register(lines.strip()).operations
    assert [(each.client, each.call, each.result) for each in operations] == [
        ("0", ReadRegister(), NIL),
        ("0", Swap(1, 2), False),
        ("1", WriteRegister(3), UNKNOWN),
        ("0", ReadRegister(), 3),
        ("2", Swap(3, 4), UNKNOWN),
    ]


def test_fates_of_a_string_file() -> None:
    """Each key by itself."""
    lines = """
{:process 0, :type :invoke, :f :append, :key "7", :value "x 0 0 y"}
{:process 1, :type :invoke, :f :get, :key "7", :value nil}
{:process 1, :type :ok, :f :get, :key "7", :value "x 0 0 y"}
"""
    first, second = read_strings(lines.strip()).operations
    assert (first.call, first.keys, first.result) == (Append("x 0 0 y"), ("7",), UNKNOWN)
    assert (second.call, second.result, second.invoked, second.returned) == (Get(), "x 0 0 y", 2, 3)


@pytest.mark.parametrize("line", ["", "INFO  jepsen.util - 0	:invoke	:delete	nil", "garbage"])
def test_what_is_not_understood_is_not_skipped(line: str) -> None:
    """A parser that drops lines makes every history linearizable."""
    for read in (read_register, read_strings):
        with pytest.raises(Malformed, match="line 1 is not understood"):
            read(f"{line}\n")
