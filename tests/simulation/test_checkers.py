"""The checkers themselves: good histories pass, each broken one is caught."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from chubby.replica.replica import Replica
from chubby.types.nodes import NodeKind
from tests.simulation.configuration import CELL, configuration
from tests.simulation.hosts import ReplicaHost
from tests.simulation.invariants import MasterChecker
from tests.simulation.network import Network, Weather
from tests.simulation.violation import Violation
from tests.simulation.workloads.fences import FencingChecker
from tests.simulation.workloads.gates import GateChecker
from tests.simulation.workloads.locks import LockChecker
from tests.simulation.workloads.numbers import NumberChecker
from tests.simulation.workloads.presence import PresenceChecker
from tests.simulation.workloads.registers import Access, RegisterChecker
from tests.simulation.workloads.sprouts import KindChecker
from tests.simulation.world import World


def register(*accesses: tuple[str, int, int, int, bytes, bool]) -> RegisterChecker:
    """A checker that was told of these (client, begun, ended, generation, contents, wrote)."""
    checker = RegisterChecker("/a")
    for access in accesses:
        checker.add(Access(*access))
    return checker


def test_a_linearizable_history_passes() -> None:
    """Concurrent accesses may be seen in either order."""
    register(
        ("c1", 0, 10, 2, b"x", True),
        ("c2", 5, 12, 1, b"", False),
        ("c3", 11, 20, 2, b"x", False),
        ("c1", 11, 30, 3, b"y", True),
        ("c2", 21, 31, 3, b"y", False),
    )


@pytest.mark.parametrize(
    "second",
    [
        ("c2", 11, 20, 1, b"", False),
        ("c2", 11, 20, 2, b"z", True),
        ("c2", 11, 20, 2, b"z", False),
        ("c2", 5, 20, 2, b"z", True),
    ],
    ids=["stale read", "lost write", "another content", "two writes of one generation"],
)
def test_a_broken_history_is_caught(second: tuple[str, int, int, int, bytes, bool]) -> None:
    """After a write of generation 2 was known."""
    with pytest.raises(Violation):
        register(("c1", 0, 10, 2, b"x", True), second)


def test_two_believers_are_caught() -> None:
    """DESIGN §3 Master lease; whoever does not believe is nobody's rival."""
    world = World(1)
    config = configuration((1, 2, 3))
    hosts = [ReplicaHost(world, Network(world, Weather()), config, CELL, each.id) for each in config.replicas]
    checker = MasterChecker(hosts)
    checker.observe(hosts[0])
    for host, left in zip(hosts, (1, 0, 1), strict=True):
        host.replica = cast(Replica, SimpleNamespace(lease_until=host.clock.now() + left))
    checker.observe(hosts[1])
    with pytest.raises(Violation, match="r1 and r3"):
        checker.observe(hosts[0])
    hosts[2].replica = None
    checker.observe(hosts[0])


def test_an_instance_is_made_once_and_missed_only_after_its_deletion_began() -> None:
    """DESIGN §5: absence is as consistent as contents."""
    checker = PresenceChecker("/e")
    checker.created(7, ephemeral=False, ended=10)
    with pytest.raises(Violation, match="misses instance 7"):
        checker.missed("c1", 11)
    checker.missed("c1", 9)
    checker.deleting(7)
    checker.missed("c1", 20)
    checker.seen("c1", 7, 20)
    checker.deleted(7, 30)
    with pytest.raises(Violation, match="sees instance 7"):
        checker.seen("c1", 7, 31)
    with pytest.raises(Violation, match="made twice"):
        checker.created(7, ephemeral=True, ended=40)


def test_a_node_is_a_file_until_it_has_a_child_and_a_directory_from_then_on() -> None:
    """DESIGN §4 Node: and whoever caches that it is a file is told before (§5)."""
    checker = KindChecker("/t0")
    checker.seen("c1", NodeKind.FILE, 0, 1)
    with pytest.raises(Violation, match="sees a directory"):
        checker.seen("c1", NodeKind.DIRECTORY, 0, 9)
    checker.sprouting(10)
    checker.sprouting(12)
    checker.seen("c1", NodeKind.FILE, 11, 30)
    checker.seen("c1", NodeKind.DIRECTORY, 11, 12)
    checker.sprouted(20)
    checker.sprouted(25)
    checker.seen("c1", NodeKind.FILE, 20, 30)
    with pytest.raises(Violation, match="sees a file"):
        checker.seen("c1", NodeKind.FILE, 21, 30)


def test_a_lock_goes_from_hand_to_hand() -> None:
    """Release before the next grant; tokens grow."""
    checker = LockChecker("/l")
    checker.acquired("c1", 1, lambda: True)
    checker.left("c1")
    checker.acquired("c2", 2, lambda: True)


