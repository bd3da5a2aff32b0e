"""The log in memory (chubby.paxos.log): sparse above the chosen prefix, gapless below, never another value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.paxos.log import Log, weight
from chubby.paxos.messages import Entry
from tests.paxos.parts import ballot, commands, entry


def test_recovery_believes_the_hint_only_as_far_as_entries_reach() -> None:
    """`chosen` on disk is a hint: it may be ahead of what is held (chubby.paxos.ready, ChosenRecord)."""
    log = Log(10, [entry(11), entry(12), entry(14)], chosen=20)
    assert (log.first, log.chosen) == (11, 12)


def test_recovery_leaves_out_what_the_snapshot_covers() -> None:
    """Records below the snapshot may still lie in old segments (DESIGN §3 Disk)."""
    log = Log(10, [entry(9), entry(10), entry(11)], chosen=0)
    assert (log.chosen, log.get(10), log.bytes) == (10, None, weight(entry(11)))


def test_follow_believes_only_the_very_ballot() -> None:
    """DESIGN §3 "Commit names its ballot": a lower *or* a higher one is another proposal."""
    for other in (1, 3):
        log = Log(0, [entry(1, 2), entry(2, other), entry(3, 2)], chosen=0)
        assert [held.slot for held in log.follow(ballot(2), 3)] == [1]
        assert log.chosen == 1


def test_follow_stops_at_a_hole() -> None:
    """Chosen slots are a prefix."""
    log = Log(0, [entry(1), entry(3)], chosen=0)
    assert [held.slot for held in log.follow(ballot(1), 3)] == [1]


def test_a_chosen_value_never_changes() -> None:
    """Agreement, as an assertion of the core."""
    log = Log(0, [entry(1, 1, "a")], chosen=1)
    log.accept(entry(1, 2, "a"))
    with pytest.raises(AssertionError, match="never changes"):
        log.accept(entry(1, 3, "b"))


def test_slots_are_chosen_in_order() -> None:
    """A gap would be applied by nobody."""
    log = Log(0, [], chosen=0)
    with pytest.raises(AssertionError, match="in order"):
        log.choose(entry(2))


def test_accept_replaces_what_was_merely_accepted() -> None:
    """Only the last accepted entry of a slot counts, and only it is weighed."""
    log = Log(0, [entry(5, 1, "long" * 100)], chosen=0)
    log.accept(entry(5, 2, "x"))
    assert log.get(5) == entry(5, 2, "x")
    assert log.bytes == weight(entry(5, 2, "x"))


def test_slots_below_the_snapshot_are_closed() -> None:
    """What a snapshot covers is not held twice."""
    log = Log(3, [], chosen=0)
    with pytest.raises(AssertionError, match="closed"):
        log.accept(entry(3))


def test_chosen_from_gives_at_least_one_entry() -> None:
    """An entry larger than an answer must still travel (catch-up would never end)."""
    log = Log(0, [entry(slot, 1, "x" * 500) for slot in range(1, 6)], chosen=5)
    assert [held.slot for held in log.chosen_from(2, 1)] == [2]
    assert [held.slot for held in log.chosen_from(2, 1200)] == [2, 3]
    assert log.chosen_from(6, 1000) == ()


def test_compact_keeps_the_tail_for_those_that_lag_a_little() -> None:
    """Entries go oldest first, and none above the snapshot."""
    entries = [entry(slot, 1, "x" * 100) for slot in range(1, 7)]
    log = Log(0, entries, chosen=6)
    log.compact(4, keep=3 * weight(entries[0]))
    assert log.first == 4
    log.compact(4, keep=0)
    assert (log.first, log.get(4), log.get(5)) == (5, None, entries[4])
    assert log.bytes == 2 * weight(entries[0])


def test_reset_keeps_votes_above_the_snapshot() -> None:
    """DESIGN §3: a fetched snapshot may not make an acceptor forget what it accepted above it."""
    log = Log(0, [entry(1), entry(5), entry(9)], chosen=1)
    log.reset(5)
    assert (log.first, log.chosen, log.above(0)) == (6, 5, (entry(9),))


def test_above_is_sorted() -> None:
    """A promise tells its entries in slot order, whatever the order they came in."""
    log = Log(0, [entry(7), entry(3), entry(5)], chosen=0)
    assert [held.slot for held in log.above(3)] == [5, 7]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(["accept", "follow", "compact", "reset"]), st.integers(1, 12)), max_size=40))
def test_the_log_is_its_dumb_twin(steps: list[tuple[str, int]]) -> None:
    """Against a dictionary of everything and a number: same chosen prefix, same weight, never a gap."""
    log, twin, chosen = Log(0, [], chosen=0), dict[int, Entry](), 0
    for action, slot in steps:
        match action:
            case "accept" if slot >= log.first:
                held = Entry(slot, ballot(1), commands(f"value {slot}"))
                log.accept(held)
                twin[slot] = held
            case "follow":
                expected = []
                while chosen < slot and chosen + 1 in twin:
                    chosen += 1
                    expected.append(twin[chosen])
                assert log.follow(ballot(1), slot) == expected
            case "compact" if slot <= chosen:
                log.compact(slot, keep=0)
                twin = {each: twin[each] for each in twin if each > slot}
            case "reset" if slot > chosen:
                log.reset(slot)
                twin, chosen = {each: twin[each] for each in twin if each > slot}, slot
        assert log.chosen == chosen
        assert log.above(0) == tuple(twin[each] for each in sorted(twin))
        assert log.bytes == sum(map(weight, twin.values()))
        assert all(log.get(each) is not None for each in range(log.first, chosen + 1))
