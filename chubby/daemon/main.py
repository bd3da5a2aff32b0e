"""`chubbyd`: one replica of a cell, in the foreground.

Exit codes: 0 stopped as asked; 64 wrong usage; 70 a bug; 74 the disk refused, or the data directory is not ours; 75 the
replica was expelled from its cell; 78 wrong configuration, or an address that cannot be had. Whatever ends it has one
line on standard error, a bug also a traceback.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Any

import click
import uvloop

from chubby import __version__
from chubby.config.cell import CellConfig
from chubby.config.load import load_cell
from chubby.daemon.node import Ending
from chubby.daemon.serve import Service
from chubby.errors import ConfigError, StorageFailed
from chubby.storage.directory import DataDirectory
from chubby.storage.faults import disk_errors
from chubby.storage.files import OsFiles
from chubby.types.identity import ReplicaId

SWITCH_INTERVAL = 0.0005
"""Seconds for which the disk's thread, busy with a snapshot, may keep the loop from running (Python's default is ten
times that).
"""

EXIT_USAGE = 64
EXIT_BUG = 70
EXIT_STORAGE = 74
EXIT_EXPELLED = 75
EXIT_CONFIG = 78


class _WrongUsage(click.UsageError):
    exit_code = EXIT_USAGE


class _Daemon(click.Command):
    """Ends with `EXIT_USAGE` when it is called wrongly."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _WrongUsage(error.format_message(), error.ctx) from None


@click.command(cls=_Daemon)
@click.version_option(__version__)
@click.option(
    "--config",
    "config_file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The cell's configuration file.",
)
@click.option("--replica", required=True, type=int, help="Which replica of the cell to run.")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Its data directory, if not the configured one."
)
@click.option("--verbose", is_flag=True, help="Log more.")
def main(config_file: Path, replica: ReplicaId, data: Path | None, verbose: bool) -> None:
    """Run one replica of a cell until SIGTERM or SIGINT.

    A replica whose data directory is empty joins its cell as a learner; format the directories of a new cell with
    `chubby cell format`.
    """
    # Until the loop takes over (`_serve`), Ctrl-C ends the process as SIGTERM does: nothing was begun yet.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.setswitchinterval(SWITCH_INTERVAL)
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format=f"%(asctime)s %(levelname)s replica {replica}: %(message)s",
    )
    sys.exit(run(config_file, replica, data))


def run(config_file: Path, replica: ReplicaId, data: Path | None) -> int:
    """What `main` does, as an exit code."""
    try:
        config = load_cell(config_file)
        if config.replica(replica) is None:
            known = ", ".join(str(each.id) for each in config.replicas)
            raise ConfigError(f"{config_file}: there is no replica {replica}; known are {known}. Give one of these.")
        path = data if data is not None else Path(config.replica_directory(replica))
        with disk_errors(f"making the data directory {path}"):
            files = OsFiles(path)
        with DataDirectory(files, replica) as directory:
            ending = uvloop.run(_serve(config, replica, directory))
    except ConfigError as error:
        return _complain(error, EXIT_CONFIG)
    except (StorageFailed, OSError) as error:
        return _complain(error, EXIT_STORAGE)
    except Exception as error:
        logging.getLogger(__name__).exception("a bug; please report it")
        return _complain(error, EXIT_BUG)
    if ending is Ending.EXPELLED:
        print(f"chubbyd: replica {replica} is no member of its cell any more", file=sys.stderr)
        return EXIT_EXPELLED
    return 0


async def _serve(config: CellConfig, replica: ReplicaId, directory: DataDirectory) -> Ending:
    service = Service(config, replica, directory)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    return await service.run()


def _complain(error: Exception, code: int) -> int:
    print(f"chubbyd: {error}", file=sys.stderr)
    return code
