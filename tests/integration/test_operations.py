"""What an operator does: start a cell with one command, replace a dead replica (DESIGN §3 Membership, Incarnations)."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from chubby.daemon.main import EXIT_EXPELLED
from chubby.types.calls import MemberAction
from tests.integration.cells import PATIENCE, SHORT_LEASES, Cell, alive, free_ports, running_cell, wait_for
from tests.integration.programs import Program, Starter, cli

LINE = re.compile(r"replica (\d) \(pid (\d+)\): (\S+)")


@pytest.fixture
def blank(tmp_path: Path) -> Iterator[Cell]:
    """A configuration of five replicas, whose directories are empty."""
    cell = Cell(tmp_path, extra=SHORT_LEASES, formatted=False)
    yield cell
    cell.stop()


class Started:
    """`chubby cell start` in a process of its own, whose output is no terminal."""

    def __init__(self, start: Starter, cell: Cell) -> None:
        """Begun."""
        self._cell = cell
        self.program: Program = cli(start, "cell", "start", "--config", str(cell.file))

    def wait(self, pattern: str) -> str:
        """The first line that matches, once it is there."""
        return wait_for(lambda: next(filter(re.compile(pattern).search, list(self.program.said)), None), pattern)

    def states(self) -> dict[int, list[str]]:
        """What was said of each replica, in order."""
        found: dict[int, list[str]] = {}
        for line in list(self.program.said):
            if match := LINE.match(line):
                found.setdefault(int(match[1]), []).append(match[3])
        return found

    def pids(self) -> dict[int, int]:
        """The replicas' processes."""
        return {int(match[1]): int(match[2]) for line in list(self.program.said) if (match := LINE.match(line))}

    def wait_up(self) -> int:
        """Until all follow a master and nobody is missing; returns the master."""

        def up() -> bool:
            last = sorted(states[-1] for states in self.states().values())
            return last == ["follower"] * 4 + ["master"] and "2 more may fail" in " ".join(self.program.said)

        wait_for(up, "all replicas")
        return next(replica for replica, states in self.states().items() if states[-1] == "master")

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to stop; returns its exit code, and fails if a replica outlives it."""
        pids = self.pids()
        assert len(pids) == 5 and all(map(alive, pids.values()))
        self.program.signal(number)
        code = self.program.wait()
        assert not [pid for pid in pids.values() if alive(pid)], "no process is left"
        return code


def test_one_command_starts_a_cell_and_stops_it(blank: Cell, start: Starter) -> None:
    """Empty directories are formatted, one line tells each change, SIGINT stops all in good order; the second time
    nothing is formatted, and what was written is there.
    """
    first = Started(start, blank)
    first.wait(r"formatted a new cell test \(number 0x[0-9a-f]+\)")
    first.wait_up()
    assert first.program.said.count(first.wait("formatted")) == 1
    for states in first.states().values():
        assert all(before != after for before, after in pairwise(states)), "one line for each change, and no other"
    with blank.connect() as session, session.open("/ls/test/kept", create=True) as handle:
        handle.set_contents(b"kept")
    assert first.interrupt() == 0
    assert first.program.said[-1] == "stopping all replicas"
    for replica in blank.members:
        log = blank.data[replica].with_suffix(".log").read_text()
        assert "Traceback" not in log and "ERROR" not in log, log
    second = Started(start, blank)
    second.wait_up()
    assert not [line for line in second.program.said if "formatted" in line]
    with blank.connect() as session, session.open("/ls/test/kept") as handle:
        assert handle.get_contents_and_stat()[0] == b"kept"
    assert second.interrupt(signal.SIGTERM) == 0


def test_a_replica_that_lost_its_directory_is_not_formatted(blank: Cell, start: Starter) -> None:
    """One empty directory among others joins again as a learner (DESIGN §3: formats only when all are empty)."""
    first = Started(start, blank)
    first.wait_up()
    first.interrupt()
    before = {replica: blank.identity(replica) for replica in blank.members}
    shutil.rmtree(blank.data[3])
    second = Started(start, blank)
    second.wait_up()
    assert not [line for line in second.program.said if "formatted" in line]
    wait_for(lambda: "learner" not in second.states()[3][-1:], "its promotion")
    after = blank.identity(3)
    assert after.cell == before[3].cell and after.incarnation != before[3].incarnation
    assert blank.identity(2) == before[2]
    second.interrupt()


def test_killed_children_are_reported_and_a_killed_parent_takes_them_along(blank: Cell, start: Starter) -> None:
    """kill -9 of a replica is told with the way to start it again; kill -9 of the parent leaves nobody behind."""
    started = Started(start, blank)
    master = started.wait_up()
    pids = started.pids()
    subprocess.run(["kill", "-9", str(pids[master])], check=True)
    line = started.wait(f"replica {master} ended")
    assert "SIGKILL" in line and f"--replica {master}" in line
    wait_for(lambda: len({line for line in started.program.said if "master is replica" in line}) > 1, "another master")
    started.program.signal(signal.SIGKILL)
    wait_for(lambda: not any(map(alive, pids.values())), "the end of all replicas")


def test_a_replica_that_was_removed_while_it_was_down_finds_out(tmp_path: Path, start: Starter) -> None:
    """The others still talk to it, so that it learns what it missed, and ends (DESIGN §3 Membership)."""
    with running_cell(tmp_path) as cell:
        master = cell.wait_whole()
        gone = next(replica for replica in cell.members if replica != master)
        cell.kill(gone)
        options = ("--config", str(cell.file), "--timeout", str(PATIENCE))
        remove = cli(start, "replica", "remove", str(gone), "--yes", *options)
        assert remove.wait() == 0, remove.said
        cell.start(gone)
        ended = cell.processes[gone]
        wait_for(lambda: ended.poll() is not None, "the end of the removed replica")
        assert ended.returncode == EXIT_EXPELLED, cell.log(gone)
        del cell.processes[gone]


def test_a_dead_replica_is_replaced_by_one_command(tmp_path: Path, start: Starter) -> None:
    """`chubby replica replace` of a dead replica by one with other addresses and an empty disk: refused while it would
    endanger the quorum, followed until the new one votes; the same call, made again, finds it done (DESIGN §3
    Membership).
    """
    with running_cell(tmp_path) as cell:
        master = cell.wait_whole()
        dead = next(replica for replica in cell.members if replica != master)
        with cell.connect() as session, session.open("/ls/test/kept", create=True) as handle:
            handle.set_contents(b"kept")
            cell.kill(dead)
            before = cell.identity(dead)
            shutil.rmtree(cell.data[dead])
            cell.data[dead].mkdir()
            peer, client = (f"127.0.0.1:{port}" for port in free_ports(2))
            options = ("--config", str(cell.file), "--timeout", str(PATIENCE))
            replace = cli(start, "replica", "replace", str(dead), "--peer", peer, "--client", client, "--yes", *options)
            wait_for(lambda: any("start the new one" in line for line in replace.said), "the word to start it")
            cell.members[dead] = (peer, client)
            cell.write_configuration()
            cell.start(dead)
            assert replace.wait() == 0, replace.said
            assert replace.said[-1] == f"replica {dead}: votes"
            cell.wait_whole()
            after = cell.identity(dead)
            assert after.cell == before.cell and after.incarnation != before.incarnation
            status = cell.master_status()
            assert status is not None
            assert {each.replica: each.client_address for each in status.replicas}[dead] == client
            assert handle.get_contents_and_stat()[0] == b"kept"
            session.change_members(MemberAction.REPLACE, dead, peer, client, incarnation=before.incarnation)
            assert cell.identity(dead) == after and cell.processes[dead].poll() is None
            others = [replica for replica in cell.members if replica != dead][:2]
            cell.kill(*others)
            handle.set_contents(b"the new one is needed for this quorum")


def test_a_replica_is_added_and_another_one_removed(tmp_path: Path, start: Starter) -> None:
    """`chubby replica add` and `remove` on a running cell, by way of an even number; the one that is removed ends by
    itself with the exit code of the expelled, and the new one is needed for the quorum (DESIGN §3 Membership).
    """
    with running_cell(tmp_path, 3) as cell:
        master = cell.wait_whole()
        peer, client = (f"127.0.0.1:{port}" for port in free_ports(2))
        options = ("--config", str(cell.file), "--timeout", str(PATIENCE))
        add = cli(start, "replica", "add", "4", "--peer", peer, "--client", client, *options)
        wait_for(lambda: any("start it now" in line for line in add.said), "the word to start it")
        cell.members[4] = (peer, client)
        cell.write_configuration()
        cell.start(4)
        assert add.wait() == 0, add.said
        assert add.said[-1] == "replica 4: votes"
        again = cli(start, "replica", "add", "4", "--peer", peer, "--client", client, *options)
        assert again.wait() == 0, again.said
        assert again.said == ["replica 4 was admitted already; start it now if it does not run", "replica 4: votes"]
        leaver = next(replica for replica in cell.members if replica not in (master, 4))
        remove = cli(start, "replica", "remove", str(leaver), "--yes", *options)
        assert remove.wait() == 0, remove.said
        gone = cell.processes.pop(leaver)
        assert gone.wait(PATIENCE) == 75
        del cell.members[leaver]
        cell.write_configuration()
        cell.wait_whole()
        third = next(replica for replica in cell.members if replica not in (cell.wait_master(), 4))
        cell.kill(third)
        with cell.connect() as session, session.open("/ls/test/kept", create=True) as handle:
            handle.set_contents(b"the new one is needed for this quorum")
