"""etcd as Debian ships it: defaults, fsync on, no TLS."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import msgspec

from bench.peers.system import Member, Role, Unavailable
from tests.integration.cells import free_ports

PACKAGES = ("etcd-server",)
ANSWER_LIMIT = 1.0


class _Header(msgspec.Struct):
    member_id: str


class _Status(msgspec.Struct):
    """What we read of `/v3/maintenance/status`; 64-bit numbers are strings there, and 0 is left out."""

    header: _Header
    leader: str = "0"


class Etcd:
    """See `System`."""

    name = "etcd"

    def __init__(self) -> None:
        """Nothing is looked for yet."""
        self._cluster = ""

    def version(self) -> str:
        """See `System`."""
        binary = _binary()
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
        return said.split("\n", 1)[0].rpartition(" ")[2]

    def lay_out(self, directory: Path, members: int) -> list[Member]:
        """See `System`: etcd makes its own data directories."""
        ports = free_ports(2 * members)
        laid = [
            Member(number, f"127.0.0.1:{ports[2 * number - 2]}", directory / f"n{number}", (ports[2 * number - 1],))
            for number in range(1, members + 1)
        ]
        for member in laid:
            member.directory.mkdir(mode=0o700)
        self._cluster = ",".join(f"n{each.number}={_peer(each)}" for each in laid)
        return laid

    def command(self, member: Member) -> list[str]:
        """See `System`."""
        options = {
            "name": f"n{member.number}",
            "data-dir": str(member.directory),
            "listen-client-urls": f"http://{member.endpoint}",
            "advertise-client-urls": f"http://{member.endpoint}",
            "listen-peer-urls": _peer(member),
            "initial-advertise-peer-urls": _peer(member),
            "initial-cluster": self._cluster,
            "initial-cluster-state": "new",
            "initial-cluster-token": "bench",
            "logger": "zap",
            "log-level": "warn",
        }
        return [_binary(), *(f"--{key}={value}" for key, value in options.items())]

    def role(self, member: Member) -> Role | None:
        """See `System`."""
        request = Request(f"http://{member.endpoint}/v3/maintenance/status", data=b"{}")
        try:
            with urlopen(request, timeout=ANSWER_LIMIT) as answer:
                status = msgspec.json.decode(answer.read(), type=_Status)
        except (URLError, OSError, msgspec.DecodeError):
            return None
        if status.leader == "0":
            return None
        return Role.LEADER if status.leader == status.header.member_id else Role.FOLLOWER


def _peer(member: Member) -> str:
    return f"http://127.0.0.1:{member.peer[0]}"


def _binary() -> str:
    found = shutil.which("etcd")
    if found is None:
        raise Unavailable(f"etcd is not installed: as root, apt-get install {' '.join(PACKAGES)}")
    return found
