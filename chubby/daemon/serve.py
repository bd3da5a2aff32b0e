"""Running one replica: open its directory, start core, links and front end, and begin again when it has to be rebuilt.

EMPTY, not formatted  ─┐
ROTTEN                 ├─▶ learn the cell, new incarnation, blank ─▶ run as a learner ─▶ promoted
run ended in REBUILD  ─┘
FORMATTED ─────────────────▶ run
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from chubby.config.cell import CellConfig
from chubby.daemon.door import NodeDoor
from chubby.daemon.founding import fresh_number, learn_cell
from chubby.daemon.gazette import Gazette
from chubby.daemon.loading import Abandoned, Loader
from chubby.daemon.node import Ending, Node
from chubby.errors import CorruptData
from chubby.frontends.native.frontend import NativeFrontend
from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Identity
from chubby.replica.step import Halt
from chubby.storage.directory import Condition, DataDirectory
from chubby.storage.faults import ForeignData
from chubby.storage.life import OpenedDirectory
from chubby.types.identity import ReplicaId

logger = logging.getLogger(__name__)

T = TypeVar("T")

FRONT_END_GRACE = 0.5
"""Seconds that exports have to finish when a replica stops."""


class Service:
    """One replica, as often rebuilt as needed, until it is asked to stop."""

    def __init__(self, config: CellConfig, replica: ReplicaId, directory: DataDirectory) -> None:
        """`directory` is locked by us. To be made on a running loop."""
        self._config = config
        self._replica = replica
        self._directory = directory
        self._stop = asyncio.Event()
        self._node: Node | None = None

    def stop(self) -> None:
        """Hand over, close, end `run`."""
        self._stop.set()

    async def run(self) -> Ending:
        """Until the replica is stopped or expelled. Raises StorageFailed, ConfigError, ForeignData."""
        while not self._stop.is_set():
            found = await self._open()
            if found is None:
                break
            ending = await self._run_once(*found)
            if ending is Ending.OUTDATED:
                raise ForeignData(f"replica {self._replica}: {Halt.OUTDATED.value}: install the one the others run")
            if ending is not Ending.REBUILD:
                return ending
            await self._begin_anew("its state could not be trusted any more")
        return Ending.STOPPED

    async def _open(self) -> tuple[OpenedDirectory, Machine | None] | None:
        """The directory, opened, and the machine of its newest snapshot; None if asked to stop meanwhile."""
        found = self._directory.inspect()
        if found.condition in (Condition.EMPTY, Condition.ROTTEN):
            reason = found.reason or "its data directory is empty"
            if not await self._begin_anew(reason):
                return None
        while True:
            loader = Loader()
            try:
                opened = await self._unless_stopped(partial(self._directory.open, loader), loader.abandon)
                break
            except Abandoned:
                return None
            except CorruptData as error:
                if not await self._begin_anew(str(error)):
                    return None
        if self._stop.is_set():
            opened.close()
            return None
        for warning in opened.warnings:
            logger.warning("%s", warning)
        return opened, loader.machine

    async def _unless_stopped(self, work: Callable[[], T], abandon: Callable[[], None]) -> T:
        """The result of `work`, done on another thread; `abandon` is called once if a stop is asked for meanwhile."""
        working = asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(None, work))
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not working.done():
            abandon()
        return await working

    async def _begin_anew(self, reason: str) -> bool:
        """Give up the vote state there is and begin a blank life; False if asked to stop while waiting for the cell.

        Raises ForeignData if the others are another cell than the one the directory belongs to: nothing is given up.
        """
        logger.warning(
            "replica %d starts as a new incarnation and will catch up as a learner: %s", self._replica, reason
        )
        asking = asyncio.ensure_future(learn_cell(self._config, self._replica))
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((asking, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not asking.done():
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
            return False
        cell = asking.result()
        before = self._directory.inspect().identity
        if before is not None and before.cell != cell:
            raise ForeignData(
                f"the data directory of replica {self._replica} is of cell {before.cell:#x}, and damaged ({reason}); "
                f"the replicas at the configured addresses are cell {cell:#x}: one of the two is the wrong one"
            )
        self._directory.become_new_incarnation(Identity(cell, self._replica, fresh_number()))
        return True

    async def _run_once(self, opened: OpenedDirectory, machine: Machine | None) -> Ending:
        node = Node(self._config, opened, machine)
        front_end = NativeFrontend(NodeDoor(node))
        gc.collect()
        gc.freeze()  # what was loaded stays: the collector need not look at it again
        gazette = asyncio.ensure_future(Gazette(node.mesh.tidings, front_end.statistics).run())
        try:
            await node.start()
            await front_end.start(node.member.client_address)
            logger.info(
                "replica %d of cell %s serves clients at %s, replicas at %s",
                self._replica,
                self._config.name,
                node.member.client_address,
                node.member.peer_address,
            )
            return await self._until_ended(node)
        finally:
            try:
                await front_end.stop(FRONT_END_GRACE)
            finally:
                await node.stop()
                gazette.cancel()
                await asyncio.wait((gazette,))

    async def _until_ended(self, node: Node) -> Ending:
        stopping = asyncio.ensure_future(self._stop.wait())
        running = asyncio.ensure_future(node.run())
        await asyncio.wait((stopping, running), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await node.hand_over()
            node.shut()
        stopping.cancel()
        return await running
