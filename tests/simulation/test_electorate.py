"""Replicas go by the members that the log names, wherever they stand (DESIGN §3 Membership)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from chubby.paxos.configuration import Configuration, Member
from chubby.paxos.messages import NO_BALLOT, NOOP, Entry, configuration_value
from chubby.replica.replica import Replica
from chubby.types.identity import Slot
from tests.simulation.configuration import CELL, configuration
from tests.simulation.electorate import ElectorateChecker
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Network, Weather
from tests.simulation.violation import Violation
from tests.simulation.world import World

FIRST = Configuration(tuple(Member(number, 7) for number in (1, 2, 3)))
SECOND = FIRST.with_learner(Member(3, 8))
THIRD = SECOND.promoted(Member(3, 8))
LOG = {slot: Entry(slot, NO_BALLOT, NOOP) for slot in range(1, 10)} | {
    slot: Entry(slot, NO_BALLOT, configuration_value(each)) for slot, each in ((3, SECOND), (5, THIRD))
}


class Standing:
    """Two replicas, of which the checker is shown where they stand."""

    def __init__(self) -> None:
        world = World(1)
        config = configuration((1, 2, 3))
        self.hosts = [ReplicaHost(world, Network(world, Weather()), config, CELL, number) for number in (1, 2)]
        self.checker = ElectorateChecker(FIRST)

    def at(self, index: int, applied: Slot, known: Configuration | None, log: dict[Slot, Entry] = LOG) -> None:
        """That one has come so far, and goes by those members."""
        replica = SimpleNamespace(machine=SimpleNamespace(applied=applied), configuration=known, entry=log.get)
        self.hosts[index].replica = cast(Replica, replica)
        self.checker.observe(self.hosts[index])


def test_each_goes_by_the_newest_that_it_has_applied() -> None:
    """And no further: who lags goes by an older one."""
    standing = Standing()
    standing.at(0, 2, FIRST)
    standing.at(0, 4, SECOND)
    standing.at(1, 2, FIRST)
    standing.at(0, 9, THIRD)
    standing.at(1, 3, SECOND)
    assert [slot for slot, _ in standing.checker.changes] == [0, 3, 5]


def test_who_came_by_a_snapshot_knows_whom_it_brought() -> None:
    """It has no log before it; what others applied is what counts."""
    standing = Standing()
    standing.at(0, 6, THIRD)
    standing.at(1, 6, THIRD, log={})
    with pytest.raises(Violation, match=r"r2 has applied slot 7 and goes by .*; slot 5 has "):
        standing.at(1, 7, FIRST, log={})


@pytest.mark.parametrize(("applied", "known"), [(2, SECOND), (3, FIRST), (4, THIRD), (9, SECOND)])
def test_another_one_is_seen(applied: Slot, known: Configuration) -> None:
    """Too early, too late, skipped."""
    standing = Standing()
    with pytest.raises(Violation, match="r1 has applied slot"):
        standing.at(0, applied, known)


def test_who_knows_nobody_yet_is_let_alone() -> None:
    """A blank replica has no state and no configuration."""
    standing = Standing()
    standing.checker.observe(standing.hosts[0])
    standing.at(0, 0, None)
    standing.at(0, 1, FIRST)
