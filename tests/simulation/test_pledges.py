"""What replicas said, they know: each kind of word is kept in a good run, and missed in one that was broken by hand
(DESIGN §3 Persist before send, Incarnations).
"""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import cast

import pytest

from chubby.paxos.configuration import Configuration, Member
from chubby.paxos.messages import (
    NOOP,
    Accept,
    Accepted,
    Ballot,
    Commit,
    Entry,
    Heartbeat,
    HeartbeatReply,
    Message,
    Prepare,
    Promise,
)
from chubby.paxos.ready import Recovered
from chubby.replica.replica import Replica
from chubby.replica.step import Letter
from chubby.types.identity import Slot
from chubby.types.time import MILLISECOND, SECOND
from tests.simulation.configuration import CELL, configuration
from tests.simulation.fault_cells import Cell
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Network, Weather
from tests.simulation.pledges import PledgeChecker
from tests.simulation.violation import Violation
from tests.simulation.world import World

LIFE = 77
LOW, MIDDLE, HIGH = (Ballot(number, 1, 5) for number in (1, 2, 3))
OWN = Ballot(2, 2, LIFE)


class Told:
    """A checker that hears replica 2 in its life 77."""

    def __init__(self, *said: Message) -> None:
        world = World(1)
        self.host = ReplicaHost(world, Network(world, Weather()), configuration((1, 2, 3)), CELL, 2)
        self.host.incarnation = LIFE
        self.checker = PledgeChecker()
        self.candidate = ReplicaHost(world, Network(world, Weather()), configuration((1, 2, 3)), CELL, 1)
        for message in said:
            self.says(message)

    def says(self, message: Message) -> None:
        """It sends that to replica 1."""
        self.checker.overhear(self.host, (Letter(1, message),))

    def asked(self, ballot: Ballot, chosen: Slot) -> None:
        """Replica 1 asks for promises."""
        self.checker.overhear(self.candidate, (Letter(2, Prepare(ballot, chosen)),))

    def starts(self, recovered: Recovered) -> None:
        """And finds that on its disk."""
        self.checker.examine(self.host, recovered)

    def runs(self, applied: Slot, snapshot: Slot, *entries: Entry) -> None:
        """And has come that far."""
        held = {entry.slot: entry for entry in entries}
        machine = SimpleNamespace(applied=applied)
        self.host.replica = cast(Replica, SimpleNamespace(machine=machine, snapshot_slot=snapshot, entry=held.get))
        self.checker.observe(self.host)


def entry(slot: Slot, ballot: Ballot) -> Entry:
    """Something that was accepted."""
    return Entry(slot, ballot, NOOP)


def accepted(ballot: Ballot, *slots: Slot, lease: int = 0) -> Accepted:
    """A vote for these slots."""
    return Accepted(ballot, LIFE, slots, 0, 0, lease)


def test_who_knows_all_it_said_may_start() -> None:
    """A later promise, a later vote for the same slot, a snapshot in the place of votes, are as good or better."""
    told = Told(accepted(MIDDLE, 3, 4, 5, lease=SECOND), accepted(LOW, 5), HeartbeatReply(LOW, LIFE, 0, 0, SECOND))
    told.starts(Recovered(HIGH, SECOND, 3, entries=(entry(4, MIDDLE), entry(5, HIGH), entry(9, LOW))))
    told.starts(Recovered(MIDDLE, 2 * SECOND, 5))


def test_another_incarnation_owes_nothing() -> None:
    """It never says otherwise than under its own name."""
    told = Told(accepted(MIDDLE, 3, lease=SECOND))
    told.host.incarnation = LIFE + 1
    told.starts(Recovered())


@pytest.mark.parametrize(
    ("said", "ballot"),
    [
        (accepted(MIDDLE, 3), MIDDLE),
        (Prepare(OWN, 0), OWN),
        (Accept(OWN, 4, NOOP, 0, 0), OWN),
        (Heartbeat(OWN, 0, 0), OWN),
    ],
    ids=["Accepted", "Prepare", "Accept", "Heartbeat"],
)
def test_a_forgotten_promise_is_seen(said: Message, ballot: Ballot) -> None:
    """Whatever implied it; of its own ballots it has to know lest another life uses them again."""
    told = Told(said)
    told.starts(Recovered(ballot, entries=(entry(3, ballot),)))
    with pytest.raises(Violation, match="r2 has promised"):
        told.starts(Recovered(LOW, entries=(entry(3, ballot),)))


