"""Sentences of "Paxos Made Live" that concern the log, put to a whole cell."""

from __future__ import annotations

from chubby.paxos.messages import (
    Entry,
)
from chubby.types.time import MILLISECOND, SECOND
from tests.paxos.bench import Bench


def ready_cell(size: int = 3) -> Bench:
    """Replica 1 is master, all is quiet, nothing is remembered of how it came about."""
    bench = Bench(size)
    bench.elect(1)
    bench.sent.clear()
    return bench


def test_catch_up_then_snapshot_then_again() -> None:
    """§5.5: a lagging replica gets log entries, else a snapshot, and "again if it moved on or died": here the source
    dies in the middle and another one serves.
    """
    bench = ready_cell()
    bench.cut.update({(1, 3), (2, 3)})
    bench.propose(1, "a")
    bench.settle()
    bench.run(100 * MILLISECOND)
    for replica in (1, 2):
        bench.snapshot(replica)
    bench.cut.clear()
    bench.tick(100 * MILLISECOND, [1])
    for _ in range(3):
        bench.deliver(1, 3)
        bench.deliver(3, 1)
    bench.crash(1)
    bench.run(8 * SECOND)
    assert bench.peer(3).chosen >= 1
    assert bench.places[3].machine.chain == bench.places[2].machine.chain


def test_values_that_were_acknowledged_survive() -> None:
    """§1: the log is "a sequence of values that are the same on every replica": a majority crashes and returns."""
    bench = ready_cell(5)
    for number in range(10):
        bench.propose(1, str(number))
        bench.settle()
    chain = bench.places[1].machine.chain
    for replica in (1, 2, 3, 4, 5):
        bench.crash(replica)
    for replica in (3, 4, 5):
        bench.restart(replica)
    bench.run(4 * SECOND)
    machines = {bench.places[replica].machine.chain for replica in (3, 4, 5)}
    assert machines == {chain}


def test_quorum_margin_is_shown() -> None:
    """§6: five replicas, one misspelled, "tolerated one failure, not two", unnoticed: the master's status shows it."""
    bench = ready_cell(5)
    bench.run(SECOND)
    assert bench.peer(1).status(bench.now).margin == 2
    bench.crash(5)
    bench.run(3 * SECOND)
    assert bench.peer(1).status(bench.now).margin == 1


def test_a_hole_left_by_a_dead_master_is_filled() -> None:
    """§4: "all instances up to ..." must be decided before later ones are applied: slot 1 never arrived anywhere."""
    bench = ready_cell()
    bench.propose(1, "lost")
    bench.drop()
    bench.persist(1)
    bench.propose(1, "kept")
    bench.deliver(1)
    bench.crash(1)
    bench.settle()
    bench.run(3 * SECOND)
    assert isinstance(bench.peer(2)._station.log.get(1), Entry)
    assert bench.peer(2).chosen >= 2
    assert bench.places[2].machine == bench.places[3].machine
