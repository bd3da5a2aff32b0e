"""What a replica concludes from comparisons, one after the other (DESIGN §3 Digest)."""

from __future__ import annotations

import msgspec
import pytest

from chubby.namespace.commands import LeaseCaps, Limits
from chubby.namespace.machine import Genesis, Machine
from chubby.paxos.configuration import Configuration, Member
from chubby.replica.links import DigestReport
from chubby.replica.step import Halt
from chubby.replica.vigil import SCRUB_INTERVAL, SCRUB_ROUND, SCRUB_ROWS, Vigil
from chubby.types.identity import ReplicaId, Slot

CELL = Configuration(tuple(Member(number, 100 + number) for number in range(1, 6)))
MACHINE = Machine.genesis(Genesis(77, "test", ("root",), Limits(), LeaseCaps(), b"k" * 32, 0))
MINE = MACHINE.digest().to_bytes(16, "big")
B, C = b"b" * 16, b"c" * 16


class Watched:
    """The vigil of replica 1, whose state never changes."""

    def __init__(self) -> None:
        self.vigil = Vigil((1, 101), 0)

    def compare(self, slot: Slot, reports: dict[ReplicaId, bytes]) -> None:
        """A comparison begins at `slot`, and others report."""
        self.vigil.note(slot, MACHINE, CELL)
        self.told(slot, reports)

    def told(self, slot: Slot, reports: dict[ReplicaId, bytes]) -> None:
        """Others report."""
        for replica, digest in reports.items():
            self.vigil.told(replica, DigestReport(100 + replica, slot, digest), CELL)

    @property
    def split(self) -> bool:
        """Whether writes are to stop."""
        return self.vigil.split


def test_our_report_is_for_the_others() -> None:
    """It names incarnation, slot and digest."""
    assert Vigil((1, 101), 0).note(7, MACHINE, CELL) == DigestReport(101, 7, MINE)


def test_without_a_majority_writes_stop_until_there_is_one() -> None:
    """DESIGN §3 Digest: "with no majority writes stop"; a later comparison may find that all is well."""
    watched = Watched()
    watched.compare(10, {2: MINE, 3: B, 4: B})
    assert not watched.split, "the fifth may decide it"
    watched.told(10, {5: C})
    assert watched.split
    watched.compare(20, {2: MINE, 3: B, 4: B})
    assert watched.split, "nothing new is known yet"
    watched.told(20, {5: MINE})
    assert not watched.split and watched.vigil.halt is None


def test_a_voter_that_is_down_keeps_nobody_from_seeing_the_split() -> None:
    """Two against two, and the fifth is down: when the next comparison begins it has not reported."""
    watched = Watched()
    watched.compare(10, {2: MINE, 3: B, 4: B})
    watched.compare(20, {})
    assert watched.split
    watched.told(10, {5: MINE})
    assert not watched.split, "it is back, and its word decides after all"


def test_silence_is_no_disagreement() -> None:
    """Who alone has reported, or agrees with all who have, stops nothing."""
    watched = Watched()
    watched.compare(10, {})
    watched.compare(20, {2: MINE})
    watched.compare(30, {})
    assert not watched.split and watched.vigil.halt is None


def test_two_comparisons_in_one_slot_are_one() -> None:
    """A batch may hold both: the second must not close the slot for the others' reports."""
    watched = Watched()
    watched.told(10, {2: B})
    watched.compare(10, {})
    watched.compare(10, {})
    assert not watched.split


def test_a_late_report_does_not_bring_an_old_verdict_back() -> None:
    """A replica that was down replays the log and reports for slots of long ago."""
    watched = Watched()
    watched.compare(10, {2: MINE, 3: B, 4: B})
    watched.compare(20, {2: MINE, 3: MINE})
    assert not watched.split
    watched.told(10, {5: C})
    assert not watched.split
    watched.compare(30, {2: MINE, 3: B, 4: B, 5: C})
    assert watched.split
    watched.told(20, {4: MINE})
    assert watched.split


def test_whoever_is_outvoted_is_so_for_good() -> None:
    """DESIGN §3 Digest: "a minority that differs stops and rebuilds", at whatever slot that came to light."""
    watched = Watched()
    watched.compare(10, {2: MINE, 3: B, 4: B})
    watched.compare(20, {2: MINE, 3: MINE})
    watched.told(10, {5: B})
    assert watched.vigil.halt is Halt.DIGEST


def test_a_round_of_the_scrub_takes_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small state is not read over and over; of a large one so much is read at a time as costs no call anything."""
    read: list[int] = []

    def scrub(_machine: Machine, budget: int) -> bool:
        read.append(budget)
        return True

    monkeypatch.setattr(Machine, "scrub", scrub)
    for rows, expected in ((2, 1), (31, 2), (3000, 100), (100_000, SCRUB_ROWS)):
        monkeypatch.setattr(Machine, "rows", rows)
        vigil = Vigil((1, 101), 0)
        vigil.scrub(MACHINE, SCRUB_INTERVAL - 1)
        assert not read
        vigil.scrub(MACHINE, SCRUB_INTERVAL)
        assert read == [expected]
        read.clear()


def test_rot_is_found_within_a_round() -> None:
    """Wherever it is."""
    machine = Machine.genesis(Genesis(77, "test", ("root",), Limits(), LeaseCaps(), b"k" * 32, 0))
    nodes = machine._state.tree.nodes
    nodes.rows["/acl"] = msgspec.structs.replace(nodes.rows["/acl"], lock_token=7)
    vigil = Vigil((1, 101), 0)
    for turn in range(1, SCRUB_ROUND + 1):
        vigil.scrub(machine, turn * SCRUB_INTERVAL)
    assert vigil.halt is Halt.ROT
