"""Where a snapshot comes from: the master, verified, and never waited for in vain."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from chubby.cli.backup_source import Source
from chubby.cli.stopping import Stop
from chubby.errors import CorruptData, DeadlineExceeded, NoQuorum
from chubby.types.status import CellStatus
from chubby.wire import chubby_pb2 as pb
from chubby.wire.codec_status import encode_status
from tests.cli.statuses import status


class Replica:
    """A replica that answers Status, and Export with what the test says."""

    def __init__(self, says: CellStatus, *chunks: bytes, silent: bool = False) -> None:
        """`silent`: it sends its chunks and then nothing, not even an end."""
        self._chunks = chunks
        self._silent = silent
        self.over = threading.Event()
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Status": grpc.unary_unary_rpc_method_handler(
                lambda _request, _context: encode_status(says),
                pb.StatusRequest.FromString,
                pb.CellStatus.SerializeToString,
            ),
            "Export": grpc.unary_stream_rpc_method_handler(
                self._export, pb.ExportRequest.FromString, pb.Chunk.SerializeToString
            ),
        }
        self.server = grpc.server(ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def _export(self, _request: pb.ExportRequest, _context: grpc.ServicerContext) -> Iterator[pb.Chunk]:
        for chunk in self._chunks:
            yield pb.Chunk(data=chunk)
        if self._silent:
            self.over.wait(60)


SERVICE = pb.DESCRIPTOR.services_by_name["Cell"].full_name


@pytest.fixture
def stop() -> Iterator[list[Replica]]:
    """Replicas that end with the test."""
    replicas: list[Replica] = []
    yield replicas
    for each in replicas:
        each.over.set()
        each.server.stop(None).wait(60)


def test_a_replica_that_falls_silent_is_given_up(stop: list[Replica]) -> None:
    """A scheduled backup must not hang for ever on a machine that stands still."""
    stop.append(Replica(status(1, members=0), b"CHUBSNAP"[:4], silent=True))
    with (
        Source([stop[0].address], 0.5, Stop()) as source,
        pytest.raises(DeadlineExceeded, match="has sent nothing for"),
    ):
        list(source.snapshot(lambda size: None))


@pytest.mark.parametrize("chunks", [(b"this is no snapshot, and long enough to be seen as none" * 10,), ()])
def test_what_is_no_whole_snapshot_is_refused_at_once(stop: list[Replica], chunks: tuple[bytes, ...]) -> None:
    """Before it takes the place of an older backup."""
    stop.append(Replica(status(1, members=0), *chunks))
    with (
        Source([stop[0].address], 5, Stop()) as source,
        pytest.raises(CorruptData, match=r"offset 0|ends after 0 bytes"),
    ):
        list(source.snapshot(lambda size: None))


def test_the_master_is_asked_if_there_is_one(stop: list[Replica]) -> None:
    """Else whoever is furthest."""
    stop += [Replica(status(number, members=0, chosen=100 + number)) for number in (1, 2)]
    with Source([each.address for each in stop], 5, Stop()) as found:
        assert found.is_master and found.address == stop[0].address
    stop += [Replica(status(number, members=0, master=0, chosen=100 + number)) for number in (4, 3)]
    with Source([each.address for each in stop[2:]], 5, Stop()) as found:
        assert not found.is_master and found.status.replica == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_export_that_is_stopped_leaves_nothing(stop: list[Replica], tmp_path: Path, number: signal.Signals) -> None:
    """128 + n, and neither a file nor its beginnings."""
    stop.append(Replica(status(1, members=0), b"CHUB", silent=True))
    command = [sys.executable, "-m", "chubby.cli", "backup", "export", str(tmp_path / "b"), "--address"]
    process = subprocess.Popen([*command, stop[0].address], stderr=subprocess.PIPE, text=True)
    try:
        pause, deadline = threading.Event(), time.monotonic() + 60
        while not (tmp_path / "b.part").exists():
            assert time.monotonic() < deadline and process.poll() is None
            pause.wait(0.02)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, said, list(tmp_path.iterdir())) == (128 + number, "", [])


def test_nobody_answers() -> None:
    """Each address with its reason."""
    silence = pytest.raises(NoQuorum, match=r"no replica of the cell answers \(127.0.0.1:1: no connection\)")
    with silence, Source(["127.0.0.1:1"], 2, Stop()):
        pass
