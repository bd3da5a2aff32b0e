"""Locks held by processes that die, sleep and follow each other (DESIGN §4 Locks, Token, Lock-delay; §6)."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

import chubby
from chubby import fencing
from chubby.errors import SequencerInvalid, SessionExpired
from tests.integration.cells import Cell, alive, wait_for
from tests.integration.programs import Program, Starter, cli

LOCK = "/ls/test/svc/leader"
LOCK_DELAY = 1.0


class Candidate:
    """`chubby lock` in a process of its own, with a command that leaves its token in a file and stays."""

    def __init__(self, start: Starter, cell: Cell, folder: Path, name: str) -> None:
        """Started, not waited for."""
        self.name = name
        self._note = folder / name
        script = f'echo "$$ $CHUBBY_FENCING_TOKEN" > {self._note}.new && mv {self._note}.new {self._note} && '
        options = ("--config", str(cell.file), "--timeout", "60", "--value", name, "--lock-delay", str(LOCK_DELAY))
        self.wrapper: Program = cli(start, "lock", LOCK, *options, "--", "sh", "-c", script + "exec sleep 1000")

    @property
    def runs(self) -> bool:
        """Whether the command was started."""
        return self._note.exists()

    @property
    def pid(self) -> int:
        """The command's process."""
        return int(self._note.read_text().split()[0])

    @property
    def token(self) -> int:
        """The token the command was given."""
        return int(self._note.read_text().split()[1])

    def wait(self) -> None:
        """Until the command runs."""
        wait_for(lambda: self.runs, f"{self.name} to run its command")

    def wait_gone(self) -> None:
        """Until the command has ended, as it does when its wrapper is killed."""
        wait_for(lambda: not alive(self.pid), f"the end of {self.name}'s command")


def waiters(session: chubby.Session) -> int:
    """How many wait for the lock."""
    return sum(len(lock.waiters) for lock in session.locks() if lock.path == "/svc/leader")


def wait_waiters(session: chubby.Session, number: int) -> None:
    """Until so many wait for the lock."""
    wait_for(lambda: waiters(session) == number, f"{number} waiting for the lock")


def queue_up(start: Starter, cell: Cell, folder: Path, session: chubby.Session) -> list[Candidate]:
    """Three candidates, in this order: the first runs its command, the others wait."""
    candidates = []
    for number in range(3):
        candidate = Candidate(start, cell, folder, f"host{number + 1}")
        candidates.append(candidate)
        if number == 0:
            candidate.wait()
        wait_waiters(session, number)
    return candidates


def test_leadership_passes_from_process_to_process(cell: Cell, start: Starter, tmp_path: Path) -> None:
    """One of three candidates runs; kill -9 of it lets the next in line run after lease and delay; kill -9 of the
    master changes nothing; the token grows (DESIGN §4 Locks: first come first served; Token; Lock-delay).
    """
    with cell.connect(caching=False) as session:
        first, second, third = queue_up(start, cell, tmp_path, session)
        leader = session.open(LOCK)
        assert leader.get_contents_and_stat()[0] == b"host1"
        assert first.runs and not second.runs and not third.runs

        cell.kill(cell.wait_master())
        wait_waiters(session, 2)
        assert leader.get_lock_info().token == first.token
        assert alive(first.pid), "the holder keeps its lock"
        assert not second.runs and not third.runs

        last = first.token
        for dying, following in ((first, second), (second, third)):
            killed = time.monotonic()
            dying.wrapper.signal(signal.SIGKILL)
            dying.wait_gone()
            following.wait()
            assert time.monotonic() - killed > LOCK_DELAY, "the lock stays closed for the lock-delay"
            assert following.token > last, "the token grows with every hold period"
            last = following.token
            assert leader.get_contents_and_stat()[0] == following.name.encode(), "written before the command began"
        assert second.token < third.token
        third.wrapper.signal(signal.SIGTERM)
        assert third.wrapper.wait() == 128 + signal.SIGTERM
        wait_for(lambda: leader.get_lock_info().mode is None, "the lock given back at once")


def test_exactly_one_of_three_runs_and_a_clean_end_passes_the_lock_on_at_once(
    cell: Cell, start: Starter, tmp_path: Path
) -> None:
    """A release has no lock-delay: SIGTERM of the wrapper hands the lock to the next one (DESIGN §4 Lock-delay)."""
    with cell.connect(caching=False) as session:
        first, second, third = queue_up(start, cell, tmp_path, session)
        first.wrapper.signal(signal.SIGTERM)
        second.wait()
        assert first.wrapper.wait() == 128 + signal.SIGTERM
        assert not third.runs and second.token > first.token
        wait_waiters(session, 1)
        third.wrapper.signal(signal.SIGTERM)
        third.wrapper.wait()
        wait_waiters(session, 0)
        assert alive(second.pid)


def test_a_holder_that_slept_through_its_lease_learns_so_at_once(cell: Cell, start: Starter) -> None:
    """SIGSTOP beyond the lease: another is granted the lock; after SIGCONT the very next call fails, and the resource
    refuses the old token (DESIGN §6 "No lock is lost in silence"; §4 Token).
    """
    path = "/ls/test/slept"
    guard = fencing.Guard(path)
    sleeper = start("hold", ",".join(cell.addresses), path)
    held = sleeper.answer()
    old = bytes.fromhex(str(held["sequencer"]))
    assert sleeper.ask("awake") == {"outcome": "written"}
    with guard.admit(old):
        pass
    sleeper.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    with cell.connect() as session, session.open(path) as handle:
        granted = handle.acquire(timeout=60)
        assert time.monotonic() - stopped > LOCK_DELAY
        assert granted.token > int(held["token"])
        new = handle.get_sequencer()
        handle.set_contents(b"the new holder's")
        sleeper.tell("too late")
        sleeper.signal(signal.SIGCONT)
        assert sleeper.answer()["outcome"] == SessionExpired.__name__
        assert handle.get_contents_and_stat()[0] == b"the new holder's"
        with guard.admit(new):
            pass
        for check in (guard.check, session.check_sequencer, handle.check_sequencer):
            with pytest.raises(SequencerInvalid):
                check(old)
        assert session.check_sequencer(new).token == granted.token
