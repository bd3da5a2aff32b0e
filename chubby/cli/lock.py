"""`chubby lock`: run a command while holding a lock (DESIGN §6, last paragraph)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Mapping

import click

from chubby import paths
from chubby.cli import exits
from chubby.cli.command import start_command
from chubby.cli.launch import NOT_EXECUTABLE, NOT_FOUND
from chubby.cli.operating import SEQUENCER_VARIABLE
from chubby.cli.options import Connection, Seconds, Target, connection_options
from chubby.cli.output import complain, note
from chubby.cli.ports import CellSession, HeldLock
from chubby.cli.program import examples
from chubby.cli.running import Signals, run
from chubby.cli.session import open_session
from chubby.cli.supervisor import Outcome, Supervisor
from chubby.cli.trees import ensure_parents
from chubby.errors import ChubbyError, DeadlineExceeded, LockConflict
from chubby.types.limits import LOCK_DELAY_MAXIMUM
from chubby.types.nodes import LockMode
from chubby.types.time import Duration, from_seconds, to_seconds

TOKEN_VARIABLE = "CHUBBY_FENCING_TOKEN"
"""Environment of the command: the token of this hold period, a decimal number that grows for ever."""
LOCK_VARIABLE = "CHUBBY_LOCK"
"""Environment of the command: the full name of the lock."""
KILL_AFTER = 5.0
"""Default seconds between SIGTERM and SIGKILL."""


@click.command(
    "lock",
    epilog=examples(
        "chubby lock /ls/local/svc/leader -- ./server",
        "chubby lock /ls/local/cron/backup --wait 0 -- ./backup.sh",
        "chubby lock /ls/local/svc/leader --value $HOSTNAME:80 -- ./server --port 80",
        "chubby lock /ls/local/db/schema --shared -- ./report",
    ),
)
@click.argument("name", metavar="PATH")
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--shared", is_flag=True, help="Hold the lock together with others who say --shared.")
@click.option("--wait", type=Seconds(), metavar="S", help="Wait at most S seconds. [default: for ever]")
@click.option(
    "--lock-delay",
    type=Seconds(to_seconds(LOCK_DELAY_MAXIMUM)),
    metavar="S",
    help="How long the lock stays closed if this process dies, 60 at most. [default: --kill-after + 1]",
)
@click.option(
    "--kill-after",
    type=Seconds(),
    default=KILL_AFTER,
    show_default=True,
    metavar="S",
    help="Once the lock is lost: seconds from SIGTERM to SIGKILL.",
)
@click.option("--value", metavar="ADDRESS", help="Write this into the file once the lock is held.")
@connection_options
def lock_command(
    connection: Connection,
    name: str,
    command: tuple[str, ...],
    shared: bool,
    wait: float | None,
    lock_delay: float | None,
    kill_after: float,
    value: str | None,
) -> int:
    """Run CMD while holding the lock of PATH. The file and its parents are made if they are missing.

    CMD finds in its environment CHUBBY_FENCING_TOKEN (a number that grows with every hold period: let the resource
    refuse smaller ones), CHUBBY_SEQUENCER (the sequencer in hexadecimal; `chubby check-sequencer` takes it) and
    CHUBBY_LOCK (the lock's full name).

    While nobody knows whether the lock is still held, CMD and all of its process group stand still (SIGSTOP); when that
    ends well they go on (SIGCONT), and when the lock is lost they are ended: SIGTERM, and SIGKILL after --kill-after
    seconds. They are ended as well when this process is killed. Signals to this process are passed on to CMD.

    Exit code: that of CMD, 128 + n if signal n ended it; 75 if the lock could not be had in time; 69 if the lock was
    lost and CMD nevertheless ended with 0; 127 if there is no such command, 126 if it cannot be executed.
    """
    target = connection.target(name)
    delay = from_seconds(lock_delay) if lock_delay is not None else default_lock_delay(kill_after)
    if refusal := _refusal(command[0]):
        return refusal

    async def main(signals: Signals) -> int:
        async with open_session(connection, target.cell) as session:
            started = time.monotonic()
            await ensure_parents(session, target.path)
            mode = LockMode.SHARED if shared else LockMode.EXCLUSIVE
            lock = await _acquire(session, target, mode, delay, wait)
            if lock is None:
                complain(f"{target.name}: the lock could not be had within {wait:g} s")
                return exits.TRY_AGAIN
            note(f"{target.name}: held after {time.monotonic() - started:.1f} s, token {lock.token}")
            try:
                if value is not None:
                    await lock.set_contents(value.encode(errors="surrogateescape"))
                environment = environment_of(lock, target, os.environ)
                outcome = await _run(command, environment, lock, kill_after, signals)
            finally:
                with contextlib.suppress(ChubbyError):  # closing the session gives it back as well
                    await lock.release()
        return _verdict(target, outcome)

    return run(main)


def default_lock_delay(kill_after: float) -> Duration:
    """The lock-delay without --lock-delay: as long as the command may take to be ended, and a second for the rest."""
    return min(from_seconds(kill_after + 1), LOCK_DELAY_MAXIMUM)


def environment_of(lock: HeldLock, target: Target, environment: Mapping[str, str]) -> dict[str, str]:
    """What the command finds in its environment."""
    return {
        **environment,
        TOKEN_VARIABLE: str(lock.token),
        SEQUENCER_VARIABLE: lock.sequencer.hex(),
        LOCK_VARIABLE: paths.full_name(target.cell, target.path),
    }


def _refusal(command: str) -> int:
    """The exit code if it is plain beforehand that `command` cannot be started, else 0. Waits for no lock in vain."""
    if shutil.which(command) is not None:
        return 0
    if shutil.which(command, os.F_OK) is None and not (os.sep in command and os.path.exists(command)):
        complain(f"{command}: no such command")
        return NOT_FOUND
    complain(f"{command}: {'is a directory' if os.path.isdir(command) else 'is not executable'}")
    return NOT_EXECUTABLE


async def _acquire(
    session: CellSession, target: Target, mode: LockMode, delay: Duration, wait: float | None
) -> HeldLock | None:
    """The lock; None if it could not be had in time."""
    try:
        return await session.acquire(target.path, mode, delay, wait)
    except (LockConflict, DeadlineExceeded):
        if wait is None:
            raise
        return None


async def _run(
    command: tuple[str, ...], environment: Mapping[str, str], lock: HeldLock, kill_after: float, signals: Signals
) -> Outcome:
    early: list[signal.Signals] = []  # what comes before there is a command to pass it on to
    with signals.routed_to(early.append):
        try:
            running = await start_command(command, environment, kill_after)
        except OSError as error:
            complain(f"{command[0]}: {error.strerror}")
            return Outcome(NOT_EXECUTABLE)
        try:
            supervisor = Supervisor(running, lock, kill_after)
            with signals.routed_to(supervisor.signalled):
                for number in early:
                    supervisor.signalled(number)
                outcome = await supervisor.run()
        except BaseException:
            await running.abandon()
            raise
        running.close()
        return outcome


def _verdict(target: Target, outcome: Outcome) -> int:
    if not outcome.lost:
        return outcome.code
    complain(f"{target.name}: the lock was lost ({outcome.lost}); the command was ended")
    return outcome.code or exits.UNAVAILABLE
