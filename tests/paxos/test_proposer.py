"""The proposer: phase 1, adoption, holes, the window, batches, lonely configurations (DESIGN §3)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.paxos.configuration import Configuration
from chubby.paxos.log import weight
from chubby.paxos.messages import (
    NOOP,
    Accept,
    Accepted,
    Entry,
    Prepare,
    Promise,
    Value,
    configuration_value,
)
from chubby.paxos.proposer import RESEND_AFTER, Phase
from chubby.types.identity import ReplicaId, Slot
from chubby.types.limits import BATCH_BYTES, BATCH_COMMANDS, WINDOW_BYTES, WINDOW_SLOTS
from tests.paxos.parts import NOW, Parts, ballot, commands, configuration, entry, member

MINE = ballot(9, 1)


def promise(replica: ReplicaId, *entries: Entry, chosen: Slot = 0, incarnation: int = 0) -> Promise:
    """A promise of our ballot."""
    return Promise(MINE, incarnation or 100 + replica, chosen, entries)


def preparing(known: Configuration | None = None, size: int = 3) -> Parts:
    """Replica 1 in phase 1, its own promise given."""
    parts = Parts(me=1, known=known, size=size)
    parts.proposer.prepare(MINE)
    parts.proposer.on_promise(1, promise(1))
    return parts


def opened(size: int = 3, known: Configuration | None = None) -> Parts:
    """Replica 1 in phase 2, nothing open."""
    parts = preparing(known, size)
    for replica in range(2, size + 1):
        parts.proposer.on_promise(replica, promise(replica))
    parts.proposer.open(NOW)
    parts.gated()
    return parts


def proposals(parts: Parts) -> list[tuple[Slot, Value]]:
    """What was proposed since the last call, once per slot."""
    return list({each.slot: each.value for each in parts.sent() if isinstance(each, Accept)}.items())


def vote(parts: Parts, replica: ReplicaId, *slots: Slot, incarnation: int = 0) -> list[Slot]:
    """`replica` has voted; returns what is chosen thereby, and marks it so."""
    message = Accepted(MINE, incarnation or 100 + replica, slots, 0, NOW, 0)
    chosen = parts.proposer.on_accepted(replica, message)
    for each in chosen:
        parts.log.choose(each)
    return [each.slot for each in chosen]


def test_prepare_is_gated() -> None:
    """DESIGN §3: "Persist before send". Our own promise is on disk before anybody hears of the ballot."""
    parts = Parts(me=1)
    parts.proposer.prepare(MINE)
    assert parts.sent() == []
    assert parts.gated() == [Prepare(MINE, 0)] * 2


def test_a_ballot_is_used_once() -> None:
    """By this life; `Ballot.incarnation` and the promise on disk see to the others."""
    parts = opened()
    with pytest.raises(AssertionError, match="once"):
        parts.proposer.prepare(MINE)


def test_our_ballot_is_spoken_of_when_it_is_on_our_disk() -> None:
    """Until then a master that runs phase 1 again goes on in the name of its last ballot."""
    parts = Parts(me=1)
    parts.proposer.prepare(MINE)
    parts.proposer.on_promise(2, promise(2))
    assert parts.proposer.spoken < MINE
    parts.proposer.on_promise(1, promise(1))
    assert parts.proposer.spoken == MINE


def test_a_majority_of_promises_is_needed() -> None:
    """Learners, old incarnations and repetitions count nothing."""
    parts = preparing(configuration(1, 2, 3, 4, 5, learners=(6,)))
    parts.proposer.on_promise(2, promise(2))
    parts.proposer.on_promise(2, promise(2))
    parts.proposer.on_promise(6, promise(6))
    parts.proposer.on_promise(3, promise(3, incarnation=999))
    assert not parts.proposer.has_quorum()
    with pytest.raises(AssertionError):
        parts.proposer.open(NOW)
    parts.proposer.on_promise(3, promise(3))
    assert parts.proposer.has_quorum()


def test_promises_of_another_ballot_count_nothing() -> None:
    """They belong to an earlier attempt."""
    parts = preparing()
    assert parts.proposer.on_promise(2, Promise(ballot(8, 1), 102, 0, (entry(1),))) == []
    assert not parts.proposer.has_quorum()


@pytest.mark.parametrize("order", [(2, 3), (3, 2)])
def test_the_highest_ballot_is_adopted(order: tuple[ReplicaId, ReplicaId]) -> None:
    """DESIGN §3: "The highest-ballot accepted value is adopted", in whichever order promises come."""
    parts = Parts(me=1, size=5)
    parts.proposer.prepare(MINE)
    held = {2: entry(1, 4, "low"), 3: entry(1, 7, "high", replica=2)}
    for replica in order:
        parts.proposer.on_promise(replica, promise(replica, held[replica]))
    parts.proposer.on_promise(1, promise(1))
    parts.proposer.open(NOW)
    assert proposals(parts) == [(1, commands("high"))]


def test_holes_get_no_ops() -> None:
    """DESIGN §3: "holes get no-ops", and new commands come behind."""
    parts = preparing()
    parts.proposer.enqueue(b"new")
    parts.proposer.on_promise(2, promise(2, entry(2, 4, "b"), entry(4, 4, "d")))
    parts.proposer.open(NOW)
    assert proposals(parts) == [
        (1, NOOP),
        (2, commands("b")),
        (3, NOOP),
        (4, commands("d")),
        (5, commands("new")),
    ]


def test_what_a_promise_shows_chosen_is_learned_not_proposed() -> None:
    """The rest is open."""
    parts = preparing()
    shown = parts.proposer.on_promise(2, promise(2, entry(1, 4), entry(2, 4), entry(3, 4), chosen=2))
    assert shown == [entry(1, 4), entry(2, 4)]
    for each in shown:
        parts.log.choose(each)
    parts.proposer.open(NOW)
    assert [slot for slot, _ in proposals(parts)] == [3]


def test_phase_1_needs_every_configuration_it_learns_of() -> None:
    """DESIGN §3 Membership: "phase 1 needs a majority of every configuration it learns of", and asks its voters."""
    parts = preparing(configuration(1, 2, 3))
    change = Entry(1, ballot(4, 2), configuration_value(configuration(1, 2, 3, 4)))
    parts.gated()
    parts.proposer.on_promise(2, promise(2, change))
    parts.proposer.ask_rest()
    assert not parts.proposer.has_quorum(), "two of three, but only two of four"
    assert parts.outbox.gated[0].to == 4
    parts.proposer.on_promise(4, promise(4))
    assert parts.proposer.has_quorum()


def test_an_old_majority_is_needed_beside_the_new_one() -> None:
    """The change may not be chosen after all."""
    parts = preparing(configuration(1, 2, 3, 4, 5))
    change = Entry(1, ballot(4, 2), configuration_value(configuration(1, 2, 3, 4)))
    parts.proposer.on_promise(2, promise(2, change))
    assert not parts.proposer.has_quorum()
    parts.proposer.on_promise(5, promise(5))
    assert not parts.proposer.has_quorum(), "a majority of five, not of the four"
    parts.proposer.on_promise(4, promise(4))
    assert parts.proposer.has_quorum()


def test_a_new_voter_does_not_make_up_for_an_old_one() -> None:
    """Three of five, but two of four: slots up to the change belong to the four."""
    parts = preparing(configuration(1, 2, 3, 4))
    change = Entry(1, ballot(4, 2), configuration_value(configuration(1, 2, 3, 4, 5)))
    parts.proposer.on_promise(2, promise(2, change))
    parts.proposer.on_promise(5, promise(5))
    assert not parts.proposer.has_quorum()
    parts.proposer.on_promise(3, promise(3))
    assert parts.proposer.has_quorum()


def test_asked_again_are_only_those_that_have_not_answered() -> None:
    """A lost Prepare is repeated."""
    parts = preparing(size=5)
    parts.gated()
    parts.proposer.on_promise(2, promise(2))
    parts.proposer.ask_rest()
    assert parts.outbox.gated == []
    parts.proposer.ask_rest(repeat=True)
    assert [envelope.to for envelope in parts.outbox.gated] == [3, 4, 5]


def test_in_phase_2_nobody_is_asked() -> None:
    """A voter promoted under this ballot is none of phase 1's business."""
    parts = opened()
    parts.electorate.chosen(1, configuration(1, 2, 3, 4))
    parts.proposer.ask_rest(repeat=True)
    assert parts.gated() == []


