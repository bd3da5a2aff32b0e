"""A cell of ours, with the default configuration."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc

import chubby
from bench.peers.system import Member, Role
from chubby.cli.cell_start import directories_of, format_if_new
from chubby.config.load import load_cell
from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.codec_status import decode_status
from tests.integration.cells import free_ports

CELL = "bench"
ANSWER_LIMIT = 1.0


class Ours:
    """See `System`. `extra` is TOML that is added to the configuration: keys of [storage], then other tables."""

    name = "Chubby"

    def __init__(self, extra: str = "") -> None:
        """Nothing is written yet."""
        self._extra = extra
        self._file = Path()

    def version(self) -> str:
        """See `System`."""
        return chubby.__version__

    def lay_out(self, directory: Path, members: int) -> list[Member]:
        """See `System`: one configuration for all, and formatted disks."""
        ports = free_ports(2 * members)
        self._file = directory / "cell.toml"
        lines = [f'[cell]\nname = "{CELL}"\nadmins = ["anyone"]\n\n[storage]\ndirectory = "{directory / "data"}"\n']
        lines.append(self._extra)
        for number in range(1, members + 1):
            peer, client = ports[2 * number - 2 : 2 * number]
            addresses = f'peer = "127.0.0.1:{peer}"\nclient = "127.0.0.1:{client}"'
            lines.append(f"[[cell.replicas]]\nid = {number}\n{addresses}\n")
        self._file.write_text("\n".join(lines))
        config = load_cell(self._file)
        directories = directories_of(config, None)
        format_if_new(config, directories)
        return [
            Member(number, f"127.0.0.1:{ports[2 * number - 1]}", directories[number], (ports[2 * number - 2],))
            for number in range(1, members + 1)
        ]

    def command(self, member: Member) -> list[str]:
        """See `System`."""
        arguments = ["--config", str(self._file), "--replica", str(member.number)]
        return [sys.executable, "-m", "chubby.daemon", *arguments]

    def role(self, member: Member) -> Role | None:
        """See `System`: the master leads once no replica is missing."""
        with grpc.insecure_channel(member.endpoint, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                status = decode_status(CellStub(channel).Status(pb.StatusRequest(), timeout=ANSWER_LIMIT))
            except grpc.RpcError:
                return None
        if not status.master:
            return None
        if status.master != member.number:
            return Role.FOLLOWER
        return Role.LEADER if status.lease_left > 0 and status.margin == (len(status.replicas) - 1) // 2 else None
