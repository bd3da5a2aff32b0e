"""What a command costs does not grow with the cell, and a node is small (DESIGN §3 Disk, §4)."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from chubby.namespace import table
from chubby.namespace.commands import EndLockDelay, ExpireSession, Limits, OpenSession, Transaction
from chubby.namespace.outcomes import Outcome
from chubby.types.nodes import LockMode
from chubby.types.transaction import Create, Write
from tests.namespace.cell import Cell


class Hashes:
    """Counts the marks computed: the dearest thing a command does, once for each row that it puts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin to count."""
        self.count = 0
        original = table.mark_of

        def counting(item: object) -> int:
            self.count += 1
            return original(item)

        monkeypatch.setattr(table, "mark_of", counting)


def costs(monkeypatch: pytest.MonkeyPatch, size: int) -> dict[str, int]:
    """Rows put by each of some commands, in a cell of that size."""
    cell = Cell()
    cell.set_limits(Limits(history=50))
    for nonce in range(size):
        cell.do(OpenSession(nonce, "crowd", caching=True))
    worker, other = cell.session(), cell.session()
    cell.create(worker, "/d")
    for number in range(size):
        action = Transaction((), (Create(f"/d/{number}", ephemeral=number % 2 == 0),))
        cell.request(worker, action, number=number + 2, acknowledged=number + 1)
    cell.acquire(worker, "/d", delay=5)
    for handle in range(1, size + 1):
        session = 1 + handle % size
        cell.acquire(session, "/d", LockMode.SHARED if handle % 3 == 0 else LockMode.EXCLUSIVE, handle=handle)
    hashes = Hashes(monkeypatch)
    found = {}
    steps: dict[str, Callable[[], Outcome]] = {
        "write": lambda: cell.request(other, Transaction((), (Write("/d/1", b"x"),))),
        "create": lambda: cell.request(other, Transaction((), (Create("/d/new"),))),
        "sequential": lambda: cell.request(other, Transaction((), (Create("/d/s-", sequential=True),))),
        "acquire": lambda: cell.acquire(other, "/d"),
        "cancel": lambda: cell.cancel(other, "/d"),
        "release": lambda: cell.release(worker, "/d"),
        "expire": lambda: cell.do(ExpireSession(other)),
        "open": lambda: cell.do(OpenSession(1 << 40, "late", caching=True)),
        "void": lambda: cell.do(EndLockDelay("/d", 1, 1)),
    }
    for name, step in steps.items():
        before = hashes.count
        step()
        found[name] = hashes.count - before
    monkeypatch.undo()
    return found


def test_commands_cost_the_same_in_any_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten or a thousand nodes, sessions and waiters: the same number of rows is put."""
    small, large = costs(monkeypatch, 12), costs(monkeypatch, 900)
    assert small == large
    assert {name for name, rows in small.items() if rows == 0} == {"expire", "void"}, "dropping is free"
    assert max(small.values()) <= 8, small


def test_memory_of_a_small_node() -> None:
    """At most 1.5 KB for a node with 100 bytes of content, indexes, marks and share of tables included."""
    count = 4_000
    cell = Cell()
    cell.session()
    cell.set_limits(Limits(history=10))
    for number in range(100):
        cell.request(1, Transaction((), (Create(f"/dir{number:03d}"),)), number=number + 1, acknowledged=number)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        path = f"/dir{number % 100:03d}/node{number:07d}"
        action = Transaction((), (Create(path, number.to_bytes(100, "big")),))
        cell.time_ms += 1
        cell.request(1, action, number=101 + number, acknowledged=100 + number)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used / count < 1_000
