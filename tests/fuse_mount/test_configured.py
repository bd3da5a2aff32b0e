"""Which cells are configured, and that each of those names leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from chubby.config import resolve
from chubby.errors import ConfigError
from fuse_mount.configured import configured_cells

CONFIG = """[cell]
name = "{name}"
replicas = [{{id = 1, peer = "127.0.0.1:7111", client = "127.0.0.1:7211"}}]
"""


def write(file: Path, name: str = "") -> Path:
    """A configuration of the cell that the file is named after, or of another."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(CONFIG.format(name=name or file.stem))
    return file


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own."""
    return {"HOME": str(tmp_path / "home")}


def test_every_file_in_every_folder(tmp_path: Path, home: dict[str, str]) -> None:
    """By their names alone; one of a name in two folders is one cell."""
    for name in ("local", "staging", "eu-1.prod"):
        write(tmp_path / "cell_config" / f"{name}.toml")
    for name in ("staging", "home"):
        write(tmp_path / "home" / ".config" / "chubby" / f"{name}.toml")
    found = configured_cells(home, tmp_path)
    assert {"eu-1.prod", "home", "local", "staging"} <= set(found)
    assert found == sorted(set(found))
    assert all(resolve(name, home, tmp_path).cell == name for name in ("eu-1.prod", "home", "local", "staging"))


def test_what_is_no_configuration(tmp_path: Path, home: dict[str, str]) -> None:
    """Other files, folders, and names that no cell can have."""
    folder = tmp_path / "cell_config"
    for name in ("a b.toml", ".toml", "-x.toml", "x.toml.bak", "x.service", f"{'x' * 64}.toml"):
        write(folder / name, "x")
    (folder / "folder.toml").mkdir()
    (folder / "dangling.toml").symlink_to("nowhere")
    assert not {"a b", "", "-x", "x", "x.toml", "folder", "dangling", "x" * 64} & set(configured_cells(home, tmp_path))


def test_a_file_that_is_wrong_is_shown(tmp_path: Path, home: dict[str, str]) -> None:
    """Whoever goes into it learns what is wrong: it is never passed over."""
    write(tmp_path / "cell_config" / "staging.toml").write_text("nonsense")
    assert "staging" in configured_cells(home, tmp_path)
    with pytest.raises(ConfigError, match=r"staging\.toml"):
        resolve("staging", home, tmp_path)


def test_the_file_of_the_environment(tmp_path: Path, home: dict[str, str]) -> None:
    """It is `local`, and the cell that it names; relative to where the user was."""
    write(tmp_path / "elsewhere" / "x.toml", "special")
    home["CHUBBY_CONFIG"] = "elsewhere/x.toml"
    assert {"local", "special"} <= set(configured_cells(home, tmp_path))
    assert "x" not in configured_cells(home, tmp_path)
    for name in ("local", "special"):
        assert resolve(name, home, tmp_path).cell == "special"


def test_a_file_of_the_environment_that_is_wrong(tmp_path: Path, home: dict[str, str]) -> None:
    """`local` is meant, at any rate."""
    home["CHUBBY_CONFIG"] = "none.toml"
    assert "local" in configured_cells(home, tmp_path)


@pytest.mark.parametrize("value", ["staging", "127.0.0.1:1,127.0.0.1:2"])
def test_the_cell_of_the_environment(tmp_path: Path, home: dict[str, str], value: str) -> None:
    """By name or addresses, it is `local`; with neither and without a file, `local` is nothing."""
    write(tmp_path / "cell_config" / "staging.toml")
    without = set(configured_cells(home, tmp_path))
    home["CHUBBY_CELL"] = value
    assert set(configured_cells(home, tmp_path)) == without | {"local"}
    assert resolve("local", home, tmp_path).addresses


def test_nothing_is_configured(tmp_path: Path) -> None:
    """Folders that are not there hold nothing; a user without a home has no files there."""
    assert configured_cells({"HOME": ""}, tmp_path) == configured_cells({}, tmp_path)
