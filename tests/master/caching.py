"""What the tests of the consistent cache share."""

from __future__ import annotations

from chubby.types.calls import (
    GetContentsAndStat,
    Mode,
)
from chubby.types.stream import Acknowledge
from tests.master.cell import Cell, Client

ALL = Mode.READ | Mode.WRITE | Mode.CHANGE_ACL


def reader_and_writer(path: str = "/f") -> tuple[Cell, Client, Client, int]:
    """Bob caches `path` and acknowledges only when told to; alice has it open as her handle 1."""
    cell = Cell()
    alice, bob = cell.client("root"), cell.client("bob")
    handle = alice.open_handle(path, ALL, contents=b"old")
    bob.call(GetContentsAndStat(bob.open_handle(path)))
    assert bob.last.cacheable
    bob.auto_ack = False
    return cell, alice, bob, handle


def acknowledge(client: Client) -> None:
    """Carry out what was pushed."""
    client.read()
    client.send(Acknowledge(client.pushes[-1].number))
