"""The door: the contract of `Ready`, wake-ups, hand-overs, snapshots, single replicas (DESIGN §3)."""

from __future__ import annotations

import pytest

from chubby.paxos.belonging import LONELY_AFTER
from chubby.paxos.catchup import TRANSFER_PATIENCE
from chubby.paxos.configuration import Member
from chubby.paxos.messages import (
    NO_BALLOT,
    Accept,
    Canvass,
    CatchUp,
    Commit,
    Entries,
    FetchSnapshot,
    Heartbeat,
    Nack,
    Prepare,
    Promise,
)
from chubby.paxos.peer import Peer
from chubby.paxos.ready import AcceptedRecord, ChosenRecord, PromisedRecord, Recovered, Role
from chubby.types.identity import ReplicaId
from chubby.types.time import MILLISECOND, SECOND
from tests.paxos.bench import Bench
from tests.paxos.parts import NOW, ballot, commands, configuration, entry, member


def peer(me: int = 2, recovered: Recovered | None = None) -> Peer:
    """A replica of a cell of three."""
    recovered = recovered or Recovered(configuration=configuration(1, 2, 3))
    return Peer(member(me), 7, recovered, bootstrap=(1, 2, 3), now=NOW, jitter=lambda: 0.0)


def accept(slot: int, number: int, word: str, chosen: int = 0) -> Accept:
    """From master 1."""
    return Accept(ballot(number), slot, commands(word), chosen, NOW)


# --- Ready ----------------------------------------------------------------------------------------------------------


def test_nothing_to_do_is_none() -> None:
    """And taking twice gives nothing twice."""
    follower = peer()
    assert follower.take_ready(NOW) is None
    follower.receive(1, Heartbeat(ballot(3), 0, NOW), NOW)
    assert follower.take_ready(NOW) is not None
    assert follower.take_ready(NOW) is None


def test_no_records_while_earlier_ones_are_unsynced() -> None:
    """DESIGN §3 "Persist before send": one fsync at a time; what comes meanwhile is one batch."""
    follower = peer()
    follower.receive(1, accept(1, 3, "a"), NOW)
    first = follower.take_ready(NOW)
    assert first is not None
    assert first.number == 1
    for slot in (2, 3):
        follower.receive(1, accept(slot, 3, "b"), NOW)
        assert follower.take_ready(NOW) is None
    follower.persisted(1, NOW)
    second = follower.take_ready(NOW)
    assert second is not None
    assert [each.entry.slot for each in second.records if isinstance(each, AcceptedRecord)] == [2, 3]
    assert len(second.gated) == 1


