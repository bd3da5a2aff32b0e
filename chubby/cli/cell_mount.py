"""The mount that `chubby cell start --mount DIR` shows its cell in: a child process, like the replicas."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Final

from chubby.cli import launch
from chubby.cli.cell_view import News
from chubby.cli.launch import PYTHON
from chubby.config import CellConfig
from fuse_mount import mount_table
from fuse_mount.orders import Locator, Order
from fuse_mount.starting import PROGRAM, answer_in, check_directory, text_of
from fuse_mount.troubles import MountError
from fuse_mount.unmounting import take_away
from fuse_mount.users import server_of

REACH_LIMIT: Final = 60.0
"""Seconds the mount waits for its cell to have a master."""
STOP_LIMIT: Final = 12.0
"""Seconds it has to end in good order before it is killed."""


class CellMount:
    """One mount of a cell that has just been started. It never outlives this process, nor does what it made."""

    def __init__(self, config: CellConfig, directory: Path, log: Path) -> None:
        """Nothing is done yet. `directory` is made if it is not there, and removed in the end if we made it."""
        self._config = config
        self._shown = directory
        self._log = log
        self._made: list[Path] = []
        self._process: asyncio.subprocess.Process | None = None
        self._news: list[News] = []

    async def run(self) -> None:
        """Mount, and serve until it is cancelled or unmounted; then nothing is left of it."""
        try:
            await self._serve(self._prepare())
        except MountError as error:
            self._tell_not(str(error))
        except OSError as error:
            self._tell_not(f"{error.filename}: {error.strerror}")
        finally:
            await self._stop()

    def news(self) -> list[News]:
        """What happened since it was last asked."""
        news, self._news = self._news, []
        return news

    def _prepare(self) -> str:
        """The directory's name, once it is there and nothing of a former run is in the way."""
        name = mount_table.resolve(self._shown)
        former = mount_table.at(name)
        orphaned = former is not None and former.ours and server_of(former.device) is None
        if former is not None and orphaned and mount_table.probe(name) is not mount_table.Life.LIVE:
            take_away(former, lazy=True, force=True)
        above = [Path(name), *Path(name).parents]
        for folder in reversed([each for each in above if not each.exists()]):
            folder.mkdir()
            self._made.append(folder)
        return check_directory(name)

    async def _serve(self, name: str) -> None:
        locator = Locator(config=str(Path(self._config.source).absolute()))
        order = Order(name, self._config.name, locator, timeout=REACH_LIMIT, log=str(self._log))
        self._process = process = await asyncio.create_subprocess_exec(
            *(*PYTHON, str(Path(launch.__file__)), str(os.getpid()), *PROGRAM, text_of(order)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: we unmount in good order
        )
        assert process.stdout is not None and process.stderr is not None
        line = await process.stdout.readline()
        if answer_in(line, bytes).failed:
            said = await process.stderr.read()
            self._tell_not(answer_in(line, lambda: said).message)
            return
        self._tell(f"mounted at {self._shown}", {"mounted": name})
        await process.wait()
        self._tell(f"the mount at {self._shown} has ended; its log is {self._log}", {"mounted": None})

    async def _stop(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_LIMIT)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                self._clear()
                await process.wait()
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _clear(self) -> None:
        left = mount_table.at(mount_table.resolve(self._shown))
        if left is not None and left.ours:
            with contextlib.suppress(MountError):
                take_away(left, lazy=True, force=True)

    def _tell_not(self, why: str) -> None:
        self._tell(f"not mounted at {self._shown}: {why}", {"mounted": None, "why": why})

    def _tell(self, line: str, facts: dict[str, object]) -> None:
        self._news.append(News(line, facts))
