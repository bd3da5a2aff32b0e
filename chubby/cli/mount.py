"""`chubby mount` and `chubby unmount`: a cell as a directory. The mount itself is the package `fuse_mount`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from chubby import paths
from chubby.cli import exits
from chubby.cli.mount_options import EVERY
from chubby.cli.options import Connection, connection_options
from chubby.cli.output import complain, note
from chubby.cli.program import examples
from fuse_mount.orders import Locator, Order
from fuse_mount.process import run_in_foreground
from fuse_mount.starting import check_directory, start
from fuse_mount.troubles import MountError, Trouble
from fuse_mount.unmounting import END_LIMIT, unmount

EXITS: Final = {
    Trouble.FUSE: exits.UNAVAILABLE,
    Trouble.DIRECTORY: exits.USAGE,
    Trouble.MOUNTED: exits.NO,
    Trouble.NOT_MOUNTED: exits.NO,
    Trouble.BUSY: exits.TRY_AGAIN,
    Trouble.REFUSED: exits.NO_PERMISSION,
    Trouble.ENDED: exits.UNAVAILABLE,
}
"""The exit code of each trouble."""
assert set(EXITS) == set(Trouble), "every trouble has an exit code"


@click.command(
    "mount",
    epilog=examples(
        "chubby mount /mnt/chubby",
        "chubby mount --cell staging --read-only staging",
        "chubby mount --all /ls",
        "flock /mnt/chubby/svc/leader -c ./serve",
    ),
)
@connection_options
@click.argument("directory", metavar="DIR")
@click.option("--all", "every", is_flag=True, help="Show all configured cells, a directory each, as /ls does.")
@click.option("--foreground", is_flag=True, help="Stay, and log to stderr; Ctrl-C unmounts.")
@click.option("--read-only", is_flag=True, help="Refuse whatever would change the cell, locks included.")
@click.option("--allow-other", is_flag=True, help="Let other users in, who are kept out otherwise.")
@click.option("--nonempty", is_flag=True, help="Mount even if DIR is not empty, and hide what is in it meanwhile.")
@click.option(
    "--log",
    "log_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Log to the end of FILE. [default: syslog or the journal, if /dev/log is there; with --foreground: stderr]",
)
def mount_command(
    connection: Connection,
    directory: str,
    every: bool,
    foreground: bool,
    read_only: bool,
    allow_other: bool,
    nonempty: bool,
    log_file: Path | None,
) -> int:
    """Show a cell as the directory DIR, which must be there and empty.

    Returns when it is mounted; a process in the background serves it until `chubby unmount DIR`, umount, a SIGTERM.
    With --foreground it is this process, and exit code 0 says that it was unmounted, by whatever of these.

    --all shows `local`, and every cell that has a file NAME.toml in ./cell_config, ~/.config/chubby, /etc/chubby or in
    CHUBBY_CONFIG. Each is connected to when it is first used.
    """
    if every and (connection.cell or connection.config or connection.addresses):
        raise click.UsageError("--all shows the configured cells: leave out --cell, --config and --address")
    try:
        order = Order(
            directory=check_directory(directory, nonempty),
            source=EVERY if every else source_of(connection),
            locator=locator_of(connection, every),
            every=every,
            read_only=read_only,
            allow_other=allow_other,
            timeout=connection.timeout,
            log=writable(log_file),
        )
        carry_out(order, foreground)
    except MountError as error:
        complain(str(error))
        return EXITS[error.trouble]
    return exits.OK


@click.command("unmount", epilog=examples("chubby unmount /mnt/chubby", "chubby unmount --lazy /mnt/chubby"))
@click.argument("directory", metavar="DIR")
@click.option("--lazy", is_flag=True, help="Even if it is busy: out of sight now, ended when its last user has.")
def unmount_command(directory: str, lazy: bool) -> int:
    """Unmount what `chubby mount` has mounted at DIR, and wait until its process has ended in good order.

    A mount whose process was killed ("Transport endpoint is not connected") is cleared away.

    Exit code 1: nothing is mounted there. 75: it is busy; who uses it is said.
    """
    try:
        done = unmount(directory, lazy)
    except MountError as error:
        complain(str(error))
        return EXITS[error.trouble]
    if done.stale:
        note(f"{done.directory} is cleared: its process was gone")
    if done.server is None:
        return exits.OK
    if lazy or done.elsewhere:
        until = f"as it is mounted at {', '.join(done.elsewhere)} too" if done.elsewhere else "until its last user ends"
        note(f"process {done.server} goes on serving {done.source}, {until}")
        return exits.OK
    complain(
        f"{done.directory} is unmounted, but process {done.server}, which served it, has not ended in {END_LIMIT:.0f} s"
    )
    return exits.TRY_AGAIN


def carry_out(order: Order, foreground: bool = False) -> None:
    """Mount, here or in the background. Raises MountError, ChubbyError."""
    if foreground:
        from fuse_mount.making import make

        run_in_foreground(order, make)
    else:
        start(order)


def locator_of(connection: Connection, every: bool = False) -> Locator:
    """Where the cell is, for another process. Raises ConfigError if it is nowhere, unless it is about every cell."""
    if not every:
        connection.find()
    config = str(connection.config.absolute()) if connection.config is not None else None
    return Locator(connection.cell or paths.LOCAL_CELL, config, connection.addresses, str(Path.cwd()))


def source_of(connection: Connection) -> str:
    """What the table of mounts shall show: the cell as the user named it."""
    if connection.cell is not None:
        return connection.cell
    if connection.addresses:
        return ",".join(connection.addresses)
    return str(connection.config.absolute()) if connection.config is not None else paths.LOCAL_CELL


def writable(log_file: Path | None) -> str | None:
    """The absolute name of a file that can be written to. Raises OSError if it cannot."""
    if log_file is None:
        return None
    with log_file.open("ab"):
        return str(log_file.absolute())
