"""What the tests of commands share: a cell in memory, and a way to type at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chubby.cli import lock, operating, replica, session
from chubby.cli.main import chubby
from tests.cli.fake_cell import FakeCell

Typed = Callable[..., Result]


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCell:
    """A cell that every command finds; no configuration of this machine is read."""
    fake = FakeCell()
    for module in (session, lock, operating, replica):
        monkeypatch.setattr(module, "open_session", fake.open_session)
    for variable in ("CHUBBY_CELL", "CHUBBY_CONFIG", "CHUBBY_SEQUENCER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return fake


@pytest.fixture
def typed(cell: FakeCell) -> Typed:
    """Run `chubby` with these arguments; afterwards no session may be open."""

    def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(chubby, arguments, input=stdin, prog_name="chubby")
        assert cell.open_now == 0
        return result

    return run
