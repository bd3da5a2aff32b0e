"""What the tests of locks share."""

from __future__ import annotations

from chubby.types.nodes import LockMode
from tests.master.cell import Cell, Client

SHARED = LockMode.SHARED


def contenders(count: int = 2) -> tuple[Cell, list[Client], list[int]]:
    """Clients with one handle each on `/l`."""
    cell = Cell()
    clients = [cell.client(f"c{number}") for number in range(count)]
    return cell, clients, [client.open_handle("/l") for client in clients]
