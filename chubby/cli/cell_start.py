"""`chubby cell start`: all replicas of a configuration on this machine, watched until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import grpc.aio
from rich.console import Console
from rich.live import Live

from chubby.cli.cell_view import News, View, view_of
from chubby.cli.children import Child, start_child
from chubby.cli.output import emit_json_line
from chubby.config import CellConfig, check_bootstrap
from chubby.daemon.founding import format_replica, fresh_number
from chubby.storage.directory import FORMING, LOCK, Condition, DataDirectory
from chubby.storage.files import OsFiles
from chubby.types.identity import ReplicaId
from chubby.types.status import CellStatus
from chubby.wire import chubby_pb2 as pb
from chubby.wire.channels import CHANNEL_OPTIONS
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.codec_status import decode_status

if TYPE_CHECKING:
    from chubby.cli.cell_mount import CellMount

POLL = 0.5
"""Seconds between two looks at the replicas."""
ANSWER_LIMIT = 1.0
_HARMLESS = frozenset({LOCK, FORMING, "lost+found"})
"""Names in a data directory that hold nothing: see `chubby.storage.directory`."""


def directories_of(config: CellConfig, data: Path | None) -> dict[ReplicaId, Path]:
    """Where each replica's data lies: below `data` if given, else where the configuration says."""
    return {
        replica.id: data / f"replica-{replica.id}" if data is not None else Path(config.replica_directory(replica.id))
        for replica in config.replicas
    }


def occupied(directories: Mapping[ReplicaId, Path]) -> Path | None:
    """The first of the directories that holds something, so that no cell can begin there. Only looks.

    Raises OSError if the disk does not let us.
    """
    for path in directories.values():
        names = [entry.name for entry in path.iterdir()] if path.exists() else []
        if any(name not in _HARMLESS and not name.startswith(".") for name in names):
            return path
    return None


def format_if_new(config: CellConfig, directories: dict[ReplicaId, Path]) -> int | None:
    """Format the cell if *all* its directories are empty; returns its new number then.

    One empty directory among others is a replica that lost its disk: it must join again, never vote as if nothing
    had been (DESIGN §3 Incarnations). Raises ConfigError, StorageFailed.
    """
    with contextlib.ExitStack() as stack:

        def opened(replica: ReplicaId) -> DataDirectory:
            return stack.enter_context(DataDirectory(OsFiles(str(directories[replica])), replica))

        present = {replica: opened(replica) for replica, path in directories.items() if path.exists()}
        if any(directory.inspect().condition is not Condition.EMPTY for directory in present.values()):
            return None
        check_bootstrap(config)
        cell = fresh_number()
        for replica in directories:
            format_replica(present.get(replica) or opened(replica), config, replica, cell)
        return cell


