"""What a replica tells of itself when replicas disagree about the state (DESIGN §3 Digest; docs/operations.md)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chubby.daemon.door import NodeDoor
from chubby.daemon.founding import format_replica
from chubby.daemon.loading import Loader
from chubby.daemon.node import Node
from chubby.master.pipeline import STOPPED
from chubby.storage.directory import DataDirectory
from tests.daemon.samples import CELL, small_cell
from tests.storage.fake_files import FakeFiles

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


async def test_status_warns_that_writes_are_stopped(tmp_path: Path) -> None:
    """Whoever looks after a ReplicasDisagree finds the reason, and the page that says what to do quotes it."""
    loader, config = Loader(), small_cell(tmp_path)
    with DataDirectory(FakeFiles(), 1) as directory:
        format_replica(directory, config, 1, CELL)
        node = Node(config, directory.open(loader), loader.machine)
        await node.start()
        try:
            async with asyncio.timeout(60):
                while not node.replica.serving:
                    await asyncio.sleep(0.005)
            before = NodeDoor(node).status().warnings
            node.replica._vigil.split = True
            added = [warning for warning in NodeDoor(node).status().warnings if warning not in before]
        finally:
            await node.stop()
    assert added == ["replicas disagree about the state and no majority agrees: writes are stopped"]
    page = OPERATIONS.read_text(encoding="utf-8")
    assert added[0] in page and "\n## When replicas disagree\n" in page
    assert "'When replicas disagree' in docs/operations.md" in STOPPED.message
