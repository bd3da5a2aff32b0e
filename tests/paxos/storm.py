"""A storm of faults over a cell, then calm: safety throughout, liveness at the end ("Paxos Made Live" §6.2).

.venv/bin/python -m tests.paxos.storm SEED            # one seed, with a trace
.venv/bin/python -m tests.paxos.storm FIRST LAST      # a hunt
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import partial

from chubby.paxos.ready import Role
from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.paxos.network import Links, World
from tests.paxos.replica import Replica

CALM: Duration = 12 * SECOND
"""Virtual time within which a cell without faults has to be whole again."""


class Storm:
    """One seed's faults, proposals and changes."""

    def __init__(self, seed: int, trace: bool = False) -> None:
        """Everything is chosen by `seed`."""
        self.world = World(seed, size=(1, 2, 3, 3, 3, 4, 5, 5, 5, 5)[seed % 10])
        self.rng = self.world.rng
        self.proposing = True
        self.raging = True
        self._trace = trace
        self._payloads = 0
        self._incarnations = 1000
        self._mood = self.rng.choice(tuple(MOODS))
        self._wipes = self.rng.random() < 0.5
        self._pace = self.rng.choice((100, 300, 800)) * MILLISECOND

    def run(self) -> None:
        """The whole story; raises AssertionError where a checker or liveness fails."""
        world = self.world
        for node in world.nodes.values():
            world.at(self.rng.randrange(SECOND), partial(self._start, node))
        world.at(SECOND, self._propose)
        world.at(SECOND, self._disturb)
        world.at(SECOND, self._snapshot)
        if world.links.streams is False:
            world.links.loss, world.links.repeat = self.rng.choice((0.0, 0.02, 0.2)), self.rng.choice((0.0, 0.1))
            world.links.late = world.ghosts.choice((0.0, 0.01))
        world.run(self.rng.randint(5, 20) * SECOND)
        self._calm()
        assert world.run(CALM, until=self._whole), self._complaint()
        target = len(world.checkers.chosen) + 5
        assert world.run(5 * SECOND, until=lambda: len(world.checkers.chosen) > target), "nothing is chosen any more"
        self.proposing = False
        assert world.run(CALM, until=self._level), self._complaint()

    # --- the workload --------------------------------------------------------------------------------------------

    def _start(self, node: Replica) -> None:
        if not node.up:
            self.world.start(node)

    def _propose(self) -> None:
        """Clients ask whoever thinks it is master, in bursts."""
        for node in self.world.nodes.values():
            if node.up and node.running.role is Role.MASTER:
                for _ in range(self.rng.choice((1, 1, 2, 5, 40))):
                    self._payloads += 1
                    node.happen(partial(node.propose, b"%d" % self._payloads))
        if self.proposing:
            self.world.at(self.rng.randrange(60 * MILLISECOND), self._propose)

    def _snapshot(self) -> None:
        node = self._pick()
        if node is not None:
            node.happen(node.take_snapshot)
        if self.proposing:
            self.world.at(self.rng.randrange(2 * SECOND), self._snapshot)

    # --- faults --------------------------------------------------------------------------------------------------

    def _pick(self) -> Replica | None:
        up = [node for node in self.world.nodes.values() if node.up]
        return self.rng.choice(up) if up else None

    def _master(self) -> Replica | None:
        return next((node for node in self.world.nodes.values() if node.believes), None)

    def _disturb(self) -> None:
        if not self.raging:
            return
        node = self._master() if self.rng.random() < 0.4 else self._pick()
        if node is not None:
            fault = self.rng.choice(MOODS[self._mood])
            self._say(f"{fault.__name__} {node.id}")
            fault(self, node)
        self.world.at(round(self.rng.expovariate(1 / self._pace)), self._disturb)

    def _crash(self, node: Replica) -> None:
        self.world.crash(node)
        delay = self.rng.choice((1, 300 * MILLISECOND, 3 * SECOND))
        self.world.at(self.rng.randrange(delay) if delay > 1 else 0, partial(self._start, node))

    def _wipe(self, node: Replica) -> None:
        """Lose a disk, if everything earlier losses cost has been made good: all vote, and have it on disk that they
        do.
        """
        checkers = self.world.checkers
        voters = {(voter.replica, voter.incarnation) for voter in checkers.latest.voters}
        nodes = self.world.nodes.values()
        whole = len(nodes) > 2 and all(
            each.vote in voters and max(each.disk.chosen, each.disk.base.slot) >= checkers.since for each in nodes
        )
        if not self._wipes or not whole:
            self._crash(node)
            return
        self._incarnations += 1
        self.world.crash(node)
        node.wipe(self._incarnations)
        self.world.at(self.rng.randrange(SECOND), partial(self._start, node))

    def _cut(self, node: Replica) -> None:
        others = [replica for replica in self.world.replicas if replica != node.id]
        for other in others if self.rng.random() < 0.6 else self.rng.sample(others, len(others) // 2):
            self.world.cut |= {(node.id, other), (other, node.id)}
        self.world.at(self.rng.randrange(4 * SECOND), self.world.cut.clear)

    def _one_way(self, node: Replica) -> None:
        others = [replica for replica in self.world.replicas if replica != node.id]
        self.world.cut |= {(node.id, other) for other in others[: self.rng.randint(0, len(others))]}
        self.world.at(self.rng.randrange(4 * SECOND), self.world.cut.clear)

    def _mend(self, _node: Replica) -> None:
        self.world.cut.clear()

    def _reset(self, node: Replica) -> None:
        for other in self.world.replicas:
            self.world.break_connection(node.id, other)

    def _pause(self, node: Replica) -> None:
        node.pause(self.rng.choice((50, 500, 1500, 4000)) * MILLISECOND)

    def _slow(self, node: Replica) -> None:
        node.slow_sync = self.rng.choice((20, 150, 700, 2500)) * MILLISECOND

        def better() -> None:
            node.slow_sync = 0

        self.world.at(self.rng.randrange(5 * SECOND), better)

    def _hand_over(self, node: Replica) -> None:
        node.happen(node.hand_over)

    def _member(self, _node: Replica) -> None:
        """Make a voter a learner again; promotion brings it back."""
        master = self._master()
        if master is None or self._wipes or master.paused_until:
            return
        latest = master.running.electorate.latest
        other = self.rng.choice(latest.voters)
        if len(latest.voters) > 1:
            refused = master.running.reconfigure(latest.with_learner(other), master.now)
            self._say(f"make {other.replica} a learner: {refused or 'proposed'}")
            master.drain()

    # --- calm ----------------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        self._say("calm")
        self.raging = False
        world = self.world
        world.cut.clear()
        world.links = Links(world.links.streams, min(world.links.delay, 20 * MILLISECOND))
        for node in world.nodes.values():
            node.slow_sync = 0
            if node.up and node.paused_until:
                node.resume()
        world.start_all()

    def _whole(self) -> bool:
        """Whether one master is followed by all, and all are voters of the newest configuration."""
        latest = self.world.checkers.latest
        votes = {(voter.replica, voter.incarnation) for voter in latest.voters}
        nodes = self.world.nodes.values()
        return (
            any(node.believes for node in nodes)
            and {node.vote for node in nodes} == votes
            and len({node.running.master for node in nodes if node.up}) == 1
            and all(node.up and node.running.chosen >= self.world.checkers.since for node in nodes)
        )

    def _level(self) -> bool:
        """Whether everybody knows every slot that is chosen."""
        return all(node.machine.slot == len(self.world.checkers.chosen) for node in self.world.nodes.values())

    def _complaint(self) -> str:
        lines = [f"not whole after {CALM / SECOND} s of calm: {self.world.checkers.latest}"]
        for node in self.world.nodes.values():
            if node.peer is not None:
                status = node.peer.status(node.now)
                lines.append(
                    f"  {node.vote} {status.role} master={status.master} chosen={status.chosen} "
                    f"first={status.first} ballot={status.ballot} promised={status.promised}"
                )
        return "\n".join(lines)

    def _say(self, text: str) -> None:
        if self._trace:
            print(f"{self.world.now / SECOND:9.4f} {text}")


_RARE = (Storm._crash, Storm._wipe, Storm._hand_over)
MOODS: dict[str, tuple[Callable[[Storm, Replica], None], ...]] = {
    "crashes": (Storm._crash, *_RARE),
    "partitions": (Storm._cut, Storm._cut, Storm._mend, Storm._one_way, Storm._reset),
    "pauses": (Storm._pause, Storm._pause, Storm._reset, Storm._hand_over),
    "disks": (Storm._slow, Storm._slow, *_RARE),
    "members": (Storm._member, Storm._member, Storm._pause, Storm._reset, *_RARE),
    "everything": (
        *(Storm._cut, Storm._mend, Storm._one_way, Storm._reset, Storm._pause, Storm._slow, Storm._member),
        *_RARE,
    ),
}


def run_seed(seed: int, trace: bool = False) -> None:
    """Live through one seed; a failure names it and how to repeat it."""
    try:
        Storm(seed, trace).run()
    except AssertionError as error:
        error.add_note(f"repeat with: python -m tests.paxos.storm {seed}")
        raise


def main(arguments: list[str]) -> int:
    """One seed with a trace, or a range of them."""
    if len(arguments) == 1:
        run_seed(int(arguments[0]), trace=True)
        return 0
    failed = 0
    for seed in range(int(arguments[0]), int(arguments[1])):
        try:
            run_seed(seed)
        except Exception as error:
            failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            print(f"{seed}: {type(error).__name__} {error!s:.300} at {where.name}:{where.lineno}", flush=True)
    print(f"{failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
