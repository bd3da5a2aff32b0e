"""A cell of real processes for one test: free ports, a temporary directory, nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import grpc

from chubby.cli.cell_start import directories_of, format_if_new
from chubby.config.cell import CellConfig
from chubby.config.load import load_cell
from chubby.types.identity import ReplicaId
from chubby.types.status import CellStatus
from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.codec_status import decode_status

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds that a condition may take to come true on a loaded machine."""


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
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Cell:
    """Replicas as processes. `config` is a file of its own with free ports."""

    def __init__(self, directory: Path, replicas: int = 5, extra: str = "") -> None:
        """Formatted, nothing started. `extra` is TOML added to the configuration."""
        self.directory = directory
        ports = free_ports(2 * replicas)
        lines = ['[cell]\nname = "test"\n', f'[storage]\ndirectory = "{directory / "data"}"\n', extra]
        for index in range(replicas):
            peer, client = ports[2 * index], ports[2 * index + 1]
            lines.append(
                f'[[cell.replicas]]\nid = {index + 1}\npeer = "127.0.0.1:{peer}"\nclient = "127.0.0.1:{client}"\n'
            )
        self.file = directory / "cell.toml"
        self.file.write_text("\n".join(lines))
        self.config: CellConfig = load_cell(self.file)
        self.data = directories_of(self.config, None)
        format_if_new(self.config, self.data)
        self.processes: dict[ReplicaId, subprocess.Popen[bytes]] = {}
        self._channels: dict[ReplicaId, grpc.Channel] = {}

    @property
    def addresses(self) -> list[str]:
        """Where clients may ask."""
        return list(self.config.client_addresses)

    def start(self, *replicas: ReplicaId) -> None:
        """Start these, or all that do not run."""
        for replica in replicas or tuple(each.id for each in self.config.replicas):
            if replica in self.processes:
                continue
            log = (self.directory / f"replica-{replica}.log").open("ab")
            with log:
                self.processes[replica] = subprocess.Popen(
                    [sys.executable, "-m", "chubby.daemon", "--config", str(self.file), "--replica", str(replica)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def kill(self, replica: ReplicaId, number: int = signal.SIGKILL) -> None:
        """Send a signal and wait for the end."""
        process = self.processes.pop(replica)
        process.send_signal(number)
        process.wait(PATIENCE)

    def signal(self, replica: ReplicaId, number: int) -> None:
        """Send a signal, as SIGSTOP."""
        os.kill(self.processes[replica].pid, number)

    def stop(self) -> None:
        """End all processes."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def status(self, replica: ReplicaId) -> CellStatus | None:
        """What a replica says, None if it does not answer."""
        if replica not in self._channels:
            address = self.config.replica(replica)
            assert address is not None
            options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 300)]
            self._channels[replica] = grpc.insecure_channel(address.client, options=options)
        try:
            return decode_status(CellStub(self._channels[replica]).Status(pb.StatusRequest(), timeout=2))
        except grpc.RpcError:
            return None

    def master(self) -> ReplicaId | None:
        """Who says of itself that it is master under a live lease."""
        for replica in list(self.processes):
            status = self.status(replica)
            if status is not None and status.master == replica and status.lease_left > 0:
                return replica
        return None

    def wait_master(self, unlike: ReplicaId | None = None) -> ReplicaId:
        """The master, once there is one (other than `unlike`)."""
        return wait_for(lambda: (m := self.master()) and (m if m != unlike else None), "a master")

    def log(self, replica: ReplicaId) -> str:
        """What a replica has logged."""
        return (self.directory / f"replica-{replica}.log").read_text(errors="replace")


@contextmanager
def running_cell(directory: Path, replicas: int = 5, extra: str = "") -> Iterator[Cell]:
    """A started cell with a master; on failure its logs are printed."""
    cell = Cell(directory, replicas, extra)
    try:
        cell.start()
        cell.wait_master()
        yield cell
    except BaseException:
        for replica in cell.config.replicas:
            path = directory / f"replica-{replica.id}.log"
            print(f"--- {path.name}\n{path.read_text(errors='replace')[-4000:] if path.exists() else ''}")
        raise
    finally:
        cell.stop()