def test_a_second_holder_is_caught_unless_the_first_sleeps() -> None:
    """Mutual exclusion in real time between those who act."""
    checker = LockChecker("/l")
    acts = True
    checker.acquired("c1", 1, lambda: acts)
    with pytest.raises(Violation, match="acts upon"):
        checker.acquired("c2", 2, lambda: True)
    acts = False
    checker.acquired("c2", 2, lambda: True)


def test_tokens_never_go_back_nor_stand_still() -> None:
    """One token per hold period, growing for ever."""
    checker = LockChecker("/l")
    checker.acquired("c1", 5, lambda: True)
    checker.left("c1")
    for token in (4, 5):
        with pytest.raises(Violation, match="token"):
            checker.acquired("c2", token, lambda: True)


def test_who_is_told_to_be_safe_still_holds() -> None:
    """DESIGN §6: safe means that nothing was lost."""
    checker = LockChecker("/l")
    checker.acquired("c1", 1, lambda: False)
    checker.kept("c1")
    checker.acquired("c2", 2, lambda: True)
    with pytest.raises(Violation, match="kept"):
        checker.kept("c1")


def test_writes_under_hold_periods_never_mix() -> None:
    """DESIGN §4 Token: whoever slept through the end of its hold period writes nothing after its successor has."""
    checker = FencingChecker()
    for revision, token in ((10, 1), (14, 2), (12, 1), (20, 2)):
        checker.wrote("c1", revision, token)
    for revision, token in ((16, 1), (21, 1), (11, 2)):
        with pytest.raises(Violation, match="between"):
            checker.wrote("c2", revision, token)


def test_an_open_gate_refuses_nobody() -> None:
    """DESIGN §4 ACLs: asked from 20 to 30, after a closing that a whole opening followed, or did not."""
    checker = GateChecker()
    with pytest.raises(Violation, match="open all the while"):
        checker.refused("c1", 20, 30)
    checker.turn(False, 5, 6)
    checker.refused("c1", 20, 30)
    checker.turn(True, 6, 9)
    checker.refused("c1", 20, 30)
    checker.turn(True, 8, 12)
    with pytest.raises(Violation, match="open all the while"):
        checker.refused("c1", 20, 30)
    checker.refused("c1", 12, 30)
    checker.turn(False, 31, 40)
    with pytest.raises(Violation, match="open all the while"):
        checker.refused("c1", 20, 30)
    checker.turn(False, 7)
    checker.refused("c1", 20, 30)


def test_a_closed_gate_lets_nobody_in() -> None:
    """Asked from 20 to 30: it was open at first, closed, and opened again or not."""
    checker = GateChecker()
    checker.let_in("c1", 20, 30)
    closing = checker.turn(False, 5)
    checker.let_in("c1", 20, 30)
    closing.ended = 25
    checker.let_in("c1", 20, 30)
    closing.ended = 10
    with pytest.raises(Violation, match="closed all the while"):
        checker.let_in("c1", 20, 30)
    checker.turn(True, 31)
    with pytest.raises(Violation, match="closed all the while"):
        checker.let_in("c1", 20, 30)
    checker.turn(True, 12)
    checker.let_in("c1", 20, 30)


def test_names_are_given_once_and_in_order() -> None:
    """DESIGN §4 Revision: a sequence counter per directory. Concurrent creations may be named in either order."""
    checker = NumberChecker()
    checker.made("c1", "/r/item-2", False, 0, 10)
    checker.made("c2", "/r/item-1", False, 5, 12)
    with pytest.raises(Violation, match="made before"):
        checker.made("c3", "/r/item-2", False, 20, 30)
    with pytest.raises(Violation, match="after /r/item-2 was known"):
        checker.made("c3", "/r/item-0", False, 11, 30)


def test_a_listing_tells_what_is_there() -> None:
    """DESIGN §5: child lists are cached, and as consistent as contents."""
    checker = NumberChecker()
    checker.made("c1", "/r/item-1", False, 0, 10)
    checker.made("c1", "/r/item-2", True, 0, 10)
    with pytest.raises(Violation, match="misses"):
        checker.listed("c2", set(), 11)
    checker.listed("c2", set(), 9)
    checker.listed("c2", {"/r/item-1"}, 11)
    checker.deleting("/r/item-1")
    checker.listed("c2", set(), 20)
    checker.listed("c2", {"/r/item-1"}, 20)
    checker.deleted("/r/item-1", 30)
    with pytest.raises(Violation, match="sees"):
        checker.listed("c2", {"/r/item-1"}, 31)