def test_what_needs_no_disk_leaves_while_the_fsync_runs() -> None:
    """A refusal claims nothing about the disk, and chosen entries are durable elsewhere."""
    follower = peer()
    follower.receive(1, accept(1, 3, "a"), NOW)
    follower.take_ready(NOW)
    follower.receive(3, Prepare(ballot(2, 3), 0), NOW)
    follower.receive(1, Commit(ballot(3), 1), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert (ready.number, ready.records, ready.gated) == (0, (), ())
    assert [type(each.message) for each in ready.messages] == [Nack]
    assert ready.chosen == (entry(1, 3, "a"),)


def test_completions_come_once_and_in_order() -> None:
    """A shell that reports otherwise is broken."""
    follower = peer()
    with pytest.raises(AssertionError):
        follower.persisted(1, NOW)
    follower.receive(1, accept(1, 3, "a"), NOW)
    follower.take_ready(NOW)
    with pytest.raises(AssertionError):
        follower.persisted(2, NOW)
    follower.persisted(1, NOW)
    with pytest.raises(AssertionError):
        follower.persisted(1, NOW)


def test_how_far_the_log_is_chosen_rides_along() -> None:
    """A hint that saves work after a restart: synced with other records, never for itself."""
    follower = peer()
    follower.receive(1, accept(1, 3, "a"), NOW)
    follower.take_ready(NOW)
    follower.persisted(1, NOW)
    follower.receive(1, Commit(ballot(3), 1), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert ready.records == ()
    follower.receive(1, accept(2, 3, "b", chosen=1), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert ready.records[-1] == ChosenRecord(1)


def test_a_chosen_configuration_is_recorded_for_itself() -> None:
    """Who has only accepted it needs the voters before it too; they may be gone by the next restart."""
    bench = Bench(3)
    bench.elect(1)
    bench.peer(1).reconfigure(configuration(1, 2, learners=(3,)), bench.now)
    bench.drain(1)
    bench.settle()
    assert {place.disk.chosen for place in bench.places.values()} == {1}


def test_recovery_reports_what_is_known_to_be_chosen() -> None:
    """With the first `Ready`, in order, to be applied above the snapshot."""
    recovered = Recovered(
        snapshot=4, configuration=configuration(1, 2, 3), entries=(entry(5), entry(6), entry(7)), chosen=6
    )
    ready = peer(recovered=recovered).take_ready(NOW)
    assert ready is not None
    assert [each.slot for each in ready.chosen] == [5, 6]


# --- wake-ups -------------------------------------------------------------------------------------------------------


def test_a_tick_leaves_nothing_due() -> None:
    """Else the shell would spin; and whoever is a voter always has something to wait for. (Stepping down may make it
    stand at once: that is the second tick.)
    """
    bench = Bench(5)
    bench.elect(1)
    bench.cut.update((1, other) for other in (2, 3, 4, 5))
    for _ in range(400):
        now = min(bench.peer(replica).wake_at for replica in bench.places)
        assert bench.now <= now < bench.now + 10 * SECOND
        bench.tick(now - bench.now)
        bench.tick(0)
        assert all(bench.peer(replica).wake_at > bench.now for replica in bench.places)
        bench.settle()


def test_a_learner_that_hears_no_master_asks_for_news() -> None:
    """The others in turn, whether it still belongs; while it hears a master it is woken by messages alone."""
    learner = peer(2, Recovered(configuration=configuration(1, 3, learners=(2,))))
    asked: list[ReplicaId] = []
    for _ in range(3):
        now = learner.wake_at
        learner.tick(now)
        ready = learner.take_ready(now)
        assert ready is not None
        asked += [each.to for each in ready.messages if each.message == CatchUp(1)]
        learner.receive(asked[-1], Entries((), 0), now)
    assert asked == [1, 3, 1]
    assert learner.wake_at == now + LONELY_AFTER
    learner.receive(3, Heartbeat(ballot(5, 3), 0, NOW), now + SECOND)
    assert learner.wake_at == now + SECOND + LONELY_AFTER


def test_a_blank_replica_asks_to_join_again_and_again() -> None:
    """Until it is a member."""
    blank = Peer(Member(2, 999), 7, Recovered(), bootstrap=(1, 2, 3), now=NOW, jitter=lambda: 0.0)
    for _ in range(3):
        now = blank.wake_at
        blank.tick(now)
        ready = blank.take_ready(now)
        assert ready is not None
        assert sorted(each.to for each in ready.messages) == [1, 3]
        assert blank.role is Role.LEARNER


# --- snapshots and catch-up -----------------------------------------------------------------------------------------


def test_an_installed_snapshot_takes_the_place_of_the_log() -> None:
    """Entries above it stay; what was not handed out below it is not handed out any more."""
    follower = peer()
    follower.receive(1, accept(12, 3, "late"), NOW)
    assert follower.lacks(10)
    follower.snapshot_installed(10, 100, configuration(1, 2, 3), NOW)
    assert not follower.lacks(10)
    follower.receive(1, Entries((entry(11, 3, "next"),), 11), NOW)
    follower.receive(1, Commit(ballot(3), 12), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert [each.slot for each in ready.chosen] == [11, 12]
    status = follower.status(NOW)
    assert (status.first, status.chosen) == (11, 12)


def test_a_snapshot_that_came_too_late_changes_nothing() -> None:
    """Entries arrived by another way; `lacks` tells the shell to leave its state alone."""
    follower = peer()
    follower.receive(1, Entries(tuple(entry(slot) for slot in range(1, 6)), 5), NOW)
    assert not follower.lacks(5)
    follower.snapshot_installed(5, 100, configuration(1, 2, 3), NOW)
    assert follower.status(NOW).first == 1


def test_a_master_lacks_nothing() -> None:
    """It may have been elected while it fetched; it chooses what is missing itself."""
    bench = Bench()
    bench.elect(1)
    assert not bench.peer(1).lacks(99)


def test_a_snapshot_that_makes_a_voter_is_followed_by_silence() -> None:
    """DESIGN §3 Membership: "a promoted one first waits out L"."""
    blank = Peer(Member(2, 102), 7, Recovered(), bootstrap=(1, 2, 3), now=NOW, jitter=lambda: 0.0)
    blank.take_ready(NOW)
    blank.snapshot_installed(10, 100, configuration(1, 2, 3), NOW)
    assert blank.role is Role.FOLLOWER
    blank.receive(1, Prepare(ballot(9), 10), NOW + SECOND - 1)
    ready = blank.take_ready(NOW)
    assert ready is not None
    assert [type(each.message) for each in ready.messages] == [Nack]
    assert blank.wake_at >= NOW + SECOND


def test_a_canvass_shows_what_is_missing() -> None:
    """Without a master nobody else would tell; a voter that does not know of its promotion could not be asked."""
    follower = peer()
    follower.receive(3, Canvass(5, 9), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert "CatchUp" in {type(each.message).__name__ for each in ready.messages}


def test_an_outdated_proposer_does_not_write_over_a_chosen_value() -> None:
    """Slot 1 is learned under ballot 7; an Accept of ballot 5, which lost, comes late. It once ended the process."""
    follower = peer()
    follower.receive(3, Entries((entry(1, 7, "winner", replica=3),), 1), NOW)
    follower.receive(1, accept(1, 5, "loser"), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert [type(each.message) for each in ready.messages] == [Nack]
    assert PromisedRecord(ballot(7, 3)) in ready.records


def test_entries_beyond_a_gap_are_left_out() -> None:
    """An answer to an old question; what lies between is asked for again."""
    follower = peer()
    follower.receive(1, Entries((entry(3), entry(4)), 4), NOW)
    assert follower.chosen == 0
    follower.receive(1, Entries((entry(1), entry(2), entry(3)), 4), NOW)
    assert follower.chosen == 3


def test_what_was_accepted_higher_is_not_replaced_by_what_was_learned() -> None:
    """The source may hold the same value under an older ballot; our vote stays what it was."""
    follower = peer()
    follower.receive(1, accept(1, 8, "same"), NOW)
    follower.receive(3, Entries((entry(1, 4, "same", replica=3),), 1), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert [each.entry.ballot for each in ready.records if isinstance(each, AcceptedRecord)] == [ballot(8)]
    assert ready.chosen == (entry(1, 8, "same"),)


def test_entries_for_a_candidate() -> None:
    """What is learned during phase 1 is not proposed again."""
    bench = Bench()
    bench.tick(10 * MILLISECOND, [1])
    bench.deliver()
    bench.deliver(0, 1)
    bench.persist(1)
    assert bench.peer(1).role is Role.PREPARING
    mine = bench.peer(1).status(bench.now).ballot
    learned = Entries((entry(1, 1, "a", replica=3),), 1)
    bench.receive(3, 1, learned)
    held = (entry(1, 1, "a", replica=3), entry(2, 1, "b", replica=3))
    bench.receive(3, 1, Promise(mine, 103, 0, held))
    accepts = [(each.slot, each.value) for _, _, each in bench.sent if isinstance(each, Accept)]
    assert set(accepts) == {(2, commands("b"))}


def test_a_candidacy_is_above_what_was_learned_meanwhile() -> None:
    """Between the question and the ballot our own promise may have risen."""
    bench = Bench()
    bench.tick(10 * MILLISECOND, [1])
    assert bench.peer(1).role is Role.CANVASSING
    bench.receive(3, 1, Entries((entry(1, 30, replica=3),), 1))
    bench.persist(1)
    bench.deliver()
    bench.deliver()
    assert bench.peer(1).status(bench.now).ballot == ballot(31)


def test_status_of_a_blank_replica() -> None:
    """Nothing is known, and nothing falls over."""
    status = Peer(Member(2, 999), 7, Recovered(), bootstrap=(1, 2, 3), now=NOW, jitter=lambda: 0.0).status(NOW)
    assert (status.role, status.configuration, status.progress) == (Role.LEARNER, None, ())
    assert status.promised == NO_BALLOT


def test_status_of_a_master() -> None:
    """Margin and progress, for `health`."""
    bench = Bench(5)
    bench.elect(1)
    bench.propose(1, "a")
    bench.settle()
    bench.run(200 * MILLISECOND)
    status = bench.peer(1).status(bench.now)
    assert status.margin == 2
    assert [(replica, chosen) for replica, chosen, _ in status.progress] == [(each, 1) for each in range(1, 6)]
    assert bench.peer(2).status(bench.now).margin is None


def test_a_snapshot_cuts_the_log_but_for_what_a_transfer_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §3 Disk: "a transfer pins its source": who fetches snapshot 2 asks for slot 3 next. There is a bound."""
    monkeypatch.setattr("chubby.paxos.peer.KEEP_BYTES", 0)
    supplier = peer(recovered=Recovered(snapshot=2, snapshot_size=10, configuration=configuration(1, 2, 3)))
    for slot in range(3, 9):
        supplier.receive(1, accept(slot, 3, "a", chosen=slot - 1), NOW)
    supplier.receive(3, FetchSnapshot(2, 0), NOW)
    supplier.snapshot_taken(5, 10)
    assert supplier.status(NOW).first == 3
    monkeypatch.setattr("chubby.paxos.peer.HOLD_BYTES", 0)
    supplier.snapshot_taken(6, 10)
    assert supplier.status(NOW).first == 7, "what it would cost to wait for a slow peer is bounded"


def test_a_transfer_is_forgotten_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that died in the middle of one keeps nothing from being cut."""
    monkeypatch.setattr("chubby.paxos.peer.KEEP_BYTES", 0)
    supplier = peer(recovered=Recovered(snapshot=2, snapshot_size=10, configuration=configuration(1, 2, 3)))
    for slot in range(3, 9):
        supplier.receive(1, accept(slot, 3, "a", chosen=slot - 1), NOW)
    supplier.receive(3, FetchSnapshot(2, 0), NOW)
    supplier.tick(NOW + TRANSFER_PATIENCE + 1)
    supplier.snapshot_taken(5, 10)
    assert supplier.status(NOW).first == 6
