"""Which cells are configured: what `chubby mount --all` shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from chubby.config import cell_names, resolve
from chubby.errors import ConfigError
from tests.config.test_load import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty desk."""
    return Desk(tmp_path)


def names(desk: Desk) -> list[str]:
    """The cells of the desk; what the machine itself has configured is left out."""
    machine = {file.stem for file in Path("/etc/chubby").glob("*.toml")}
    return [name for name in cell_names(desk.environment, desk.directory) if name not in machine]


def test_none_are_configured_to_begin_with(desk: Desk) -> None:
    """Not even `local`, which is nowhere; no folder is there."""
    assert names(desk) == []


def test_every_file_of_the_search_folders_counts_once_and_in_order(desk: Desk) -> None:
    """Wherever it lies."""
    desk.cell("cell_config/west.toml", "west", 1001)
    desk.cell("cell_config/east.toml", "east", 1002)
    desk.cell(".config/chubby/north.toml", "north", 1003, home=True)
    desk.cell(".config/chubby/east.toml", "east", 1004, home=True)
    assert names(desk) == ["east", "north", "west"]


def test_without_a_home_the_others_are_there_all_the_same(desk: Desk) -> None:
    """As for a service."""
    desk.cell("cell_config/east.toml", "east", 1002)
    desk.cell(".config/chubby/north.toml", "north", 1003, home=True)
    desk.environment.clear()
    assert names(desk) == ["east"]


def test_local_is_there_if_anything_says_which_it_is(desk: Desk) -> None:
    """A file of that name, or either variable."""
    local = desk.cell("cell_config/local.toml", "local", 1001)
    assert names(desk) == ["local"]
    local.unlink()
    desk.environment["CHUBBY_CELL"] = "127.0.0.1:1007"
    assert names(desk) == ["local"]
    desk.environment["CHUBBY_CELL"] = "east"
    assert names(desk) == ["local"]
    with pytest.raises(ConfigError, match="east"):
        resolve("local", desk.environment, desk.directory)
    desk.cell("cell_config/east.toml", "east", 1002)
    assert names(desk) == ["east", "local"]


def test_the_cell_of_the_variable_bears_the_name_its_file_states(desk: Desk) -> None:
    """Whatever the file is called; it is the local cell, too."""
    desk.cell("somewhere/else.toml", "west", 1004)
    desk.environment["CHUBBY_CONFIG"] = "somewhere/else.toml"
    assert names(desk) == ["local", "west"]


@pytest.mark.parametrize("variable", ["CHUBBY_CONFIG", "CHUBBY_CELL"])
def test_an_empty_variable_says_nothing(desk: Desk, variable: str) -> None:
    """As everywhere."""
    desk.environment[variable] = ""
    assert names(desk) == []


def test_a_file_that_is_wrong_is_shown_and_says_so_when_it_is_used(desk: Desk) -> None:
    """Who looks for the cell shall find out why it does not work."""
    desk.cell("cell_config/east.toml", "east", 1002).write_text("[cell]\n")
    desk.cell("cell_config/local.toml", "local", 1001).write_text("= nonsense")
    assert names(desk) == ["east", "local"]
    with pytest.raises(ConfigError, match=r"east\.toml"):
        resolve("east", desk.environment, desk.directory)


def test_a_variable_that_leads_nowhere_hides_no_other_cell(desk: Desk) -> None:
    """The others are listed; using them says what is wrong."""
    desk.cell("cell_config/east.toml", "east", 1002)
    desk.environment["CHUBBY_CONFIG"] = "not_there.toml"
    assert names(desk) == ["east", "local"]
    with pytest.raises(ConfigError, match=r"not_there\.toml"):
        resolve("east", desk.environment, desk.directory)


def test_what_no_cell_can_be_called_is_none(desk: Desk) -> None:
    """Notes, hidden files, directories, and what editors leave behind."""
    folder = desk.cell("cell_config/east.toml", "east", 1002).parent
    for name in ("east.toml~", ".toml", ".hidden.toml", "two words.toml", "-x.toml", "notes.txt", "toml"):
        (folder / name).write_text("")
    (folder / "folder.toml").mkdir()
    (folder / "gone.toml").symlink_to(folder / "nowhere")
    assert names(desk) == ["east"]


def test_a_search_folder_that_is_none_has_no_cells(desk: Desk) -> None:
    """Somebody has a file of that name."""
    (desk.directory / "cell_config").write_text("")
    desk.cell(".config/chubby/north.toml", "north", 1003, home=True)
    assert names(desk) == ["north"]


def test_every_cell_that_is_listed_can_be_looked_up(desk: Desk) -> None:
    """The list and `resolve` speak of the same names."""
    desk.cell("cell_config/east.toml", "east", 1002)
    desk.cell("cell_config/local.toml", "local", 1001)
    desk.cell("anywhere.toml", "west", 1003)
    desk.environment["CHUBBY_CONFIG"] = "anywhere.toml"
    ports = {"east": "1002", "local": "1003", "west": "1003"}
    assert {name: desk.ports(name) for name in names(desk)} == ports
