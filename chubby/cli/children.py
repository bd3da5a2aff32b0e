"""The replicas of `chubby cell start`: child processes, one each, that never outlive their parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import IO

from chubby.cli import launch
from chubby.cli.launch import PYTHON
from chubby.config.cell import CellConfig
from chubby.daemon.main import EXIT_EXPELLED
from chubby.types.identity import ReplicaId

STOP_LIMIT = 10.0
"""Seconds a replica has to stop after SIGTERM before it is killed."""


class Child:
    """One replica's process."""

    def __init__(self, replica: ReplicaId, process: asyncio.subprocess.Process, log: Path) -> None:
        """`log` is the file its output goes to."""
        self.replica = replica
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def ended(self) -> str | None:
        """How it ended, for a human; None while it runs."""
        code = self._process.returncode
        if code is None:
            return None
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    @property
    def expelled(self) -> bool:
        """Whether it ended because it is no member of its cell any more."""
        return self._process.returncode == EXIT_EXPELLED

    async def wait(self) -> None:
        """Until it has ended."""
        await self._process.wait()

    async def stop(self) -> None:
        """End it in good order; by force if that takes too long."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_LIMIT)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


async def start_child(config: CellConfig, replica: ReplicaId, directory: Path) -> Child:
    """Start `chubbyd` for `replica` with its data in `directory`; its output goes to `<directory>.log`.

    However this process is killed, the replica gets SIGTERM (`launch`).
    """
    log = directory.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    output: IO[bytes]
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *PYTHON,
            str(Path(launch.__file__)),
            str(os.getpid()),
            sys.executable,
            "-m",
            "chubby.daemon",
            "--config",
            config.source,
            "--replica",
            str(replica),
            "--data",
            str(directory),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us: we stop the replicas in good order
        )
    return Child(replica, process, log)
