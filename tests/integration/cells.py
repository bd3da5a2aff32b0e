"""A cell of real processes for one test: free ports, a temporary directory, nothing left behind."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import grpc

import chubby
from chubby.cli import launch
from chubby.cli.cell_start import directories_of, format_if_new
from chubby.config.cell import CellConfig
from chubby.config.load import load_cell
from chubby.paxos.configuration import Identity
from chubby.paxos.ready import Role
from chubby.storage.directory import CURRENT
from chubby.storage.files import OsFiles
from chubby.storage.life import read_identity
from chubby.storage.places import Within
from chubby.types.identity import ReplicaId
from chubby.types.status import CellStatus
from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.codec_status import decode_status

T = TypeVar("T")
PATIENCE = 90.0
"""Seconds that a condition may take to come true on a loaded machine."""
SESSION_LEASE = 4.0
"""Seconds, of a cell with `SHORT_LEASES`."""
SHORT_LEASES = """
[timing]
session_lease = "4s"
session_lease_maximum = "4s"
cache_lease = "2s"
cache_lease_maximum = "2s"
grace_period = "40s"
"""
"""TOML for tests that wait for a session to die."""
ROOT = Path(__file__).resolve().parents[2]
"""Where the checkout is: child processes run there."""

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_PORTS = range(18_000 + _WORKER, 32_000, _WORKERS)
"""Below what kernels give to outgoing connections, and others than those of tests that run beside these (pytest-xdist):
a port that is free stays free until we listen on it.
"""
_never = threading.Event()


def wait_for(condition: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """The first true result of `condition`; fails the test if there is none in time."""
    deadline = time.monotonic() + patience
    pause = 0.01
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience} s for {what}")
        _never.wait(pause)
        pause = min(pause * 1.5, 0.2)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            candidate = socket.socket()
            try:
                candidate.bind(("127.0.0.1", random.choice(_PORTS)))
            except OSError:
                candidate.close()
            else:
                sockets.append(candidate)
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def bound_to_us(*arguments: str) -> list[str]:
    """The command line of a Python child that gets SIGTERM when this process dies, however it dies."""
    return bound(sys.executable, *arguments)


def bound(*command: str) -> list[str]:
    """The same for any command."""
    return [*launch.PYTHON, str(Path(launch.__file__)), str(os.getpid()), *command]


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is more than the remains of one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Cell:
    """Replicas as processes. `file` is its configuration, with ports of its own."""

    def __init__(
        self,
        directory: Path,
        replicas: int = 5,
        extra: str = "",
        formatted: bool = True,
        admins: Sequence[str] = (),
    ) -> None:
        """Nothing started. `extra` is TOML added to the configuration: keys of [storage], then other tables."""
        self.directory = directory
        self.extra = extra
        self.admins = admins
        self.members = self.places(replicas)
        directory.mkdir(exist_ok=True)
        self.file = directory / "cell.toml"
        self.write_configuration()
        self.data = directories_of(self.config, None)
        if formatted:
            format_if_new(self.config, self.data)
        self.processes: dict[ReplicaId, subprocess.Popen[bytes]] = {}
        self._channels: dict[str, grpc.Channel] = {}

    def places(self, replicas: int) -> dict[ReplicaId, tuple[str, str]]:
        """Where so many replicas listen: each for the others, and for clients."""
        ports = free_ports(2 * replicas)
        return {
            index + 1: (f"127.0.0.1:{ports[2 * index]}", f"127.0.0.1:{ports[2 * index + 1]}")
            for index in range(replicas)
        }

    def command(self, replica: ReplicaId) -> list[str]:
        """What starts a replica."""
        return bound_to_us("-m", "chubby.daemon", "--config", str(self.file), "--replica", str(replica))

    def write_configuration(self) -> None:
        """Write the file anew, after a change of `members` (each has an address for replicas and one for clients)."""
        lines = [
            f'[cell]\nname = "test"\nadmins = {list(self.admins)}\n',
            f'[storage]\ndirectory = "{self.directory / "data"}"\n',
            self.extra,
        ]
        for number, (peer, client) in self.members.items():
            lines.append(f'[[cell.replicas]]\nid = {number}\npeer = "{peer}"\nclient = "{client}"\n')
        self.file.write_text("\n".join(lines))
        self.config: CellConfig = load_cell(self.file)

    @property
    def addresses(self) -> list[str]:
        """Where clients may ask."""
        return list(self.config.client_addresses)

    def connect(
        self, *, timeout: float | None = PATIENCE, call_timeout: float | None = PATIENCE, caching: bool = True
    ) -> chubby.Session:
        """A session with this cell."""
        return chubby.connect(
            "/ls/test", addresses=self.addresses, timeout=timeout, call_timeout=call_timeout, caching=caching
        )

    # ----------------------------------------------------------------------------------------------------- processes

    def start(self, *replicas: ReplicaId) -> None:
        """Start these, or all that do not run."""
        for replica in replicas or tuple(self.members):
            if replica in self.processes:
                continue
            with self.log_file(replica).open("ab") as log:
                self.processes[replica] = subprocess.Popen(
                    self.command(replica),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def kill(self, *replicas: ReplicaId, number: int = signal.SIGKILL) -> None:
        """Send a signal to these at once, and wait for their end."""
        ending = [self.processes.pop(replica) for replica in replicas]
        for process in ending:
            process.send_signal(number)
        for process in ending:
            process.wait(PATIENCE)

    def signal(self, replica: ReplicaId, number: int) -> None:
        """Send a signal, as SIGSTOP."""
        self.processes[replica].send_signal(number)

    def stop(self) -> None:
        """End all processes. Fails if one needs force."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        stubborn = []
        for replica, process in self.processes.items():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                stubborn.append(replica)
        self.processes.clear()
        assert not stubborn, f"replicas {stubborn} did not stop when asked to"

    # -------------------------------------------------------------------------------------------------- what is seen

    def status(self, replica: ReplicaId) -> CellStatus | None:
        """What a replica says, None if it does not answer."""
        address = self.members[replica][1]
        if address not in self._channels:
            options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 300)]
            self._channels[address] = grpc.insecure_channel(address, options=options)
        try:
            return decode_status(CellStub(self._channels[address]).Status(pb.StatusRequest(), timeout=2))
        except grpc.RpcError:
            return None

    def master_status(self) -> CellStatus | None:
        """The status of the one that says of itself that it is master under a live lease."""
        for replica in list(self.processes):
            status = self.status(replica)
            if status is not None and status.master == replica and status.lease_left > 0:
                return status
        return None

    def wait_master(self, unlike: ReplicaId | None = None) -> ReplicaId:
        """The master, once there is one (other than `unlike`)."""

        def master() -> ReplicaId | None:
            status = self.master_status()
            return status.master if status is not None and status.master != unlike else None

        return wait_for(master, "a master")

    def wait_whole(self, patience: float = PATIENCE) -> ReplicaId:
        """Until all replicas vote and none is behind, in the master's words and their own; returns the master."""

        def whole() -> ReplicaId | None:
            status = self.master_status()
            if status is None or status.margin != (len(self.members) - 1) // 2:
                return None
            roles = {each.replica: each.role for each in status.replicas}
            if roles.keys() != self.members.keys() or Role.LEARNER.value in roles.values():
                return None
            own = [self.status(replica) for replica in self.members]
            return status.master if all(each is not None and each.applied >= status.applied for each in own) else None

        return wait_for(whole, "a cell without a gap", patience)

    def heal(self) -> ReplicaId:
        """Start what does not run, and wait until the cell is whole; returns the master."""
        self.processes = {replica: each for replica, each in self.processes.items() if each.poll() is None}
        self.start()
        return self.wait_whole()

    def followers(self) -> list[ReplicaId]:
        """Everyone but the master, of a cell that has one."""
        master = self.wait_master()
        return [replica for replica in self.members if replica != master]

    def identity(self, replica: ReplicaId) -> Identity:
        """Who the data directory says it belongs to: cell, replica, incarnation."""
        return read_identity(Within(OsFiles(str(self.data[replica])), CURRENT))

    def log_file(self, replica: ReplicaId) -> Path:
        """Where the output of a replica goes."""
        return self.directory / f"replica-{replica}.log"

    def log(self, replica: ReplicaId) -> str:
        """What a replica has logged."""
        return self.log_file(replica).read_text(errors="replace")

    def show_logs(self) -> None:
        """Print the end of each log: what one wants to see when a test has failed."""
        for replica in self.members:
            if self.log_file(replica).exists():
                print(f"--- replica {replica}\n{self.log(replica)[-4000:]}")


@contextmanager
def running_cell(directory: Path, replicas: int = 5, extra: str = SHORT_LEASES) -> Iterator[Cell]:
    """A started cell with a master; on failure its logs are printed."""
    cell = Cell(directory, replicas, extra)
    try:
        cell.start()
        cell.wait_master()
        yield cell
    except BaseException:
        cell.show_logs()
        raise
    finally:
        cell.stop()
