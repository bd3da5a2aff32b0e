"""The outermost group: commands return exit codes, errors become a line on stderr and the exit code of `exits`."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import click

from chubby.cli import exits
from chubby.cli.output import complain
from chubby.errors import ChubbyError

_GRPC_VERBOSITY = "GRPC_VERBOSITY"


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
        logging.basicConfig(level=logging.WARNING, format="chubby: %(message)s")
        if _GRPC_VERBOSITY not in os.environ:
            os.putenv(_GRPC_VERBOSITY, "ERROR")  # behind the back of os.environ: no command that we run inherits it
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


def _guarded(run: Callable[[], object]) -> int:
    try:
        code = run()
        sys.stdout.flush()
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
    except ChubbyError as error:
        complain(str(error))
        return exits.exit_code_of(error)
    except BrokenPipeError:
        return _unread()
    except Exception:
        traceback.print_exc()
        complain("this is a bug; please report it with the lines above")
        return exits.BUG
    return code if isinstance(code, int) else exits.OK


def _unread() -> int:
    """Let the flush at exit meet no broken pipe; the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE
