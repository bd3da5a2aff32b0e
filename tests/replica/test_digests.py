"""Judging digests (DESIGN §3 Digest): a majority is right, a minority stops, without a majority writes stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.paxos.configuration import Configuration, Member
from chubby.replica.digests import KEEP_SLOTS, DigestWatch, Verdict

CELL = Configuration(tuple(Member(number, 100 + number) for number in range(1, 6)))
A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def verdict(mine: bytes | None, others: dict[int, bytes]) -> Verdict:
    """What replica 1 concludes from its own digest and those of others."""
    watch = DigestWatch((1, 101))
    if mine is not None:
        watch.report((1, 101), 7, mine)
    for replica, digest in others.items():
        watch.report((replica, 100 + replica), 7, digest)
    return watch.judge(7, CELL)


@pytest.mark.parametrize(
    ("mine", "others", "expected"),
    [
        (None, {2: A, 3: A, 4: A}, Verdict.OPEN),
        (A, {}, Verdict.OPEN),
        (A, {2: A}, Verdict.OPEN),
        (A, {2: A, 3: A}, Verdict.AGREED),
        (A, {2: A, 3: B, 4: A}, Verdict.AGREED),
        (A, {2: B, 3: B}, Verdict.OPEN),
        (A, {2: B, 3: B, 4: B}, Verdict.OUTVOTED),
        (A, {2: A, 3: B, 4: B, 5: B}, Verdict.OUTVOTED),
        (A, {2: A, 3: B, 4: B, 5: C}, Verdict.SPLIT),
        (A, {2: A, 3: B, 4: B}, Verdict.OPEN),
    ],
)
def test_a_majority_decides(mine: bytes | None, others: dict[int, bytes], expected: Verdict) -> None:
    """DESIGN §3 Digest: "A minority that differs stops and rebuilds; with no majority writes stop"."""
    assert verdict(mine, others) is expected


def test_only_incarnations_of_the_configuration_count() -> None:
    """DESIGN §3 Incarnations: reports of a former life, or of a learner, make no majority."""
    watch = DigestWatch((1, 101))
    watch.report((1, 101), 7, A)
    for replica in (2, 3, 4):
        watch.report((replica, 999), 7, B)
    assert watch.judge(7, CELL) is Verdict.OPEN


def test_a_learner_is_outvoted_without_being_counted() -> None:
    """A learner with another state has to rebuild as well."""
    watch = DigestWatch((9, 109))
    watch.report((9, 109), 7, A)
    for replica in (2, 3, 4):
        watch.report((replica, 100 + replica), 7, B)
    assert watch.judge(7, CELL) is Verdict.OUTVOTED


def test_old_reports_are_forgotten() -> None:
    """Memory is bounded: only the newest slots are kept."""
    watch = DigestWatch((1, 101))
    for slot in range(1, KEEP_SLOTS + 2):
        for replica in range(1, 4):
            watch.report((replica, 100 + replica), slot, A)
    assert watch.judge(1, CELL) is Verdict.OPEN
    assert watch.judge(KEEP_SLOTS + 1, CELL) is Verdict.AGREED


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({}, Verdict.OPEN),
        ({2: A}, Verdict.OPEN),
        ({2: B}, Verdict.SPLIT),
        ({2: A, 3: B, 4: B}, Verdict.SPLIT),
        ({2: A, 3: A, 4: B}, Verdict.AGREED),
        ({2: B, 3: B, 4: B}, Verdict.OUTVOTED),
    ],
)
def test_a_closed_slot_is_judged_by_those_who_reported(others: dict[int, bytes], expected: Verdict) -> None:
    """DESIGN §3 Digest: a voter that is down must not hide that there is no majority."""
    watch = DigestWatch((1, 101))
    for replica, digest in {1: A, **others}.items():
        watch.report((replica, 100 + replica), 7, digest)
    assert watch.judge(7, CELL, closed=True) is expected


@given(st.lists(st.sampled_from([A, B, C]), min_size=5, max_size=5))
def test_no_two_replicas_are_both_told_that_they_are_right(digests: list[bytes]) -> None:
    """Whatever is reported: those who agree with a majority all hold the same digest, and nobody outvotes them."""
    agreed = set()
    for me in range(5):
        watch = DigestWatch((me + 1, 101 + me))
        for index, digest in enumerate(digests):
            watch.report((index + 1, 101 + index), 3, digest)
        outcome = watch.judge(3, CELL)
        assert outcome is not Verdict.OPEN
        if outcome is Verdict.AGREED:
            agreed.add(digests[me])
    assert len(agreed) <= 1
