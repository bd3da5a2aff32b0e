"""`chubby`: the command line. Every command is thin: it asks the client, and prints."""

from __future__ import annotations

import sys

import click

from chubby import __version__
from chubby.cli.cell import cell
from chubby.cli.exits import exit_code_of
from chubby.errors import ChubbyError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="chubby")
def chubby() -> None:
    """Locks, small files and events for distributed programs.

    Names are /ls/CELL/a/b/c; /ls/local is the cell of your configuration (see `chubby COMMAND --help` for --cell,
    --config and --address).
    """


chubby.add_command(cell)


def main() -> None:
    """Run `chubby` and turn errors into a line on stderr and an exit code."""
    try:
        sys.exit(chubby.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except ChubbyError as error:
        click.echo(f"chubby: {error}", err=True)
        sys.exit(exit_code_of(error))
