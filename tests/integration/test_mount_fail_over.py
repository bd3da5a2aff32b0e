"""On a mount: what becomes of a lock when its holder's mount dies or sleeps, and leader election with no code at all.

A lock is free when the session of the mount that held it has expired, never before: the mount itself says how long its
lease lasts (`lease left` of `.chubby/session`), and until then it may rely on its locks.
"""

from __future__ import annotations

import signal
import stat
import time
from pathlib import Path

import pytest

from tests.integration.cells import SESSION_LEASE, Cell, alive, wait_for
from tests.integration.mounts import WORKER, Mount, mounts, sh
from tests.integration.programs import Program, Starter

pytestmark = pytest.mark.fuse

ROUNDING = 0.06
"""Seconds: `lease left` is written with one digit after the point."""


def opened(tool: Starter, path: Path) -> Program:
    """A process that has the file open, and does what it is told."""
    program = tool(*WORKER, "obey", str(path))
    assert program.answer() == {"opened": str(path)}
    return program


def lease_end(mount: Mount) -> float:
    """The instant until which the mount may rely on its session, at least."""
    asked = time.monotonic()
    return asked + float(mount.session()["lease left"].split()[0]) - ROUNDING


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "cut off"])
@pytest.mark.parametrize("how", ["flock", "lockf"])
def test_a_lock_outlives_its_mount_by_the_lease(
    how: str, number: signal.Signals, mounted_cell: Cell, here: Path, tmp_path: Path, tool: Starter
) -> None:
    """kill -9 of a mount's process, or its silence: the next one in line has the lock when the lease has run out."""
    sh("echo text > f", here)
    with mounts(mounted_cell, tmp_path / "third") as (third,):
        holder = opened(tool, third / here.name / "f")
        assert holder.ask(f"{how} ex") == {"result": "ex"}
        waiter = opened(tool, here / "f")
        waiter.tell(f"{how} ex")
        reliable = lease_end(third)
        third.signal(number)
        began = time.monotonic()
        assert waiter.answer() == {"result": "ex"}
        granted = time.monotonic()
        print(f"granted {granted - began:.1f} s after the signal, {granted - reliable:.1f} s after the lease")
        assert granted >= reliable
        assert granted - began < SESSION_LEASE * 3
        assert waiter.ask("write the next") == {"result": len("the next")}
        assert waiter.ask(f"{how} un") == {"result": "un"}
        if number == signal.SIGSTOP:
            third.signal(signal.SIGCONT)
            assert holder.ask("write too late") == {"error": "EIO"}
            assert holder.ask(f"{how} un") == {"error": "EIO"}
            assert sh("cat f", third / here.name) == "the next"
            assert third.session()["tenure"] == "2"
        assert sh("cat f", here) == "the next"


SERVE = """#!/bin/sh
echo "$1 serves"
read line
echo "$1 ends"
"""


@pytest.mark.needs("flock")
def test_leader_election_by_flock(two_mounts: tuple[Mount, Mount], here: Path, there: Path, tool: Starter) -> None:
    """`flock svc/leader -c ./serve` on every machine: one serves; when it ends or is killed, the next one does."""
    sh(": > leader", here)
    (here / "serve").write_text(SERVE)
    (here / "serve").chmod(stat.S_IRWXU)
    places = {"one": here, "two": there, "three": here, "four": there}
    candidates: dict[str, Program] = {}
    for name, place in places.items():
        candidates[name] = tool("flock", str(place / "leader"), "-c", f"{place}/serve {name}")
        if name == "one":
            assert candidates[name].hear() == "one serves"
    for _ in range(2):
        assert all(candidates[name].said == [] for name in ("two", "three", "four"))
        sh("ls -l; cat leader", there)
    candidates["one"].tell("end")
    assert candidates["one"].hear() == "one ends" and candidates["one"].wait() == 0
    second = wait_leader(candidates, {"two", "three", "four"})
    candidates[second].signal(signal.SIGKILL)
    rest = {"two", "three", "four"} - {second}
    sh("ls -l; cat leader", here)
    assert all(candidates[name].said == [] for name in rest), "its child has the descriptor, and so the lock"
    candidates[second].tell("end")
    third = wait_leader(candidates, rest)
    candidates[third].end()
    wait_leader(candidates, rest - {third})


def wait_leader(candidates: dict[str, Program], among: set[str]) -> str:
    """The one of these that serves, once one does."""

    def leader() -> str | None:
        leading = [name for name in among if f"{name} serves" in candidates[name].said]
        assert len(leading) <= 1, "one at a time"
        return leading[0] if leading else None

    return wait_for(leader, "the next leader")


@pytest.mark.needs("flock")
def test_the_leader_s_machine_dies(mounted_cell: Cell, here: Path, tmp_path: Path, tool: Starter) -> None:
    """With the mount and everything on it: another one serves when the lease has run out."""
    sh(": > leader", here)
    with mounts(mounted_cell, tmp_path / "third") as (third,):
        leader = tool("flock", str(third / here.name / "leader"), "-c", "echo leads; read line")
        assert leader.hear() == "leads"
        other = tool("flock", str(here / "leader"), "-c", "echo leads; read line")
        reliable = lease_end(third)
        third.kill()
        leader.end()
        assert other.hear() == "leads"
        assert time.monotonic() >= reliable
        assert not alive(leader.pid)
