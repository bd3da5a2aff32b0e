"""What the tests of handles share."""

from __future__ import annotations

from chubby.types.calls import (
    CreateMode,
    Mode,
    Open,
)
from chubby.types.nodes import AclNames
from chubby.types.results import Opened
from tests.master.cell import Cell, Client

RW = Mode.READ | Mode.WRITE


PRIVATE = AclNames("staff", "staff", "staff")


def cell_with_staff() -> tuple[Cell, Client, Client, Client]:
    """`root` is an administrator, carol is in the list `staff`, mallory is in none. `/private` is staff's alone."""
    cell = Cell()
    root, carol, mallory = cell.client("root"), cell.client("carol"), cell.client("mallory")
    root.open_handle("/acl/staff", contents=b"carol\n")
    root.handles += 1
    made = root.call(Open(root.handles, "/private", RW, create=CreateMode.MUST, acl=PRIVATE))
    assert isinstance(made, Opened)
    return cell, root, carol, mallory
