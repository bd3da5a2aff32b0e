"""`chubby`: the command line. Every command is thin: it asks the client, and prints."""

from __future__ import annotations

from typing import Final

import click

from chubby import __version__
from chubby.cli.program import Program

COMMANDS: Final = {
    "acl": "chubby.cli.acl:acl",
    "backup": "chubby.cli.backup:backup",
    "cat": "chubby.cli.reading:cat_command",
    "cell": "chubby.cli.cell:cell",
    "check-sequencer": "chubby.cli.operating:check_sequencer_command",
    "lock": "chubby.cli.lock:lock_command",
    "locks": "chubby.cli.operating:locks_command",
    "ls": "chubby.cli.reading:ls_command",
    "mkdir": "chubby.cli.writing:mkdir_command",
    "mount": "chubby.cli.mount:mount_command",
    "put": "chubby.cli.writing:put_command",
    "replica": "chubby.cli.replica:replica",
    "rm": "chubby.cli.writing:rm_command",
    "sessions": "chubby.cli.operating:sessions_command",
    "stat": "chubby.cli.reading:stat_command",
    "status": "chubby.cli.status:status_command",
    "step-down": "chubby.cli.operating:step_down_command",
    "tree": "chubby.cli.reading:tree_command",
    "txn": "chubby.cli.txn:txn_command",
    "unmount": "chubby.cli.mount:unmount_command",
    "watch": "chubby.cli.watch:watch_command",
}
"""Where each command is; only the one that is asked for is loaded."""

_EPILOG = """\b
Completion of commands and options, for bash (zsh and fish alike):
  eval "$(_CHUBBY_COMPLETE=bash_source chubby)"
"""


@click.group(
    cls=Program,
    places=COMMANDS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="chubby")
def chubby() -> None:
    """Locks, small files and events for distributed programs.

    Names are /ls/CELL/a/b/c; /ls/local is the cell of your configuration (see `chubby COMMAND --help` for --cell,
    --config and --address). A name that does not begin with /ls/ is inside the cell of --cell.

    Exit codes: 0 done; 1 the answer is no (node missing, condition not met, lock held); 64 wrong usage; 69 the cell
    cannot be reached; 70 a bug; 74 the disk refused; 75 the lock could not be had in time, the outcome is unknown, or
    a mount is in use; 77 permission denied; 78 wrong configuration; 128 + n ended by signal n.
    """


def main() -> None:
    """Run `chubby`; never returns."""
    chubby.main()
