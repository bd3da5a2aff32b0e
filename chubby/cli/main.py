"""`chubby`: the command line. Every command is thin: it asks the client, and prints."""

from __future__ import annotations

import click

from chubby import __version__
from chubby.cli.cell import cell
from chubby.cli.program import Program
from chubby.cli.status import status_command

_EPILOG = """\b
Completion of commands and options, for bash (zsh and fish alike):
  eval "$(_CHUBBY_COMPLETE=bash_source chubby)"
"""


@click.group(
    cls=Program, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="chubby")
def chubby() -> None:
    """Locks, small files and events for distributed programs.

    Names are /ls/CELL/a/b/c; /ls/local is the cell of your configuration (see `chubby COMMAND --help` for --cell,
    --config and --address). A name that does not begin with /ls/ is inside the cell of --cell.

    Exit codes: 0 done; 1 the answer is no (node missing, condition not met, lock held); 64 wrong usage; 69 the cell
    cannot be reached; 70 a bug; 74 the disk refused; 75 the lock could not be had in time, or the outcome is unknown;
    77 permission denied; 78 wrong configuration; 128 + n ended by signal n.
    """


for command in (cell, status_command):
    chubby.add_command(command)


def main() -> None:
    """Run `chubby`; never returns."""
    chubby.main()
