"""A mount's process where it does not end in good order: what it leaves, and what it says."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from chubby.errors import NoQuorum
from fuse_mount import daemon, mount_table, process
from fuse_mount.daemon import Files, Serve
from fuse_mount.mount_table import TYPE, MountPoint
from fuse_mount.orders import Locator, Order
from fuse_mount.process import Make, run_in_foreground
from fuse_mount.troubles import MountError
from tests.fuse_mount.fake_mount import PATIENCE, FakeMount, fail, refuse, strike, then
from tests.fuse_mount.logs_as_before import as_before

__all__ = ["as_before"]

OURS = MountPoint(42, 27, "0:39", "/mnt", TYPE, "here", ("rw",))


class Gone(BaseException):
    """The process has ended, with that code."""


def leave(code: int) -> NoReturn:
    """End this process, as far as a test can tell."""
    raise Gone(code)


def making(fake: FakeMount) -> Make:
    """Makes it of every order."""

    def make(order: Order) -> tuple[Files, Serve]:
        return fake.files, fake.serve

    return make


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """With a log."""
    return Order("/mnt", "here", Locator(), log=str(tmp_path / "log"))


@pytest.fixture
def detached(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What is mounted at /mnt, by this process; what is taken away, by force or not, is noted here.

    Two signals are two, however soon one follows the other.
    """
    monkeypatch.setattr(daemon, "TOGETHER", 0.0)
    found: list[tuple[str, bool]] = []
    monkeypatch.setattr(mount_table, "at", lambda directory: OURS)
    monkeypatch.setattr(process, "server_of", lambda device: os.getpid())
    monkeypatch.setattr(process, "name_ourselves", lambda device: None)
    monkeypatch.setattr(process, "take_away", lambda mount, lazy, force: found.append((mount.directory, force)))
    return found


def test_in_good_order(order: Order, detached: list[tuple[str, bool]]) -> None:
    """Three lines, and nothing to take away."""
    run_in_foreground(order, making(FakeMount(served=strike(signal.SIGTERM))), leave)
    log = Path(order.log or "").read_text().splitlines()
    assert [line.partition(": ")[2] for line in log] == [
        "here is mounted at /mnt",
        "unmounting: SIGTERM came",
        "/mnt is unmounted",
    ]
    assert detached == []


def test_left_at_once_it_leaves_no_mount_behind(order: Order, detached: list[tuple[str, bool]]) -> None:
    """The second signal: taken away lazily, without waiting for anybody; 128 and its number."""
    held = threading.Event()
    closing = FakeMount(served=strike(signal.SIGTERM), close=then(strike(signal.SIGINT), lambda: held.wait(PATIENCE)))
    with pytest.raises(Gone) as gone:
        run_in_foreground(order, making(closing), leave)
    held.set()
    assert gone.value.args == (128 + signal.SIGINT,)
    assert detached == [("/mnt", True)]
    assert "left before all was in good order" in Path(order.log or "").read_text()


@pytest.mark.parametrize("other", ["nothing", "foreign", "served by another"])
def test_left_at_once_it_leaves_mounts_of_others_alone(
    order: Order, detached: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """What is at the directory by then need not be what it had mounted."""
    if other == "nothing":
        monkeypatch.setattr(mount_table, "at", lambda directory: None)
    elif other == "foreign":
        foreign = MountPoint(43, 27, "0:40", "/mnt", "ext4", "/dev/vdb", ("rw",))
        monkeypatch.setattr(mount_table, "at", lambda directory: foreign)
    else:
        monkeypatch.setattr(process, "server_of", lambda device: 1)
    held = threading.Event()
    closing = FakeMount(served=strike(signal.SIGTERM), close=then(strike(signal.SIGTERM), lambda: held.wait(PATIENCE)))
    with pytest.raises(Gone):
        run_in_foreground(order, making(closing), leave)
    held.set()
    assert detached == []


@pytest.mark.parametrize(("start", "error"), [(fail, NoQuorum), (refuse, MountError)])
def test_what_keeps_it_from_being_mounted_is_raised(
    order: Order, detached: list[tuple[str, bool]], start: Callable[[], None], error: type[Exception]
) -> None:
    """As it is: the command says it."""
    with pytest.raises(error):
        run_in_foreground(order, making(FakeMount(start=start)), leave)
    assert Path(order.log or "").read_text() == "" and detached == []
