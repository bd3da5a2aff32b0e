"""Leases as their holder counts them (DESIGN §5 KeepAlive)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chubby.client.lease import Lease, shortened
from chubby.types.time import SECOND

INSTANTS = st.integers(0, 10**15)
LEASES = st.integers(0, 120 * SECOND)
DRIFTS = st.integers(0, 200_000)


@given(LEASES, DRIFTS)
def test_shortened_is_the_formula_rounded_down(lease: int, drift: int) -> None:
    """DESIGN §5: lease × (1−ε)/(1+ε)."""
    short = shortened(lease, drift)
    assert short * (1_000_000 + drift) <= lease * (1_000_000 - drift)
    assert (short + 1) * (1_000_000 + drift) > lease * (1_000_000 - drift)


def test_twelve_seconds_at_one_percent() -> None:
    """The figure one sees in practice."""
    assert shortened(12 * SECOND, 10_000) == 11_762_376_237
    assert shortened(12 * SECOND, 0) == 12 * SECOND


@given(LEASES, DRIFTS, INSTANTS, st.integers(0, 10 * SECOND), st.integers(-100, 100), st.integers(-100, 100))
def test_ours_ends_before_the_masters(
    lease: int, drift: int, asked: int, flight: int, our_rate: int, their_rate: int
) -> None:
    """Whatever two clocks within ε of true time say, and however long the question flew, ours is over first.

    In true time: the master counts its lease from the receipt on a clock that may run 1+ε fast; we count from the send
    on one that may run 1−ε slow.
    """
    ours = shortened(lease, drift) * 1_000_000 // (1_000_000 + drift * our_rate // 100)
    theirs = flight + lease * 1_000_000 // (1_000_000 + drift * their_rate // 100)
    assert asked + ours <= asked + theirs + 2


@given(st.lists(st.tuples(INSTANTS, LEASES), max_size=20))
def test_a_lease_never_moves_back(renewals: list[tuple[int, int]]) -> None:
    """DESIGN §5, and the paper §2.8: a late answer to an early question changes nothing."""
    lease = Lease()
    for asked, length in renewals:
        before = lease.deadline
        moved = lease.renew(asked, length)
        assert lease.deadline == max(before, asked + length)
        assert moved == (lease.deadline > before)


@given(INSTANTS, st.integers(1, 120 * SECOND))
def test_live_is_before_the_deadline(asked: int, length: int) -> None:
    """At the deadline itself the lease is over."""
    lease = Lease()
    lease.renew(asked, length)
    assert lease.live(asked)
    assert lease.live(asked + length - 1)
    assert not lease.live(asked + length)
    assert asked <= lease.half <= asked + length // 2 + 1


def test_a_fresh_lease_is_over() -> None:
    """Nothing was granted yet."""
    assert not Lease().live(0)
    assert not Lease().live(1)
