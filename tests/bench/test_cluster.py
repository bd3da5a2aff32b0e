"""Clusters start, are waited for, are struck, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.peers import cluster as module
from bench.peers.cluster import Cluster, ClusterError
from bench.peers.ours import Ours
from bench.peers.resources import family, processor_seconds, resident_bytes
from tests.bench.toys import Toy
from tests.integration.cells import ROOT, alive, wait_for

KILLED = """
import sys, threading
from pathlib import Path
from bench.peers.cluster import Cluster
from tests.bench.toys import Toy
with Cluster(Toy(), Path(sys.argv[1]), 3) as cluster:
    print(*cluster.pids().values(), flush=True)
    threading.Event().wait()
"""


def gone(pids: list[int]) -> bool:
    """Whether none of these runs any more."""
    return not any(map(alive, pids))


def test_a_cluster_is_whole_when_entered_and_gone_when_left(tmp_path: Path) -> None:
    """Neither a process nor a file of it is left."""
    place = tmp_path / "toy"
    with Cluster(Toy(), place) as cluster:
        pids = list(cluster.pids().values())
        assert len(pids) == 5
        assert all(map(alive, pids))
        assert cluster.leader() == 1
    assert gone(pids)
    assert not place.exists()


def test_what_fails_inside_leaves_nothing_either(tmp_path: Path) -> None:
    """An error, or Ctrl-C."""
    with pytest.raises(KeyboardInterrupt), Cluster(Toy(), tmp_path / "toy") as cluster:
        pids = list(cluster.pids().values())
        raise KeyboardInterrupt
    assert gone(pids)
    assert not (tmp_path / "toy").exists()


def test_a_harness_that_is_killed_takes_its_members_along(tmp_path: Path) -> None:
    """kill -9 leaves it no time to do so itself."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "toy")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 3
        process.kill()
    wait_for(lambda: gone(pids), "the end of all members")


def test_a_member_that_ends_by_itself_is_told_with_its_log(tmp_path: Path) -> None:
    """Instead of waiting for it for ever."""
    with pytest.raises(ClusterError, match=r"(?s)member 1 of toy ended: 3.*out of toys"):
        Cluster(Toy("echo out of toys; exit 3"), tmp_path / "toy").__enter__()
    assert not (tmp_path / "toy").exists()


def test_a_cluster_that_never_gets_whole_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what its members said."""
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    with pytest.raises(ClusterError, match=r"(?s)did not be whole.*still thinking"):
        Cluster(Toy("echo still thinking; exec sleep 1000"), tmp_path / "toy").__enter__()
    assert not (tmp_path / "toy").exists()


def test_endpoints_have_the_leader_last(tmp_path: Path) -> None:
    """A single client is at a follower, as most are."""
    with Cluster(Toy(), tmp_path / "toy", 3) as cluster:
        assert cluster.endpoints() == ["127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:1"]


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_a_member_that_was_struck_is_revived(sent: signal.Signals, tmp_path: Path) -> None:
    """As a new process, whatever the old one was told."""
    with Cluster(Toy(), tmp_path / "toy", 3) as cluster:
        before = cluster.pids()
        cluster.signal(1, sent)
        cluster.revive(1)
        after = cluster.pids()
        assert alive(after[1])
        assert before[1] != after[1]
        assert (before[2], before[3]) == (after[2], after[3])
        assert gone([before[1]])


def test_a_stop_in_good_order_ends_members_that_are_stopped_too(tmp_path: Path) -> None:
    """They are continued first; data stays until it is wiped."""
    cluster = Cluster(Toy(), tmp_path / "toy", 3)
    cluster.start()
    cluster.wait_whole()
    pids = list(cluster.pids().values())
    cluster.signal(2, signal.SIGSTOP)
    cluster.stop()
    assert gone(pids)
    assert (tmp_path / "toy").exists()
    cluster.wipe()
    assert not (tmp_path / "toy").exists()


def test_what_the_kernel_says_of_this_process() -> None:
    """Time passes and memory is used; a child counts; nobody costs nothing."""
    with subprocess.Popen(["sleep", "1000"]) as child:
        assert child.pid in family(os.getpid())
        child.kill()
    assert processor_seconds([os.getpid()]) > 0
    assert resident_bytes([os.getpid()]) > 1 << 20
    assert family(2**22 + 1) == []
    assert processor_seconds([2**22 + 1]) == 0.0


def test_a_cell_of_ours_starts_with_a_master_and_leaves_nothing(tmp_path: Path) -> None:
    """The system that has to be there on every machine, with the default configuration."""
    with Cluster(Ours(), tmp_path / "ours", 3) as cluster:
        leader = cluster.leader()
        pids = list(cluster.pids().values())
        assert cluster.endpoints()[-1] == cluster.members[leader].endpoint
        assert cluster.processor_seconds() > 0
        assert cluster.median_resident() > 1 << 20
        cluster.signal(leader, signal.SIGKILL)
        cluster.revive(leader)
        pids += cluster.pids().values()
    assert gone(pids)
    assert not (tmp_path / "ours").exists()
