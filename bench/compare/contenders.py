"""Who takes part."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.compiled.build import build_etcd, build_zookeeper
from bench.peers.etcd import Etcd
from bench.peers.ours import Ours
from bench.peers.system import System
from bench.peers.zookeeper import ZooKeeper


class Kind(enum.Enum):
    """How a client is made: what it may be compared to follows from it."""

    OURS = "ours"
    PYTHON = "Python"
    COMPILED = "compiled"


class Placement(enum.Enum):
    """Which members a generator is told of."""

    SPREAD = "all members"
    LEADER = "the leader"


SYSTEMS: dict[str, Callable[[], System]] = {"Chubby": Ours, "etcd": Etcd, "ZooKeeper": ZooKeeper}
"""How to make each, in the order of reports."""

COMPILED = frozenset({"writes", "reads", "near_reads", "lock_cycles", "contended_lock", "fan_out", "fail_over"})
"""The workloads that compiled generators know."""
PYTHON_WORKLOADS = COMPILED | {"outage", "fill"}
WITHOUT_LOCKS = PYTHON_WORKLOADS - {"lock_cycles", "contended_lock", "fan_out"}
"""What there is asynchronous calls for; watches are the same by both of kazoo's ways, and are measured once."""
OUR_WORKLOADS = PYTHON_WORKLOADS | {"cached_reads", "cached_reads_sync", "wide", "deep"}


class Contender(msgspec.Struct, frozen=True):
    """A client of a system. `command` is its generator, to which the words of the job are added; `workloads` are those
    that it knows; `warm` are the seconds that it needs before it is as fast as it gets.
    """

    key: str
    title: str
    system: str
    kind: Kind
    command: tuple[str, ...]
    placement: Placement = Placement.SPREAD
    workloads: frozenset[str] = PYTHON_WORKLOADS
    warm: float = 1.0


def _python(client: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "bench.load", client)


OURS = Contender("chubby", "chubby.aio", "Chubby", Kind.OURS, _python("chubby"), workloads=OUR_WORKLOADS)
PYTHON = (
    Contender("etcd-python", "etcd, grpcio", "etcd", Kind.PYTHON, _python("etcd")),
    Contender("kazoo-threads", "kazoo, threads", "ZooKeeper", Kind.PYTHON, _python("kazoo-threads")),
    Contender(
        "kazoo-async", "kazoo, async calls", "ZooKeeper", Kind.PYTHON, _python("kazoo-async"), workloads=WITHOUT_LOCKS
    ),
)
"""What a user of Python would take instead."""


def compiled(key: str, title: str, system: str, command: Sequence[str], warm: float) -> tuple[Contender, Contender]:
    """A compiled client twice: on all members, and on the leader alone as far as that makes a difference.

    Each write of a client at another member makes a hop more, each watch and session there unburdens the leader; so
    neither is better at everything, and the better one counts.
    """
    spread = Contender(key, title, system, Kind.COMPILED, tuple(command), workloads=COMPILED, warm=warm)
    leader = Contender(
        f"{key}-leader",
        f"{title}, at the leader",
        system,
        Kind.COMPILED,
        tuple(command),
        Placement.LEADER,
        COMPILED - {"fail_over", "fan_out"},
        warm,
    )
    return spread, leader


def etcd_compiled(into: Path) -> tuple[Contender, Contender]:
    """Go on etcd's own client, built now. Raises Unavailable."""
    return compiled("etcd-go", "etcd, Go", "etcd", build_etcd(into), 1.0)


def zookeeper_compiled(into: Path) -> tuple[Contender, Contender]:
    """Java on ZooKeeper's own client, built now. Raises Unavailable."""
    return compiled("zookeeper-java", "ZooKeeper, Java", "ZooKeeper", build_zookeeper(into), 3.0)