def test_window_of_slots() -> None:
    """DESIGN §3: "a window of 32 slots"."""
    parts = opened()
    for number in range(WINDOW_SLOTS + 5):
        parts.proposer.enqueue(b"%d" % number)
        parts.proposer.pump(NOW)
    assert len(proposals(parts)) == parts.proposer.undecided == WINDOW_SLOTS
    vote(parts, 1, 1)
    assert vote(parts, 2, 1) == [1]
    assert parts.proposer.pump(NOW)
    ((slot, value),) = proposals(parts)
    assert slot == WINDOW_SLOTS + 1
    assert len(value.payloads) == 5


def test_window_of_bytes() -> None:
    """DESIGN §3: "8 MiB is in flight"; it may be exceeded by less than one batch."""
    parts = opened()
    for _ in range(20):
        parts.proposer.enqueue(bytes(BATCH_BYTES))
    parts.proposer.pump(NOW)
    sizes = [weight(Entry(slot, MINE, value)) for slot, value in proposals(parts)]
    assert sum(sizes) >= WINDOW_BYTES > sum(sizes[:-1])


@settings(max_examples=60)
@given(
    st.lists(st.one_of(st.integers(0, 50), st.integers(300_000, BATCH_BYTES + 10)), max_size=30), st.integers(0, 2500)
)
def test_batches(sizes: list[int], small: int) -> None:
    """DESIGN §3: "≤ 1,000 commands or 1 MiB". Nothing is lost, doubled or reordered, and no batch is cut short."""
    parts = opened()
    payloads = [bytes([index % 251]) * size for index, size in enumerate(sizes)] + [b"s"] * small
    for payload in payloads:
        parts.proposer.enqueue(payload)
    batches: list[tuple[bytes, ...]] = []
    while parts.proposer.pump(NOW):
        for slot, value in proposals(parts):
            batches.append(value.payloads)
            vote(parts, 1, slot)
            vote(parts, 2, slot)
    assert [each for batch in batches for each in batch] == payloads
    for batch, following in zip(batches, [*batches[1:], ()], strict=False):
        size = sum(map(len, batch))
        assert 0 < len(batch) <= BATCH_COMMANDS
        assert size <= BATCH_BYTES or len(batch) == 1
        assert not following or len(batch) == BATCH_COMMANDS or size + len(following[0]) > BATCH_BYTES


