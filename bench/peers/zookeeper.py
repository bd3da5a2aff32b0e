"""ZooKeeper as Debian ships it: defaults (tickTime 2000, a heap of 1000 MB), fsync on, no TLS."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from bench.peers.system import Member, Role, Unavailable
from tests.integration.cells import free_ports

PACKAGES = ("zookeeper", "default-jre-headless")
JAR = Path("/usr/share/java/zookeeper.jar")
"""Debian's; its manifest names the libraries it needs."""
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
HEAP = "-Xmx1000m"
"""What zkServer.sh gives it."""
ANSWER_LIMIT = 1.0
QUIET = """log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c: %m%n
"""
ROLES = {"leader": Role.LEADER, "follower": Role.FOLLOWER}


class ZooKeeper:
    """See `System`. `tick` is tickTime in milliseconds: what all its timeouts are multiples of."""

    name = "ZooKeeper"

    def __init__(self, tick: int = 2000) -> None:
        """Nothing is looked for yet."""
        self._tick = tick

    def version(self) -> str:
        """See `System`."""
        _java()
        asked = ["dpkg-query", "--show", "--showformat", "${Version}", "zookeeper"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.partition("-")[0]

    def lay_out(self, directory: Path, members: int) -> list[Member]:
        """See `System`."""
        ports = free_ports(3 * members)
        laid = [
            Member(
                number,
                f"127.0.0.1:{ports[3 * number - 3]}",
                directory / f"n{number}",
                (ports[3 * number - 2], ports[3 * number - 1]),
            )
            for number in range(1, members + 1)
        ]
        servers = "".join(f"server.{each.number}=127.0.0.1:{each.peer[0]}:{each.peer[1]}\n" for each in laid)
        for member in laid:
            data = member.directory / "data"
            data.mkdir(parents=True)
            (data / "myid").write_text(f"{member.number}\n")
            (member.directory / "log4j.properties").write_text(QUIET)
            (member.directory / "zoo.cfg").write_text(self._configuration(member, data) + servers)
        return laid

    def _configuration(self, member: Member, data: Path) -> str:
        """zoo.cfg but for the servers; without a limit of connections per host, for all loads come from this one."""
        settings = {
            "tickTime": self._tick,
            "initLimit": 10,
            "syncLimit": 5,
            "dataDir": data,
            "clientPort": member.port,
            "clientPortAddress": "127.0.0.1",
            "maxClientCnxns": 0,
            "admin.enableServer": "false",
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())

    def command(self, member: Member) -> list[str]:
        """See `System`."""
        path = f"{member.directory}:{JAR}"
        return [_java(), HEAP, "-cp", path, MAIN, str(member.directory / "zoo.cfg")]

    def role(self, member: Member) -> Role | None:
        """See `System`: by the four letters `srvr`."""
        try:
            with socket.create_connection(("127.0.0.1", member.port), ANSWER_LIMIT) as link:
                link.sendall(b"srvr")
                answer = b"".join(iter(lambda: link.recv(4096), b"")).decode()
        except OSError:
            return None
        modes = [line.partition(": ")[2] for line in answer.splitlines() if line.startswith("Mode: ")]
        return ROLES.get(modes[0]) if modes else None


def _java() -> str:
    java = shutil.which("java")
    if java is None or not JAR.exists():
        raise Unavailable(f"ZooKeeper is not installed: as root, apt-get install {' '.join(PACKAGES)}")
    return java
