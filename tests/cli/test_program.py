"""The outermost group: every error has its code and its line, every command its help."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from chubby import __version__
from chubby.cli import exits
from chubby.cli.main import COMMANDS, chubby
from chubby.cli.program import Program
from chubby.errors import ChubbyError, ErrorCode, Failure, error_of
from tests.cli.conftest import Typed


def program(command: click.Command) -> Program:
    """A program of one command, `x`."""
    made = Program("chubby", places={})
    made.get_command = lambda ctx, cmd_name: command if cmd_name == "x" else None  # type: ignore[method-assign]  # a stage
    return made


def leaves() -> list[list[str]]:
    """Every command with its groups."""
    found = []
    for name in COMMANDS:
        command = chubby.get_command(click.Context(chubby), name)
        assert command is not None
        below = command.list_commands(click.Context(command)) if isinstance(command, click.Group) else []
        found += [[name, each] for each in below] or [[name]]
    return found


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_every_command_explains_itself(words: list[str]) -> None:
    """What it does, in a sentence; its options each with a help; examples where it takes names."""
    result = CliRunner().invoke(chubby, [*words, "--help"])
    assert result.exit_code == exits.OK
    assert f"Usage: chubby {' '.join(words)}" in result.output
    command: click.Command | None = chubby
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None and (command.help or "").strip()
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
    if words[0] not in ("cell", "backup", "recover"):
        assert "Examples:" in result.output


def test_the_program_lists_all_commands_and_completion() -> None:
    """`chubby` alone helps."""
    result = CliRunner().invoke(chubby, ["--help"])
    assert all(f"  {name} " in result.output for name in COMMANDS)
    assert "_CHUBBY_COMPLETE" in result.output
    assert CliRunner().invoke(chubby, ["--version"]).output == f"chubby, version {__version__}\n"


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_is_a_line_and_a_code(code: ErrorCode) -> None:
    """`chubby: ...` on stderr; never a traceback, never a code below 64 but 1."""
    error = error_of(Failure(code, "it went wrong"))

    @click.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(program(fail), ["x"])
    assert result.exit_code == exits.exit_code_of(error)
    assert (result.stdout, result.stderr) == ("", "chubby: it went wrong\n")
    assert result.exit_code == 1 or 64 <= result.exit_code <= 78


@pytest.mark.parametrize(("returned", "code"), [(0, 0), (None, 0), (1, 1), (75, 75)])
def test_what_a_command_returns_is_the_exit_code(returned: int | None, code: int) -> None:
    """None is fine."""

    @click.command()
    def give() -> int | None:
        return returned

    assert CliRunner().invoke(program(give), ["x"]).exit_code == code


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (click.UsageError("no such thing"), exits.USAGE, "chubby: no such thing"),
        (click.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, ""),
        (ZeroDivisionError("oops"), exits.BUG, "chubby: this is a bug"),
    ],
)
def test_other_ends(error: BaseException, code: int, line: str) -> None:
    """Wrong usage is 64, Ctrl-C 130, a bug 70 with its traceback."""

    @click.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(program(fail), ["x"])
    assert result.exit_code == code
    assert line in result.stderr


@pytest.mark.parametrize("arguments", [["no-such-command"], ["--no-such-option"], ["cat"], ["put", "/a", "b", "c"]])
def test_wrong_usage_is_64_with_a_hint(typed: Typed, arguments: list[str]) -> None:
    """And nothing on stdout."""
    result = typed(*arguments)
    assert (result.exit_code, result.stdout) == (exits.USAGE, "")
    assert result.stderr.startswith("chubby: ") and "--help'" in result.stderr


def test_a_reader_who_has_seen_enough() -> None:
    """`chubby ... | head -1` is no bug."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "chubby.cli", "txn", "--dry-run"],
        input="read /a\n",
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which $CHUBBY is the program."""
    environment = {**os.environ, "CHUBBY": f"{sys.executable} -m chubby.cli"}
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, env=environment)


def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    """74, not a bug; and not once more when the interpreter ends."""
    ended = shell("echo 'read /a' | $CHUBBY txn --dry-run > /dev/full")
    assert (ended.returncode, ended.stderr) == (exits.STORAGE, "chubby: No space left on device\n")


@pytest.mark.parametrize(
    ("line", "code", "stderr"),
    [
        ("echo 'read /a' | $CHUBBY txn --dry-run >&-", exits.OK, ""),
        ("$CHUBBY txn --dry-run --json <&-", exits.USAGE, "chubby: standard input is closed\n"),
        ("$CHUBBY put /a <&-", exits.USAGE, "chubby: standard input is closed\n"),
        ("$CHUBBY ls --config /no/such/file 2>&-", exits.CONFIG, ""),
    ],
)
def test_closed_standard_files(line: str, code: int, stderr: str) -> None:
    """No bug; and a closed input is not an empty content."""
    ended = shell(line)
    assert ended.returncode == code
    assert ended.stderr.startswith(stderr) and "Traceback" not in ended.stderr


def test_without_a_command_the_help_is_shown() -> None:
    """As it is, on stderr."""
    result = CliRunner().invoke(chubby, [])
    assert (result.exit_code, result.stdout) == (exits.USAGE, "")
    assert result.stderr.startswith("Usage: chubby") and "try '" not in result.stderr


def test_what_the_system_refuses_is_a_line_with_the_file() -> None:
    """No traceback: there is nothing to report."""

    @click.command()
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/etc/shadow")

    result = CliRunner().invoke(program(fail), ["x"])
    assert (result.exit_code, result.stderr) == (exits.STORAGE, "chubby: /etc/shadow: Permission denied\n")


def test_python_m_works() -> None:
    """`python -m chubby.cli`."""
    ended = subprocess.run(
        [sys.executable, "-m", "chubby.cli", "--version"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, f"chubby, version {__version__}\n")


def test_every_error_has_an_exit_code() -> None:
    """Also those that are made tomorrow."""
    for code in ErrorCode:
        error: ChubbyError = error_of(Failure(code, ""))
        assert exits.exit_code_of(error) in range(1, 79)
