"""The cell under torture: each replica on a machine and a small disk of its own; and the mounts and clients' machines.

A disk is a tmpfs, in a world of mounts that nobody else sees (`seclusion`): small enough to be filled in a moment, gone
with the run. Its fdatasync costs nothing and proves nothing; kill -9 leaves the kernel's pages alone anyway. What disks
forget is the simulator's affair.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from chubby.types.identity import ReplicaId
from chubby.types.status import CellStatus
from tests.integration.cells import Cell, bound
from tests.integration.mounts import COMMAND, Mount
from tests.torture.machines import Machine, address_of
from tests.torture.seclusion import mount

REPLICAS = 5
DISK = "160m"
"""Of one replica."""
SESSION_LEASE = 4.0
"""Seconds; sleepers among the clients sleep for longer, or less long, than this."""
CONFIGURATION = """
snapshot_log_bytes = "8MiB"

[network]
bind_beyond_loopback = true

[timing]
session_lease = "4s"
session_lease_maximum = "4s"
cache_lease = "2s"
cache_lease_maximum = "2s"
grace_period = "20s"
digest_interval = "10s"
"""
PEERS, CLIENTS = 7101, 7201
"""Ports."""
BALLAST = "ballast"
SERVES = "serves clients at"
"""What a replica logs when it is there."""


class TornCell(Cell):
    """Five replicas on five machines."""

    def __init__(self, directory: Path, machines: Mapping[ReplicaId, Machine]) -> None:
        """Nothing started, disks empty but for what formatting writes."""
        self.machines = machines
        self._said: dict[ReplicaId, int] = {}
        for replica in machines:
            disk = directory / "data" / f"replica-{replica}"
            disk.mkdir(parents=True)
            mount("tmpfs", str(disk), "tmpfs", options=f"size={DISK},mode=0700")
        super().__init__(directory, REPLICAS, extra=CONFIGURATION)

    def places(self, replicas: int) -> dict[ReplicaId, tuple[str, str]]:
        """Everyone has an address of its own."""
        return {
            number: (f"{address_of(number)}:{PEERS}", f"{address_of(number)}:{CLIENTS}")
            for number in range(1, replicas + 1)
        }

    def command(self, replica: ReplicaId) -> list[str]:
        """On the replica's own machine."""
        daemon = (sys.executable, "-m", "chubby.daemon", "--config", str(self.file), "--replica", str(replica))
        return bound(*self.machines[replica].inside(*daemon))

    def start(self, *replicas: ReplicaId) -> None:
        """Start these, or all that do not run."""
        for replica in replicas or tuple(self.members):
            if replica not in self.processes:
                self._said[replica] = len(self.log(replica)) if self.log_file(replica).exists() else 0
        super().start(*replicas)

    def ready(self, replica: ReplicaId) -> bool:
        """Whether it has said that it serves since it was started last: before that, signals find a bare Python."""
        return SERVES in self.log(replica)[self._said[replica] :]

    def peek(self) -> dict[ReplicaId, CellStatus]:
        """What each replica that answers says."""
        found = {replica: self.status(replica) for replica in self.members}
        return {replica: status for replica, status in found.items() if status is not None}

    # --------------------------------------------------------------------------------------------------------- disks

    def fill(self, replica: ReplicaId) -> None:
        """Leave no room on its disk."""
        with contextlib.suppress(OSError), (self.data[replica] / BALLAST).open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(1 << 20))
        with contextlib.suppress(OSError), (self.data[replica] / BALLAST).open("ab", buffering=0) as ballast:
            while True:
                ballast.write(bytes(1 << 12))

    def make_room(self, replica: ReplicaId) -> None:
        """Take the ballast off its disk."""
        (self.data[replica] / BALLAST).unlink(missing_ok=True)

    def wipe(self, replica: ReplicaId) -> None:
        """Leave nothing on its disk."""
        for entry in self.data[replica].iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def segments(self, replica: ReplicaId) -> list[Path]:
        """The segments of its log that are in use, oldest first."""
        files = sorted((self.data[replica] / "current/wal").glob("*.wal"))
        return [file for file in files if file.read_bytes()[:512].strip(b"\0")]


class MachineMount(Mount):
    """A mount by a process of one of the machines."""

    def __init__(self, machine: Machine, directory: Path, *options: str) -> None:
        super().__init__(directory, *options)
        self.machine = machine

    def command(self) -> list[str]:
        """On that machine."""
        mounting = (*COMMAND, "mount", *self.options, "--foreground", str(self.directory))
        return bound(*self.machine.inside(*mounting))


def unplug(machine: Machine, down: bool) -> None:
    """Take the card of a machine down, or up: those on it are told, as they are not when frames are lost."""
    subprocess.run(machine.inside("ip", "link", "set", "eth0", "down" if down else "up"), check=True)