def test_slots_are_chosen_in_order_whatever_the_order_of_votes() -> None:
    """A majority for a later slot waits for the earlier ones."""
    parts = opened()
    for word in (b"a", b"b", b"c"):
        parts.proposer.enqueue(word)
        parts.proposer.pump(NOW)
    vote(parts, 1, 1, 2, 3)
    assert vote(parts, 3, 2, 3) == []
    assert vote(parts, 2, 1) == [1, 2, 3]
    assert parts.proposer.undecided == 0
    assert parts.proposer.drained


def test_votes_that_do_not_count() -> None:
    """Repetitions, learners, old incarnations, other ballots."""
    parts = opened(known=configuration(1, 2, 3, learners=(4,)))
    parts.proposer.enqueue(b"a")
    parts.proposer.pump(NOW)
    assert vote(parts, 2, 1) == []
    assert vote(parts, 2, 1) == []
    assert vote(parts, 4, 1) == []
    assert vote(parts, 3, 1, incarnation=999) == []
    other = Accepted(ballot(8, 1), 103, (1,), 0, NOW, 0)
    assert parts.proposer.on_accepted(3, other) == []
    assert vote(parts, 3, 1) == [1]


def test_resent_to_those_that_did_not_vote() -> None:
    """Links may lose what a broken connection held; others are left alone."""
    parts = opened(size=5)
    parts.proposer.enqueue(b"a")
    parts.proposer.pump(NOW)
    vote(parts, 1, 1)
    vote(parts, 3, 1)
    parts.sent()
    parts.proposer.resend(NOW + RESEND_AFTER - 1)
    assert parts.outbox.messages == []
    parts.proposer.resend(NOW + RESEND_AFTER)
    assert [envelope.to for envelope in parts.outbox.messages] == [2, 4, 5]
    parts.sent()
    parts.proposer.resend(NOW + RESEND_AFTER + 1)
    assert parts.sent() == []


