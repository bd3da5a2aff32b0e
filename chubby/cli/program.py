"""The outermost group: commands return exit codes, errors become a line on stderr and the exit code of `exits`."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from chubby.cli import exits
from chubby.cli.output import complain
from chubby.cli.stopping import Ended
from chubby.errors import ChubbyError


class LazyGroup(click.Group):
    """A group some of whose commands are loaded when they are asked for: `places` says where, as `module:name`."""

    def __init__(self, *args: Any, places: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted({*super().list_commands(ctx), *self._places})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now if need be."""
        if cmd_name not in self._places:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._places[cmd_name].partition(":")
        command = vars(importlib.import_module(module))[name]
        assert isinstance(command, click.Command)
        return command


class Program(LazyGroup):
    """The outermost group: its commands return an exit code (None: 0)."""

    def main(self, *args: object, **options: object) -> NoReturn:
        """Run the command line and leave the process with its exit code."""
        options["standalone_mode"] = False
        _fill_gaps()
        logging.basicConfig(level=logging.WARNING, format="chubby: %(message)s")
        run: Callable[..., object] = super().main
        sys.exit(_guarded(lambda: run(*args, **options)))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. Whoever reads our output may have seen enough: that ends it, and is no error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return _unread()


def examples(*lines: str) -> str:
    """The end of a help text: examples, one a line."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def _fill_gaps() -> None:
    """Open the null device in place of standard files that are closed, so that no connection gets their numbers.

    Python has set their streams to None: writing to them does nothing, reading is refused (`standard_input`).
    """
    opened = os.open(os.devnull, os.O_RDWR)
    while opened <= 2:
        opened = os.open(os.devnull, os.O_RDWR)
    os.close(opened)


def _guarded(run: Callable[[], object]) -> int:
    try:
        code = run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return exits.USAGE
    except click.UsageError as error:
        complain(error.format_message())
        if error.ctx is not None:
            complain(f"try '{error.ctx.command_path} --help'")
        return exits.USAGE
    except click.ClickException as error:
        complain(error.format_message())
        return error.exit_code
    except click.Abort:
        return 128 + signal.SIGINT
    except Ended as error:
        return 128 + error.number
    except ChubbyError as error:
        complain(str(error))
        return exits.exit_code_of(error)
    except BrokenPipeError:
        return _unread()
    except OSError as error:
        _discard_output()
        where = f"{error.filename}: " if error.filename is not None else ""
        complain(f"{where}{error.strerror or error}")
        return exits.STORAGE
    except Exception:
        traceback.print_exc()
        complain("this is a bug; please report it with the lines above")
        return exits.BUG
    return code if isinstance(code, int) else exits.OK


def _unread() -> int:
    """The exit code when nobody reads our output to its end."""
    _discard_output()
    return 128 + signal.SIGPIPE


def _discard_output() -> None:
    """Let the flush at exit meet neither a broken pipe nor a full disk."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed by whoever started us
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
