"""Stacks as py-spy writes them, and what is made of them."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from bench import profiling
from bench.peers.system import Unavailable
from bench.profiling import Heat, hottest, look

STACKS = """main (a.py:1);run (a.py:5);write (b.py:7) 6
main (a.py:1);run (a.py:9);encode (c.py:1) 3
main (a.py:1);run (a.py:9);send (libc.so.6) 1
"""


def test_functions_are_ordered_by_what_they_do_themselves() -> None:
    """Lines of one function are one function; what is called counts for who calls."""
    assert hottest(STACKS) == [
        Heat("write (b.py)", 0.6, 0.6),
        Heat("encode (c.py)", 0.3, 0.3),
        Heat("send (libc.so.6)", 0.1, 0.1),
        Heat("main (a.py)", 0.0, 1.0),
        Heat("run (a.py)", 0.0, 1.0),
    ]


def test_a_function_that_calls_itself_counts_once_for_each_look() -> None:
    """Else its share would exceed all."""
    assert hottest("f (a.py:1);f (a.py:2);f (a.py:1) 4\n") == [Heat("f (a.py)", 1.0, 1.0)]


def test_without_py_spy_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what would help."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(Unavailable, match="make setup"):
        look(1, "raw", tmp_path / "stacks", 1.0)


def test_what_py_spy_cannot_do_is_an_error(tmp_path: Path) -> None:
    """There is no process of that number."""
    with pytest.raises(Unavailable, match="could not look"):
        look(2**22 + 1, "raw", tmp_path / "stacks", 1.0)


def test_the_command_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And ends with 69."""

    def unavailable(*_: object) -> list[Heat]:
        raise Unavailable("no py-spy")

    monkeypatch.setattr(profiling, "profile", unavailable)
    monkeypatch.setattr(profiling, "DATA", tmp_path)
    assert profiling.main(["reads"]) == 69
    assert "no py-spy" in capsys.readouterr().err


def test_the_table_shows_shares(capsys: pytest.CaptureFixture[str]) -> None:
    """In percent."""
    profiling.show(hottest(STACKS), "master under writes")
    said = capsys.readouterr().out
    assert "60.0%" in said
    assert "encode (c.py)" in said
