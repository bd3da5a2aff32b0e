"""From an order to what is mounted: which cells, as whose, and where each is found."""

from __future__ import annotations

import errno
import os
import stat as posix
from pathlib import Path

import pytest

from chubby.errors import ConfigError
from fuse_mount.cell_files import CellFiles
from fuse_mount.every_cell import EveryCell
from fuse_mount.making import every_cell, one_cell
from fuse_mount.orders import Locator, Order
from tests.config.cells import local
from tests.fuse_mount.shown import refused


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory and a home without cells, whatever this machine's own."""
    for name in ("CHUBBY_CONFIG", "CHUBBY_CELL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "cell_config").mkdir()
    return tmp_path


def configure(desk: Path, name: str) -> None:
    """A cell in the search folder of the desk."""
    (desk / "cell_config" / f"{name}.toml").write_text(f'[cell]\nname = "{name}"\n{local(1)}\n')


def order(desk: Path, cell: str | None = None) -> Order:
    """To mount that cell, or every cell, for a user who was at the desk."""
    locator = Locator(directory=str(desk)) if cell is None else Locator(cell, directory=str(desk))
    return Order("/mnt", "all", locator, every=cell is None, timeout=0.2)


def names(files: EveryCell) -> set[str]:
    """What is shown; what the machine itself has configured is left out."""
    machine = {file.stem for file in Path("/etc/chubby").glob("*.toml")}
    return {name for name, _ in files.readdir("/")} - machine


def test_one_cell_is_the_one_of_the_order(desk: Path) -> None:
    """Found where the user was; ConfigError if it is nowhere."""
    configure(desk, "east")
    made = one_cell(order(desk, cell="east"))
    assert isinstance(made, CellFiles) and made.prefix == ""
    with pytest.raises(ConfigError):
        one_cell(order(desk, cell="west"))


def test_every_cell_is_what_is_configured_where_the_user_was(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of each moment; the process itself works somewhere else."""
    monkeypatch.chdir("/")
    configure(desk, "east")
    made = every_cell(order(desk))
    assert isinstance(made, EveryCell) and names(made) == {"east"}
    configure(desk, "west")
    configure(desk, "local")
    assert names(made) == {"east", "local", "west"}
    (desk / "cell_config" / "east.toml").unlink()
    assert names(made) == {"local", "west"}


def test_the_variables_count_for_every_cell(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file outside the search folders, and addresses."""
    configure(desk, "east")
    (desk / "cell_config" / "east.toml").rename(desk / "elsewhere.toml")
    monkeypatch.setenv("CHUBBY_CONFIG", "elsewhere.toml")
    made = every_cell(order(desk))
    assert isinstance(made, EveryCell) and names(made) == {"east", "local"}
    monkeypatch.delenv("CHUBBY_CONFIG")
    monkeypatch.setenv("CHUBBY_CELL", "127.0.0.1:7201")
    assert names(made) == {"local"}


def test_it_is_shown_as_of_whoever_mounts_it(desk: Path) -> None:
    """And nobody is reached for that."""
    configure(desk, "east")
    made = every_cell(order(desk))
    made.start()
    for path in ("/", "/east"):
        found = made.getattr(path)
        assert posix.S_ISDIR(found["st_mode"]) and (found["st_uid"], found["st_gid"]) == (os.getuid(), os.getgid())
    made.close()


def test_a_cell_of_which_nobody_answers(desk: Path) -> None:
    """An error within the time of the order, when somebody goes there; the others are listed all the same."""
    (desk / "cell_config" / "east.toml").write_text(
        '[cell]\nname = "east"\n' + local(1).replace("127.0.0.1:7201", "127.0.0.1:1")
    )
    configure(desk, "west")
    (desk / "cell_config" / "west.toml").write_text("= nonsense")
    made = every_cell(order(desk))
    assert isinstance(made, EveryCell) and names(made) == {"east", "west"}
    with refused(errno.ETIMEDOUT):
        made.getattr("/east/a")
    with refused(errno.EIO):
        made.getattr("/west/a")
    made.close()


def test_nothing_to_show(desk: Path) -> None:
    """ConfigError, with what to do about it; unless the machine itself has cells."""
    if not list(Path("/etc/chubby").glob("*.toml")):
        with pytest.raises(ConfigError, match="no cell is configured"):
            every_cell(order(desk))
