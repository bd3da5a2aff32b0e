"""Names and where the cell is found."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from hypothesis import given

from chubby.cli import exits
from chubby.cli.options import Connection, Target, cell_of
from chubby.errors import BadPath, ConfigError
from tests.cli.conftest import Typed
from tests.cli.test_txn_format import PATHS

CONFIG = """[cell]
name = "{name}"
replicas = [{{id = 1, peer = "127.0.0.1:7111", client = "127.0.0.1:{port}"}}]
"""


def write(folder: Path, name: str, port: int) -> Path:
    """A configuration file."""
    file = folder / f"{name}.toml"
    file.write_text(CONFIG.format(name=name, port=port))
    return file


@pytest.mark.parametrize(
    ("cell", "name", "target"),
    [
        (None, "/ls/local/a/b", Target("local", "/a/b")),
        (None, "/ls/other/a", Target("other", "/a")),
        (None, "/ls/local", Target("local", "/")),
        (None, "/ls/local/", Target("local", "/")),
        (None, "/ls/local/a/", Target("local", "/a")),
        (None, "/a/b", Target("local", "/a/b")),
        (None, "/a/", Target("local", "/a")),
        (None, "/", Target("local", "/")),
        (None, "/lsx", Target("local", "/lsx")),
        ("other", "/a", Target("other", "/a")),
        ("other", "/ls/other/a", Target("other", "/a")),
    ],
)
def test_names(cell: str | None, name: str, target: Target) -> None:
    """A full name names its cell; another one is inside that of --cell."""
    assert Connection(cell=cell).target(name) == target


@pytest.mark.parametrize("name", ["", "a", "/ls", "/ls/", "/a//b", "//a", "/ls/local//a", "/a/../b", "/ls/a b/c"])
def test_bad_names(name: str) -> None:
    """Refused with the rule."""
    with pytest.raises(BadPath):
        Connection().target(name)


def test_a_name_of_another_cell_than_cell() -> None:
    """A contradiction is not guessed away."""
    with pytest.raises(click.UsageError, match="not in the cell of --cell other"):
        Connection(cell="other").target("/ls/local/a")


@given(PATHS)
def test_every_path_has_a_name_that_leads_back(path: str) -> None:
    """Also paths inside the cell that begin with /ls."""
    target = Target("local", path)
    assert Connection().target(target.name) == target


def test_addresses_given_are_the_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is read."""
    monkeypatch.setenv("CHUBBY_CONFIG", str(tmp_path / "no-such-file"))
    found = Connection(addresses=("127.0.0.1:1", "localhost:2")).find()
    assert found.addresses == ("127.0.0.1:1", "localhost:2")


def test_a_config_file_configures_local_and_the_cell_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no other one."""
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, "west", 7211)
    for connection in (Connection(config=file), Connection(config=file, cell="west")):
        assert connection.find().addresses == ("127.0.0.1:7211",)
    with pytest.raises(click.UsageError, match="configures the cell west, not east"):
        Connection(config=file, cell="east").find()


def test_cell_looks_for_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`./cell_config/CELL.toml`; what is not found is said."""
    monkeypatch.chdir(tmp_path)
    for variable in ("CHUBBY_CELL", "CHUBBY_CONFIG", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "cell_config").mkdir()
    write(tmp_path / "cell_config", "west", 7212)
    assert Connection(cell="west").find().addresses == ("127.0.0.1:7212",)
    assert Connection().find("west").addresses == ("127.0.0.1:7212",)
    with pytest.raises(ConfigError, match="no configuration of the cell 'local'"):
        Connection().find()


def test_the_cell_of_commands_that_need_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same order as for all others: --config, CHUBBY_CONFIG, CHUBBY_CELL, ./cell_config/local.toml."""
    monkeypatch.chdir(tmp_path)
    for variable in ("CHUBBY_CELL", "CHUBBY_CONFIG", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "cell_config").mkdir()
    for number, name in enumerate(("local", "single", "west")):
        write(tmp_path / "cell_config", name, 7301 + number)
    assert cell_of(None).name == "local"
    monkeypatch.setenv("CHUBBY_CELL", "single")
    assert cell_of(None).name == "single"
    monkeypatch.setenv("CHUBBY_CONFIG", "cell_config/west.toml")
    assert cell_of(None).name == "west"
    assert cell_of(tmp_path / "cell_config" / "local.toml").name == "local"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--timeout", "nan"),
        ("--timeout", "inf"),
        ("--timeout", "1e300"),
        ("--timeout", "0"),
        ("--wait", "nan"),
        ("--wait", "inf"),
        ("--wait", "-1"),
        ("--kill-after", "nan"),
        ("--kill-after", "1e300"),
        ("--lock-delay", "nan"),
        ("--lock-delay", "61"),
        ("--address", "nowhere"),
        ("--address", "127.0.0.1:0"),
    ],
)
def test_numbers_that_are_no_seconds_and_addresses_that_are_none(typed: Typed, option: str, value: str) -> None:
    """Wrong usage, by name, before anything is asked of a cell."""
    command = ["status"] if option == "--address" else ["lock", "/a", "--", "true"]
    result = typed(command[0], option, value, *command[1:])
    assert (result.exit_code, result.stdout) == (exits.USAGE, "")
    assert option in result.stderr and "Traceback" not in result.stderr
