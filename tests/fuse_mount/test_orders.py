"""Where a mount finds its cell: where its user meant, at every new session, as long as it lives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import chubby
from chubby.errors import ConfigError
from chubby.types.stream import CacheKey
from fuse_mount.orders import Connector, Locator

CONFIG = """[cell]
name = "{name}"
replicas = [{{id = 1, peer = "127.0.0.1:7111", client = "127.0.0.1:{port}"}}]
"""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that works elsewhere and knows of no cell."""
    for variable in ("CHUBBY_CELL", "CHUBBY_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir("/")


def write(file: Path, name: str, port: int) -> Path:
    """A configuration."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(CONFIG.format(name=name, port=port))
    return file


def test_a_cell_is_found_from_where_the_user_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By addresses, by a file, by the environment's relative names, in ./cell_config."""
    write(tmp_path / "cell_config" / "x.toml", "x", 1)
    write(tmp_path / "y.toml", "y", 2)
    here = str(tmp_path)
    assert Locator(addresses=("h:9",)).find().addresses == ("h:9",)
    assert Locator("x", directory=here).find().addresses == ("127.0.0.1:1",)
    assert Locator(config=f"{here}/y.toml").find().addresses == ("127.0.0.1:2",)
    assert Locator("y", config=f"{here}/y.toml").find().cell == "y"
    monkeypatch.setenv("CHUBBY_CONFIG", "y.toml")
    assert Locator(directory=here).find().addresses == ("127.0.0.1:2",)
    monkeypatch.setenv("CHUBBY_CONFIG", "")
    monkeypatch.setenv("CHUBBY_CELL", "x")
    assert Locator(directory=here).find().addresses == ("127.0.0.1:1",)
    with pytest.raises(ConfigError):
        Locator("y", directory=here).find()


class Connected:
    """What `chubby.connect` was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In its place."""
        self.asked: list[tuple[str, tuple[str, ...], object, object]] = []
        monkeypatch.setattr(chubby, "connect", self.connect)

    def connect(self, name: str, *, addresses: Sequence[str], timeout: float, dependant: object) -> None:
        """Note it."""
        self.asked.append((name, tuple(addresses), timeout, dependant))


def drop(keys: tuple[CacheKey, ...] | None) -> None:
    """Nothing to drop."""


def test_the_place_is_looked_up_for_each_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount lives longer than a membership. A file that is broken or gone at that moment does not stop it."""
    connected = Connected(monkeypatch)
    file = write(tmp_path / "cell_config" / "x.toml", "x", 1)
    connect = Connector(Locator("x", directory=str(tmp_path)))
    connect(drop, 5.0)
    write(file, "x", 2)
    connect(drop, 6.0)
    file.write_text("nonsense")
    connect(drop, 7.0)
    file.unlink()
    connect(drop, 8.0)
    assert [(name, timeout, heeds) for name, _, timeout, heeds in connected.asked] == [
        ("/ls/x", seconds, drop) for seconds in (5.0, 6.0, 7.0, 8.0)
    ]
    assert [addresses for _, addresses, _, _ in connected.asked] == [("127.0.0.1:1",), *[("127.0.0.1:2",)] * 3]


def test_a_place_that_is_wrong_from_the_beginning(tmp_path: Path) -> None:
    """Is an error at once."""
    with pytest.raises(ConfigError):
        Connector(Locator(config=str(tmp_path / "none.toml")))