def test_a_promise_given_in_so_many_words_counts() -> None:
    """Promise."""
    told = Told()
    told.asked(MIDDLE, 0)
    told.says(Promise(MIDDLE, LIFE, 0, ()))
    told.starts(Recovered(MIDDLE))
    with pytest.raises(Violation, match="r2 has promised"):
        told.starts(Recovered(LOW))


def test_a_commit_promises_nothing() -> None:
    """Nor does a heartbeat's answer: its lease does."""
    told = Told(Commit(MIDDLE, 4), HeartbeatReply(MIDDLE, LIFE, 0, 0, 0))
    told.starts(Recovered())


def test_a_forgotten_lease_is_seen() -> None:
    """DESIGN §3 Master lease: the largest one ever granted is waited out after a restart."""
    for said in (accepted(LOW, 3, lease=SECOND), HeartbeatReply(LOW, LIFE, 0, 0, SECOND)):
        with pytest.raises(Violation, match="r2 has granted a master lease of 1000 ms; its disk knows of 999 ms"):
            Told(said).starts(Recovered(LOW, SECOND - MILLISECOND, 3))


@pytest.mark.parametrize("held", [(), (entry(4, LOW),), (entry(3, HIGH),)], ids=["none", "an older one", "another"])
def test_a_forgotten_vote_is_seen(held: tuple[Entry, ...]) -> None:
    """None at that slot, or one that a later ballot had replaced."""
    told = Told(accepted(LOW, 4), accepted(MIDDLE, 4))
    with pytest.raises(Violation, match="r2 has accepted slot 4"):
        told.starts(Recovered(HIGH, entries=held))


def test_a_promise_that_leaves_out_a_vote_is_seen() -> None:
    """The candidate would take a value for one that cannot have been chosen; of what it knows it need not be told."""
    told = Told(accepted(LOW, 3, 4))
    told.asked(MIDDLE, 4)
    told.says(Promise(MIDDLE, LIFE, 0, ()))
    told.asked(HIGH, 3)
    told.says(Promise(HIGH, LIFE, 0, (entry(4, LOW),)))
    with pytest.raises(Violation, match=r"r2 has accepted slot 4 .*; its promise to r1 has None"):
        told.says(Promise(HIGH, LIFE, 0, (entry(5, LOW),)))


@pytest.mark.parametrize("said", [HeartbeatReply(LOW, LIFE, 6, 0, 0), Accepted(LOW, LIFE, (), 6, 0, 0)])
def test_what_a_learner_said_it_knew_is_there(said: Message) -> None:
    """DESIGN §3 Incarnations: it is promoted by that; of a voter nobody counts upon it."""
    told = Told(said)
    told.starts(Recovered(LOW, snapshot=4, entries=(entry(5, LOW), entry(6, LOW))))
    told.starts(Recovered(LOW, snapshot=6))
    with pytest.raises(Violation, match="r2 has learned all up to slot 6; its disk lacks slot 5"):
        told.starts(Recovered(LOW, snapshot=4, entries=(entry(6, LOW),)))
    voter = Told()
    configuration = Configuration((Member(2, LIFE),))
    voter.host.replica = cast(Replica, SimpleNamespace(configuration=configuration))
    voter.says(said)
    voter.starts(Recovered(LOW))


def test_votes_above_a_snapshot_stay() -> None:
    """It takes the place of what is up to its slot alone. Nobody looks again until there is another one."""
    told = Told(accepted(LOW, 3, 9))
    told.runs(3, 3, entry(9, LOW))
    told.runs(5, 3)
    with pytest.raises(Violation, match=r"r2 has accepted slot 9 .*; its log has None"):
        told.runs(7, 7)
    told.runs(9, 9)


def test_a_disk_that_forgets_is_found_out_by_a_restart() -> None:
    """A whole cell: one replica's disk is as it was some seconds ago, and verifies from end to end."""
    cell = Cell()
    host = cell.follower()
    host.crash()
    former = copy.deepcopy(host.disk)
    host.start()
    cell.run(3 * SECOND)
    host.crash()
    host.disk = former
    with pytest.raises(Violation, match=f"{host.place} has (accepted|promised)"):
        host.start()
