"""`chubby lock` at a cell in memory, with real commands (DESIGN §6, last paragraph)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from chubby.cli import exits
from chubby.cli.command import Command, start_command
from chubby.cli.lock import default_lock_delay
from chubby.cli.lock_table import Happening
from chubby.cli.supervisor import Outcome, Supervisor, Turn
from chubby.types.limits import LOCK_DELAY_MAXIMUM
from chubby.types.nodes import LockMode
from chubby.types.time import SECOND
from tests.cli.conftest import Typed
from tests.cli.fake_cell import FakeCell, FakeLock, FakeSession


def dump(file: Path) -> tuple[str, ...]:
    """A command that writes its environment into a file."""
    script = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    return ("python3", "-c", script, str(file))


def test_the_command_runs_under_the_lock(
    cell: FakeCell, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a fresh cell: parents and file are made, the token and the sequencer are in the environment; what gRPC is told
    by it (`chubby.__init__`) is no affair of the command's.
    """
    monkeypatch.delenv("GRPC_VERBOSITY", raising=False)
    os.putenv("GRPC_VERBOSITY", "ERROR")
    out = tmp_path / "environment"
    result = typed("lock", "/ls/local/svc/leader", "--", *dump(out))
    assert (result.exit_code, result.output) == (0, "")
    environment = json.loads(out.read_text())
    info = cell.machine.lock("/svc/leader")
    assert info is not None and info.mode is None, "it was released"
    assert environment["CHUBBY_FENCING_TOKEN"] == str(info.token)
    assert environment["CHUBBY_LOCK"] == "/ls/local/svc/leader"
    assert bytes.fromhex(environment["CHUBBY_SEQUENCER"]) == f"{info.token}:/svc/leader".encode()
    assert "GRPC_VERBOSITY" not in environment


def test_the_sequencer_is_what_check_sequencer_takes(cell: FakeCell, typed: Typed, tmp_path: Path) -> None:
    """And it is stale once the command has ended."""
    out = tmp_path / "environment"
    typed("lock", "/a", "--", *dump(out))
    assert typed("check-sequencer", json.loads(out.read_text())["CHUBBY_SEQUENCER"]).exit_code == exits.NO


def test_value_is_written_once_held(cell: FakeCell, typed: Typed) -> None:
    """Paper §2.4: the master writes its address into the lock file."""
    assert typed("lock", "/svc/leader", "--value", "10.0.0.7:80", "--", "true").exit_code == 0
    assert cell.contents("/svc/leader") == b"10.0.0.7:80"