def test_what_is_resent_is_bounded_in_bytes() -> None:
    """Slow disks and links must not have the whole window piled upon them: the oldest first, one at least."""
    parts = opened()
    for _ in range(5):
        parts.proposer.enqueue(bytes(BATCH_BYTES // 2))
        parts.proposer.pump(NOW)
    parts.proposer.enqueue(bytes(2 * BATCH_BYTES))
    parts.proposer.pump(NOW)
    rounds: list[list[Slot]] = []
    parts.sent()
    for beat in range(4):
        parts.proposer.resend(NOW + RESEND_AFTER + beat)
        rounds.append([each.slot for each in parts.sent() if isinstance(each, Accept)])
    # Once for each of the three voters.
    assert [sorted(set(slots)) for slots in rounds] == [[1, 2], [3, 4], [5, 6], []]
    assert all(slots.count(slot) == 3 for slots in rounds for slot in slots)


def test_running_phase_1_again_keeps_queue_and_loses_nothing() -> None:
    """DESIGN §3: what was in flight comes back through promises, our own included; the queue waits."""
    parts = opened()
    parts.proposer.enqueue(b"a")
    parts.proposer.pump(NOW)
    parts.proposer.enqueue(b"b")
    proposals(parts)
    higher = ballot(12, 1)
    parts.proposer.prepare(higher)
    assert not parts.proposer.drained
    assert not parts.proposer.pump(NOW)
    held = Entry(1, MINE, commands("a"))
    for replica in (1, 3):
        parts.proposer.on_promise(replica, Promise(higher, 100 + replica, 0, (held,) if replica == 1 else ()))
    parts.proposer.open(NOW)
    assert proposals(parts) == [(1, commands("a")), (2, commands("b"))]


def test_in_phase_1_nothing_counts_as_drained() -> None:
    """A hand-over would leave behind what is still open."""
    assert not preparing().proposer.drained
    assert opened().proposer.drained


def test_out_of_office_everything_is_forgotten() -> None:
    """Its proposers are told by the role change."""
    parts = opened()
    parts.proposer.enqueue(b"a")
    parts.proposer.change(configuration(1, 2))
    parts.proposer.close()
    assert parts.proposer.phase is Phase.IDLE
    assert parts.proposer.undecided == 0
    assert not parts.proposer.changing
    assert not parts.proposer.pump(NOW)
    assert vote(parts, 2, 1) == []


def test_learners_get_proposals_too() -> None:
    """They follow the log as it grows."""
    parts = opened(known=Configuration((member(1), member(2)), (member(5),)))
    parts.proposer.enqueue(b"a")
    parts.proposer.pump(NOW)
    assert [envelope.to for envelope in parts.outbox.messages] == [2, 5]
