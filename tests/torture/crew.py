"""The clients of a run: who they are, on which machine, and what they have done so far.

| machine | files | locks | appends | sets | mount | programs on the mount |
|---------|-------|-------|---------|------|-------|-----------------------|
| c1      | 1     | 1     | 1       | 1    | 1     | lines, count          |
| c2      | 1     | 1     | 1       | 1    | 1     | lines, count          |
| c3      | 1     | 1     |         | 1    |       |                       |

Whoever is killed is followed by another process with a file of its own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration.cells import PATIENCE, ROOT, alive, bound, wait_for
from tests.torture.cell import MachineMount
from tests.torture.machines import Machine
from tests.torture.recording import Tally

PLACES: Mapping[str, Sequence[int]] = {
    "files": (101, 102, 103),
    "locks": (101, 102, 103),
    "appends": (101, 102),
    "sets": (101, 102, 103),
}
"""On which machines clients run."""
MOUNTS = (101, 102)
"""On which machines the cell is mounted."""
ON_MOUNTS = ("lines", "count")


class Client:
    """A client process and those that follow it."""

    def __init__(self, program: str, name: str, command: Sequence[str], folder: Path) -> None:
        """Not started. `command` has `{name}` and `{history}` where those belong."""
        self.program = program
        self.name = name
        self.tallies: list[Tally] = []
        self.busy = threading.Lock()
        """Held by who does something to it."""
        self._command = command
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Another process."""
        name = f"{self.name}-{len(self.tallies)}"
        history = self._folder / f"{name}.jsonl"
        self.tallies.append(Tally(history))
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                bound(*(each.format(name=name, history=history) for each in self._command)),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)

    def died(self) -> int | None:
        """The exit code of one that ended by itself, which none does."""
        return None if self._process is None or self.busy.locked() else self._process.poll()

    def stop(self) -> None:
        """Have it end when it has done what it is doing; by force if that takes too long."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)

    def asleep(self) -> bool:
        """Whether it is stopped."""
        if self._process is None or not alive(self._process.pid):
            return False
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    @property
    def latest(self) -> int:
        """When its last call was begun that was answered well."""
        return max((tally.latest for tally in self.tallies), default=0)


class Crew:
    """All clients and mounts."""

    def __init__(
        self, machines: Mapping[int, Machine], addresses: Sequence[str], configuration: Path, folder: Path, seed: int
    ) -> None:
        """Nobody started."""
        self.place = folder / "store.socket"
        self.history = folder / "history"
        self.history.mkdir()
        self._addresses = ",".join(addresses)
        self._log = folder / "store.log"
        self._store: subprocess.Popen[bytes] | None = None
        self.mounts = [
            MachineMount(machines[number], folder / f"mount-{machines[number].name}", "--config", str(configuration))
            for number in MOUNTS
        ]
        self.clients = [
            self._client(machines[number], program, seed) for program, places in PLACES.items() for number in places
        ]
        self.workers = [self._worker(mount, program, seed) for mount in self.mounts for program in ON_MOUNTS]

    def _client(self, machine: Machine, program: str, seed: int) -> Client:
        name = f"{program}-{machine.name}"
        arguments = (program, "{name}", "{history}", str(seed), str(self.place), self._addresses)
        command = machine.inside(sys.executable, "-m", "tests.torture.work", *arguments)
        return Client(program, name, command, self.history)

    def _worker(self, mount: MachineMount, program: str, seed: int) -> Client:
        name = f"{program}-{mount.machine.name}"
        arguments = (program, "{name}", "{history}", str(seed), str(mount.directory))
        return Client(program, name, (sys.executable, "-m", "tests.torture.work_mounts", *arguments), self.history)

    @property
    def everybody(self) -> list[Client]:
        """Clients, and programs on mounts."""
        return self.clients + self.workers

    def start(self) -> None:
        """Start the store, the mounts and everybody."""
        with self._log.open("ab") as log:
            command = (sys.executable, "-m", "tests.torture.store", str(self.place), self._addresses)
            self._store = subprocess.Popen(bound(*command), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for mount in self.mounts:
            mount.start()
        wait_for(self.place.exists, "the store")
        for client in self.everybody:
            client.start()

    def stop(self) -> None:
        """Have everybody end in good order, the mounts last."""
        for client in self.everybody:
            client.signal(signal.SIGCONT)
            client.signal(signal.SIGTERM)
        for client in self.everybody:
            client.stop()

    def look(self) -> dict[str, tuple[int, int]]:
        """By program: how many calls were answered so far, and how many failed."""
        found: dict[str, tuple[int, int]] = {}
        for client in self.everybody:
            for tally in client.tallies:
                tally.look()
                answered, failed = found.get(client.program, (0, 0))
                found[client.program] = answered + tally.answered, failed + tally.failed
        return found

    def errors(self) -> dict[str, int]:
        """The names of all errors that anybody was told, and how often."""
        found: dict[str, int] = {}
        for client in self.everybody:
            for tally in client.tallies:
                for name, times in tally.errors.items():
                    found[name] = found.get(name, 0) + times
        return dict(sorted(found.items()))

    def idle(self, since: int) -> list[str]:
        """Who has done nothing well that was begun after that instant."""
        self.look()
        return [client.name for client in self.everybody if client.latest <= since]
