"""What is printed, for people and for programs."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.cli.output import contents_json, emit_json, emit_table, lock_json, printable, styled, wall_time
from chubby.types.nodes import LockInfo, LockMode, LockOwner


def test_tables_are_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Wide characters count twice; nothing trails."""
    emit_table(("name", "n"), [["漢字", "1"], ["x" * 300, "1000"]], ["n"])
    header, first, second = capsys.readouterr().out.splitlines()
    assert header == "name" + " " * 296 + "     n"
    assert first == "漢字" + " " * 296 + "     1"
    assert second == "x" * 300 + "  1000"
    emit_table(("a", "b"), [["1", ""]])
    assert capsys.readouterr().out == "a  b\n1\n"


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but text where the environment says so; else a style, which `click.echo` strips off the terminal."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert styled("text", bold=True) == "\x1b[1mtext\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("text", bold=True, fg="yellow") == "text"


def test_json_is_one_line_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    """For `while read`."""
    emit_json([{"a": 1}, {"b": [1, 2]}])
    assert capsys.readouterr().out == '[{"a":1},{"b":[1,2]}]\n'


@given(st.binary())
def test_contents_come_back(contents: bytes) -> None:
    """As text where they are text."""
    shape = contents_json(contents)
    (key, value), *rest = shape.items()
    assert not rest and isinstance(value, str)
    assert contents == (value.encode() if key == "text" else base64.b64decode(value))


def test_a_free_lock() -> None:
    """No mode is null."""
    info = LockInfo("/a", None, 3, 9, (), ((LockOwner(1, 2), LockMode.SHARED),), True, 1_500_000_000)
    assert json.loads(json.dumps(lock_json("/ls/x/a", info))) == {
        "name": "/ls/x/a",
        "mode": None,
        "token": 9,
        "generation": 3,
        "holders": [],
        "waiters": [{"session": 1, "handle": 2, "mode": "shared"}],
        "delayed": True,
        "delay_s": 1.5,
    }


def test_wall_time() -> None:
    """UTC, milliseconds; what is as old as the cell has none."""
    assert wall_time(946_684_800_123) == "2000-01-01T00:00:00.123Z"
    assert wall_time(0) is None


@given(st.text())
def test_nothing_moves_the_cursor(text: str) -> None:
    """Whatever a node holds."""
    assert printable(text).isprintable()
