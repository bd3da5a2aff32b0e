"""Members as processes: started, waited for, signalled, ended, wiped."""

from __future__ import annotations

import shutil
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from bench.peers.resources import processor_seconds, resident_bytes
from bench.peers.system import Role, System
from tests.integration.cells import bound

T = TypeVar("T")

MEMBERS = 5
PATIENCE = 120.0
"""Seconds that a cluster may take to be whole."""
STOP_PATIENCE = 20.0
"""Seconds that a member has to end when asked to; then it is made to."""
_never = threading.Event()


class ClusterError(Exception):
    """A cluster does not do what it should; the message has the ends of its members' logs."""


class Cluster:
    """A system's members on this machine. Enter it: started and whole; leave it: ended and wiped."""

    def __init__(self, system: System, directory: Path, members: int = MEMBERS) -> None:
        """Lay out the files; nothing is started. `directory` must not be there."""
        self.system = system
        self.directory = directory
        directory.mkdir(parents=True)
        self.members = {member.number: member for member in system.lay_out(directory, members)}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Cluster:
        """Start, and wait until all members take part."""
        try:
            self.start()
            self.wait_whole()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and wipe."""
        self._end()

    def _end(self) -> None:
        """Without ceremony: nobody needs the data any more."""
        try:
            self.kill()
        finally:
            self.wipe()

    # ----------------------------------------------------------------------------------------------------- processes

    def start(self, *numbers: int) -> None:
        """Start these, or all that do not run. They end with this process, however it ends."""
        for number in numbers or tuple(self.members):
            if number in self._processes:
                continue
            with self._log(number).open("ab") as log:
                self._processes[number] = subprocess.Popen(
                    bound(*self.system.command(self.members[number])),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def signal(self, number: int, sent: signal.Signals) -> None:
        """Send a signal to a member."""
        self._processes[number].send_signal(sent)

    def revive(self, number: int) -> None:
        """Make a member that was killed, stopped or ended run again, and wait until the cluster is whole."""
        process = self._processes[number]
        process.kill()
        process.wait()
        del self._processes[number]
        self.start(number)
        self.wait_whole()

    def kill(self) -> None:
        """kill -9 of all members."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
        self._processes.clear()

    def stop(self) -> None:
        """End all members in good order: asked to, then made to."""
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        deadline = time.monotonic() + STOP_PATIENCE
        for process in self._processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def wipe(self) -> None:
        """Remove all data. Only when stopped."""
        assert not self._processes, "members still write"
        shutil.rmtree(self.directory)

    # -------------------------------------------------------------------------------------------------- what is seen

    def wait_whole(self) -> None:
        """Until one member leads and all others follow it. Raises ClusterError."""

        def whole() -> bool:
            self._check_alive()
            roles = [self.system.role(member) for member in self.members.values()]
            return roles.count(Role.LEADER) == 1 and roles.count(Role.FOLLOWER) == len(roles) - 1

        self._wait(whole, "be whole")

    def leader(self) -> int:
        """The number of the member that leads; waits for one. Raises ClusterError."""

        def found() -> int | None:
            leading = (each.number for each in self.members.values() if self.system.role(each) is Role.LEADER)
            return next(leading, None)

        return self._wait(found, "have a leader")

    def endpoints(self) -> list[str]:
        """Where clients may ask: followers first, so that a single connection to the first is at none of the leader's,
        as four of five clients are.
        """
        leader = self.leader()
        ordered = sorted(self.members.values(), key=lambda member: member.number == leader)
        return [member.endpoint for member in ordered]

    def pids(self) -> dict[int, int]:
        """The process of each member that was started."""
        return {number: process.pid for number, process in self._processes.items()}

    def processor_seconds(self) -> float:
        """Of all members, so far."""
        return processor_seconds(self.pids().values())

    def resident_bytes(self, number: int) -> int:
        """Memory of a member."""
        return resident_bytes([self._processes[number].pid])

    def median_resident(self) -> int:
        """Memory of a typical member."""
        return int(statistics.median(self.resident_bytes(number) for number in self._processes))

    def _wait(self, condition: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + PATIENCE
        while True:
            if found := condition():
                return found
            if time.monotonic() > deadline:
                raise ClusterError(f"{self.system.name} did not {what} within {PATIENCE:.0f} s\n{self._logs()}")
            _never.wait(0.05)

    def _check_alive(self) -> None:
        for number, process in self._processes.items():
            if process.poll() is not None:
                raise ClusterError(f"member {number} of {self.system.name} ended: {process.returncode}\n{self._logs()}")

    def _log(self, number: int) -> Path:
        return self.directory / f"member-{number}.log"

    def _logs(self) -> str:
        parts = []
        for number in self.members:
            if self._log(number).exists():
                parts.append(f"--- member {number}\n{self._log(number).read_text(errors='replace')[-1500:]}")
        return "\n".join(parts)
