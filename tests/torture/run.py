"""One run: machines, cell, clients; faults for so long; calm; and what is to be said of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

import chubby
from chubby.errors import NoNode
from chubby.types.nodes import NodeKind
from chubby.types.transaction import Create
from tests.integration.cells import PATIENCE, wait_for
from tests.torture import machines
from tests.torture.cell import REPLICAS, TornCell
from tests.torture.crew import MOUNTS, PLACES, Crew
from tests.torture.evidence import Evidence
from tests.torture.recording import Recorder, now
from tests.torture.store import Customer, SetKind
from tests.torture.strikes import Board, Striker
from tests.torture.strikes_clients import ClientStriker
from tests.torture.strikes_network import NetworkStriker
from tests.torture.strikes_replicas import ReplicaStriker
from tests.torture.switch import Network
from tests.torture.waker import Waker
from tests.torture.work import ROOT_NAME
from tests.torture.work_appends import FILE
from tests.torture.work_files import KEPT, PAIR, make
from tests.torture.work_locks import LOCKS
from tests.torture.work_mounts import COUNTER, LINES

RECOVERY = 120.0
"""Seconds after the faults have stopped within which everybody is served and all replicas are alike."""
FINISH = 240.0
"""Seconds that the last strike may take: some wait until all replicas vote."""
TELL = 5.0
"""Seconds between two lines of progress."""


class Options(msgspec.Struct, frozen=True):
    """What is asked for. `folder` is there, and keeps what is left of the run."""

    seconds: float
    seed: int
    folder: Path


class Run:
    """Everything that runs, from the first process to the last. Within a world of its own (`seclusion`)."""

    def __init__(self, options: Options, stack: ExitStack, say: Callable[[str], None]) -> None:
        """Machines, and a cell that serves. Whatever is made is undone by `stack`."""
        self.options = options
        self.say = say
        folder, seed = options.folder, options.seed
        numbers = [*range(1, REPLICAS + 1), *sorted({*MOUNTS, *(place for each in PLACES.values() for place in each)})]
        self.machines = {machines.DESK: machines.make_desk(), **{number: machines.make(number) for number in numbers}}
        self.network = Network(list(self.machines.values()), seed)
        stack.callback(self.network.close)
        self.cell = TornCell(folder / "cell", {number: self.machines[number] for number in range(1, REPLICAS + 1)})
        stack.callback(self.cell.stop)
        self.crew = Crew(self.machines, self.cell.addresses, self.cell.file, folder, seed)
        for mount in self.crew.mounts:
            stack.callback(mount.clear)
        stack.callback(self.crew.stop)
        self.board = Board()
        self.strikers: list[Striker] = [
            NetworkStriker(self.board, seed, self.cell, self.network, self.machines),
            ReplicaStriker(self.board, seed, self.cell),
            ClientStriker(self.board, seed, self.crew),
        ]
        for striker in self.strikers:
            stack.callback(striker.release)
        self.waker = Waker([client for client in self.crew.clients if client.program == "sets"], seed)
        self._desk = Recorder(self.crew.history / "desk.jsonl")

    def session(self) -> chubby.Session:
        """A session of the run's own."""
        return chubby.connect(
            ROOT_NAME, addresses=self.cell.addresses, timeout=PATIENCE, call_timeout=PATIENCE, caching=False
        )

    def begin(self) -> None:
        """Start the cell, make what clients expect to be there, start the clients."""
        self.cell.start()
        self.cell.wait_master()
        with self.session() as session:
            session.transaction(then=[Create(ROOT_NAME, kind=NodeKind.DIRECTORY)])
            for path in (*KEPT, *PAIR):
                make(self._desk, "desk", session, path, "first")
            others = [*LOCKS, *(kind.lock for kind in SetKind), f"/{COUNTER}"]
            session.transaction(then=[Create(ROOT_NAME + path) for path in others])
            with session.open(f"{ROOT_NAME}/{COUNTER}") as handle:
                handle.set_contents(b"%19d\n" % 0)
        self.cell.wait_whole()
        self.say("        the cell serves; starting clients and mounts")
        self.crew.start()
        self.waker.start()
        wait_for(lambda: not self.crew.idle(since=0) or self._look_after_clients(), "every client's first answer")

    def strike(self) -> None:
        """Let things go wrong for as long as was asked."""
        began = time.monotonic()
        end = began + self.options.seconds
        for striker in self.strikers:
            striker.start()
        try:
            while (left := end - time.monotonic()) > 0:
                self.board.wait(min(TELL, left))
                self._tell(time.monotonic() - began)
                if self.board.findings:
                    return
        finally:
            self.board.stopped.set()
            unfinished = [each.track.value for each in self.strikers if not each.finish(FINISH)]
            if unfinished:
                self.board.findings.append(f"strikes do not end: {', '.join(unfinished)}")

    def _tell(self, passed: float) -> None:
        done = self.crew.look()
        total, failed = (sum(counts) for counts in zip(*done.values(), strict=True))
        self.say(
            f"{passed:6.0f} s  {sum(self.board.counts.values()):4} faults  {total:7} calls answered, {failed:5} failed"
            f"  now: {self.board.wrong()}"
        )
        self._look_after_clients()

    def _look_after_clients(self) -> bool:
        """Whether somebody ended by itself, which is a finding."""
        ended = [f"{client.name} with {code}" for client in self.crew.everybody if (code := client.died()) is not None]
        if ended:
            self.board.findings.append(f"ended by themselves: {', '.join(ended)}; see their logs")
        return bool(ended)

    def recover(self) -> float:
        """Everything works again, and that soon; the seconds it took. Raises AssertionError."""
        calm = now()
        began = time.monotonic()
        self.say("        calm: whether everybody is served again, and all replicas vote")

        def left() -> float:
            return began + RECOVERY - time.monotonic()

        self.cell.wait_whole(left())
        with self.session() as fresh, fresh.open(f"{ROOT_NAME}/fresh", create=True) as handle:
            handle.set_contents(b"served")
        wait_for(lambda: not self.crew.idle(since=calm), "every client to be served", left())
        took = time.monotonic() - began
        self.waker.stop()
        self.crew.stop()
        for mount in self.crew.mounts:
            code = mount.stop()
            assert code == 0, f"the mount at {mount.directory} ended with {code}: {mount.log()[-500:]}"
        wait_for(self._equal, "equal digests", PATIENCE)
        return took

    def _equal(self) -> bool:
        """Whether all replicas are in one state."""
        found = self.cell.peek()
        states = {(status.applied, status.digest) for status in found.values()}
        return len(found) == REPLICAS and len(states) == 1

    def evidence(self) -> Evidence:
        """What clients wrote down, and what is there now."""
        customer = Customer(self.crew.place)
        sets = customer.dump()
        customer.close()
        with self.session() as session:
            return Evidence(
                files=sorted(self.crew.history.glob("*.jsonl")),
                sets=sets,
                appends=_series(session, FILE),
                lines=_series(session, f"/{LINES}"),
                counter=int(_read(session, f"/{COUNTER}") or b"0"),
            )

    def keep(self) -> None:
        """Copy the disks of the replicas, which nobody can see after the run, to where logs and histories are."""
        for replica, place in self.cell.data.items():
            kept = self.options.folder / "disks" / f"replica-{replica}"
            shutil.copytree(place, kept, ignore=shutil.ignore_patterns("ballast"), dirs_exist_ok=True)


def _read(session: chubby.Session, path: str) -> bytes | None:
    try:
        with session.open(ROOT_NAME + path) as handle:
            return handle.get_contents_and_stat()[0]
    except NoNode:
        return None


def _series(session: chubby.Session, prefix: str) -> dict[str, list[str]]:
    """The lines of the files of that name and 0, 1, 2, ..., as far as there are any."""
    found: dict[str, list[str]] = {}
    while (contents := _read(session, f"{prefix}{len(found)}")) is not None:
        found[f"{prefix}{len(found)}"] = contents.decode().split("\n")[:-1]
    return found