class CellRun:
    """The children and what is shown of them."""

    def __init__(
        self,
        config: CellConfig,
        directories: dict[ReplicaId, Path],
        console: Console,
        as_json: bool = False,
        mount: CellMount | None = None,
    ) -> None:
        """Nothing runs yet."""
        self._config = config
        self._directories = directories
        self._console = console
        self._as_json = as_json
        self._mount = mount
        self._children: dict[ReplicaId, Child] = {}
        self._channels: dict[ReplicaId, grpc.aio.Channel] = {}
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Start all, show them until asked to stop, stop all. Returns an exit code: 1 if every replica ended by
        itself.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        try:
            for replica, directory in self._directories.items():
                self._children[replica] = await start_child(self._config, replica, directory)
                address = self._config.replica(replica)
                assert address is not None, "directories are those of configured replicas"
                self._channels[replica] = grpc.aio.insecure_channel(address.client, options=CHANNEL_OPTIONS)
            async with self._mounted():
                return await self._watch()
        finally:
            await asyncio.gather(*(child.stop() for child in self._children.values()))
            await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    @contextlib.asynccontextmanager
    async def _mounted(self) -> AsyncIterator[None]:
        """The cell runs, whatever becomes of the mount, which ends while there are replicas to close its session."""
        serving = asyncio.create_task(self._mount.run()) if self._mount is not None else None
        try:
            yield
        finally:
            if serving is not None:
                serving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await serving

    async def _watch(self) -> int:
        before: View | None = None
        told: set[ReplicaId] = set()
        on_terminal = self._console.is_terminal and not self._as_json
        live = Live(console=self._console, auto_refresh=False) if on_terminal else None
        with live or contextlib.nullcontext():
            while not self._stop.is_set():
                view = await self._look()
                endings = self._endings(told)
                of_mount = self._mount.news() if self._mount is not None else []
                if live is not None:
                    for news in of_mount:
                        self._console.print(news.line, highlight=False, soft_wrap=True)
                    for news in endings:
                        self._console.print(news.line, style="red", highlight=False, soft_wrap=True)
                    live.update(view.table(self._console), refresh=True)
                else:
                    for news in of_mount + endings + view.changes(before):
                        tell(news, self._as_json)
                before = view
                if all(child.ended is not None for child in self._children.values()):
                    return 1
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), POLL)
        tell(News("stopping all replicas", {"stopping": True}), self._as_json)
        return 0

    def _endings(self, told: set[ReplicaId]) -> list[News]:
        """What to say, once each, of replicas that ended by themselves: why, and how to start one again."""
        found = []
        for replica, child in self._children.items():
            if child.ended is not None and replica not in told:
                told.add(replica)
                directory = self._directories[replica]
                facts: dict[str, object] = {"replica": replica, "ended": child.ended, "log": str(child.log)}
                if child.expelled:
                    line = f"replica {replica} ended: it is no member of the cell any more"
                    found.append(News(line, {**facts, "expelled": True}))
                    continue
                command = ["chubbyd", "--config", self._config.source, "--replica", str(replica)]
                restart = shlex.join([*command, "--data", str(directory)])
                ended = f"replica {replica} ended ({child.ended}); its log is {child.log}"
                found.append(News(f"{ended}; start it again with: {restart}", {**facts, "restart": restart}))
        return found

    async def _look(self) -> View:
        answers = await asyncio.gather(*(self._ask(replica) for replica in self._children))
        asked = zip(self._children, answers, strict=True)
        statuses = {replica: status for replica, status in asked if status is not None}
        processes = {replica: (child.pid, child.ended) for replica, child in self._children.items()}
        for replica in statuses:
            processes[replica] = (processes[replica][0], None)
        return view_of(self._config.name, statuses, processes)

    async def _ask(self, replica: ReplicaId) -> CellStatus | None:
        stub = CellStub(self._channels[replica])
        try:
            return decode_status(await stub.Status(pb.StatusRequest(), timeout=ANSWER_LIMIT))
        except grpc.aio.AioRpcError:
            return None


def tell(news: News, as_json: bool) -> None:
    """Say it in a line."""
    if as_json:
        emit_json_line(news.facts)
    else:
        click.echo(news.line)


def start(
    config: CellConfig, data: Path | None, console: Console, as_json: bool = False, mount: Path | None = None
) -> int:
    """What `chubby cell start` does; returns its exit code. Raises StorageFailed. `config` came from a file.

    The cell is shown in the directory `mount`, if given, as far as this machine lets us.
    """
    directories = directories_of(config, data)
    cell = format_if_new(config, directories)
    if cell is not None:
        line = f"formatted a new cell {config.name} (number {cell:#x})"
        tell(News(line, {"formatted": config.name, "cell_id": cell}), as_json)
    showing = None
    if mount is not None:
        from chubby.cli.cell_mount import CellMount

        showing = CellMount(config, mount, log=min(directories.values()).with_name("mount.log"))
    return asyncio.run(CellRun(config, directories, console, as_json, showing).run())