@pytest.mark.parametrize(
    ("options", "mode", "delay", "wait"),
    [
        ([], LockMode.EXCLUSIVE, 6 * SECOND, None),
        (["--shared", "--wait", "3"], LockMode.SHARED, 6 * SECOND, 3.0),
        (["--kill-after", "0.5"], LockMode.EXCLUSIVE, SECOND + SECOND // 2, None),
        (["--lock-delay", "20", "--wait", "0"], LockMode.EXCLUSIVE, 20 * SECOND, 0.0),
    ],
)
def test_options(
    cell: FakeCell, typed: Typed, options: list[str], mode: LockMode, delay: int, wait: float | None
) -> None:
    """DESIGN §6: "the default lock-delay is the kill time + 1 s"."""
    assert typed("lock", "/a", *options, "--", "true").exit_code == 0
    assert cell.asked == [("acquire", "/a", mode, delay, wait)]


def test_the_lock_delay_has_a_bound() -> None:
    """DESIGN §4: at most 60 s, however long the kill time is."""
    assert default_lock_delay(600) == LOCK_DELAY_MAXIMUM


def test_a_lock_that_cannot_be_had_in_time(cell: FakeCell, typed: Typed, tmp_path: Path) -> None:
    """75, and the command is never started."""
    out = tmp_path / "out"
    result = typed("lock", "/a", "--wait", "2", "--", "chubby-no-such-thing-either")
    assert result.exit_code == 127
    held = typed("lock", "/a", "--", "sh", "-c", f"touch {out}.held")
    assert held.exit_code == 0
    cell.put("/b")
    cell.hold("/b")
    result = typed("lock", "/b", "--wait", "2", "--", "touch", str(out))
    assert result.exit_code == exits.TRY_AGAIN
    assert result.stderr == "chubby: /ls/local/b: the lock could not be had within 2 s\n"
    assert not out.exists()


@pytest.mark.parametrize("script", ["exit 3", "kill -TERM $$"])
def test_exit_codes_pass_through(typed: Typed, script: str) -> None:
    """128 + n for signals."""
    assert typed("lock", "/a", "--", "sh", "-c", script).exit_code == (3 if "exit" in script else 143)


def test_a_missing_command_is_found_out_before_the_lock_is_taken(cell: FakeCell, typed: Typed) -> None:
    """127, as in a shell."""
    result = typed("lock", "/a", "--", "no-such-command-here")
    assert (result.exit_code, result.stderr) == (127, "chubby: no-such-command-here: no such command\n")
    assert cell.asked == []


def test_what_cannot_be_executed_is_found_out_before_the_lock_is_taken(
    cell: FakeCell, typed: Typed, tmp_path: Path
) -> None:
    """126, as in a shell."""
    file = tmp_path / "file"
    file.write_text("echo")
    plain = typed("lock", "/a", "--", "./file")
    assert (plain.exit_code, plain.stderr) == (126, "chubby: ./file: is not executable\n")
    folder = typed("lock", "/a", "--", str(tmp_path))
    assert (folder.exit_code, folder.stderr) == (126, f"chubby: {tmp_path}: is a directory\n")
    assert cell.asked == []


def test_a_command_that_the_system_refuses_gives_the_lock_back(cell: FakeCell, typed: Typed) -> None:
    """126 and a line: here the arguments are too long."""
    result = typed("lock", "/a", "--", "true", "x" * (1 << 20))
    assert (result.exit_code, result.stderr) == (126, "chubby: true: Argument list too long\n")
    info = cell.machine.lock("/a")
    assert info is not None and info.mode is None


def test_a_value_may_be_any_bytes(cell: FakeCell, typed: Typed) -> None:
    """As the shell gave them."""
    assert typed("lock", "/a", "--value", os.fsdecode(b"caf\xe9"), "--", "true").exit_code == 0
    assert cell.contents("/a") == b"caf\xe9"


def test_a_command_that_nobody_supervises_any_more_is_ended(
    cell: FakeCell, typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Should the supervisor itself fail: the command runs only while its lock is surely held."""
    file = tmp_path / "pid"

    async def fail(_supervisor: Supervisor) -> Outcome:
        async with asyncio.timeout(30):
            while not (file.exists() and file.read_text()):
                await asyncio.sleep(0.01)
        raise ZeroDivisionError

    monkeypatch.setattr(Supervisor, "run", fail)
    result = typed("lock", "/a", "--kill-after", "0.2", "--", "sh", "-c", f"trap '' TERM; echo $$ > {file}; sleep 60")
    assert result.exit_code == exits.BUG
    assert not Path(f"/proc/{file.read_text().strip()}").exists(), "killed, and waited for"


def test_options_after_the_dashes_are_the_commands(typed: Typed) -> None:
    """Nothing of CMD is ours."""
    assert typed("lock", "/a", "--wait", "1", "--", "sh", "-c", "exit $#", "--", "--wait", "2").exit_code == 2


def test_a_lost_lock_ends_the_command(cell: FakeCell, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason on stderr; 128 + SIGTERM from a command that does not catch it."""
    lose_when(cell, monkeypatch, lambda: True)
    result = typed("lock", "/a", "--", "sleep", "60")
    assert result.exit_code == 143
    assert result.stderr == "chubby: /ls/local/a: the lock was lost (it expired); the command was ended\n"


def test_a_command_that_takes_a_loss_lightly_does_not_succeed(
    cell: FakeCell, typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It was interrupted, whatever it says: 69 instead of 0."""
    ready = tmp_path / "ready"
    lose_when(cell, monkeypatch, ready.exists)
    script = f"trap 'exit 0' TERM; touch {ready}; while :; do sleep 0.05; done"
    assert typed("lock", "/a", "--", "bash", "-c", script).exit_code == exits.UNAVAILABLE


def test_a_signal_while_waiting_leaves_nothing(
    cell: FakeCell, typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """128 + n; the session is closed (which `typed` looks at), the command never started."""
    out = tmp_path / "out"

    async def wait_for_ever(*_arguments: object) -> FakeLock:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    monkeypatch.setattr(FakeSession, "acquire", wait_for_ever)
    assert typed("lock", "/a", "--", "touch", str(out)).exit_code == 128 + signal.SIGTERM
    assert not out.exists()


def test_signals_are_for_the_command(cell: FakeCell, typed: Typed, tmp_path: Path) -> None:
    """SIGTERM to the wrapper ends the command, which says with what code; the lock is given back."""
    script = "trap 'exit 5' TERM; kill -TERM $PPID; while :; do sleep 0.05; done"
    assert typed("lock", "/a", "--", "bash", "-c", script).exit_code == 5
    info = cell.machine.lock("/a")
    assert info is not None and info.mode is None


def lose_when(cell: FakeCell, monkeypatch: pytest.MonkeyPatch, condition: Callable[[], bool]) -> None:
    """Let every lock be lost once its command runs and the condition holds."""

    async def start(arguments: Sequence[str], environment: Mapping[str, str], kill_after: float) -> Command:
        started = await start_command(arguments, environment, kill_after)
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)
        assert cell.turns is not None
        cell.turns.put_nowait(Turn(Happening.LOST, "it expired"))
        return started

    monkeypatch.setattr("chubby.cli.lock.start_command", start)
