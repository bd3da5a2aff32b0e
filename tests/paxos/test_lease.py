"""The arithmetic of the master lease (DESIGN §3 Master lease; Burrows §2.2; Paxos Made Live §5.2)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chubby.paxos.configuration import Configuration
from chubby.paxos.lease import LeaseGrant, MasterLease, believed
from chubby.types.time import MILLISECOND, SECOND
from tests.paxos.parts import ballot, configuration, member

LEASE = SECOND
drift = st.integers(0, 100_000)


@given(
    lease=st.integers(1, 60 * SECOND),
    epsilon=drift,
    master=st.floats(-1, 1),
    follower=st.floats(-1, 1),
    travel=st.integers(0, 10 * SECOND),
)
def test_belief_ends_before_the_promise(lease: int, epsilon: int, master: float, follower: float, travel: int) -> None:
    """However fast or slow both clocks run within ε, the master stops believing no later than the follower is free.
    True time: the master sends at 0, the follower handles it at `travel`.
    """
    rate_master = 1_000_000 + round(master * epsilon)
    rate_follower = 1_000_000 + round(follower * epsilon)
    # Exact, in integers: length / rate is true time.
    belief_ends = believed(lease, epsilon) * rate_follower
    promise_ends = lease * rate_master
    assert belief_ends <= promise_ends + travel * rate_master


def test_without_drift_the_lease_is_whole() -> None:
    """And with 1 % about 2 % shorter."""
    assert believed(LEASE, 0) == LEASE
    assert 979 * MILLISECOND < believed(LEASE, 10_000) < 981 * MILLISECOND


@given(
    ends=st.dictionaries(st.integers(1, 5), st.integers(0, 1000), max_size=5),
    size=st.integers(1, 5),
)
def test_a_majority_has_to_grant(ends: dict[int, int], size: int) -> None:
    """`until` is the last instant at which a majority of the voters is bound: against counting at every instant."""
    held = Configuration(tuple(member(replica) for replica in range(1, size + 1)), drift_ppm=0)
    lease = MasterLease()
    for replica, sent_at in ends.items():
        lease.grant((replica, 100 + replica), sent_at, LEASE, held)
    bound = [ends[replica] + LEASE for replica in ends if replica <= size]
    believed_until = max((end for end in bound if sum(other >= end for other in bound) > size // 2), default=0)
    assert lease.until == believed_until


def test_answers_that_come_late_or_twice_shorten_nothing() -> None:
    """An older answer says nothing new."""
    held, lease = Configuration((member(1),), drift_ppm=0), MasterLease()
    lease.grant((1, 101), 500, LEASE, held)
    lease.grant((1, 101), 100, LEASE, held)
    assert lease.until == 500 + LEASE


def test_learners_and_old_incarnations_grant_nothing() -> None:
    """DESIGN §3: "Promise, Accepted and lease grants name the incarnation"."""
    held, lease = configuration(1, 2, 3, learners=(4,)), MasterLease()
    lease.grant((1, 101), 1000, LEASE, held)
    lease.grant((4, 104), 1000, LEASE, held)
    lease.grant((3, 1103), 1000, LEASE, held)
    assert lease.until == 0
    lease.grant((3, 103), 1000, LEASE, held)
    assert lease.until > 1000


def test_a_change_of_the_voters_counts_anew() -> None:
    """A majority of three is none of four."""
    lease = MasterLease()
    for replica in (1, 2):
        lease.grant((replica, 100 + replica), 1000, LEASE, configuration(1, 2, 3))
    assert lease.until > 1000
    lease.settle(configuration(1, 2, 3, 4))
    assert lease.until == 0


def test_the_shorter_of_two_lengths_counts() -> None:
    """L may change through the log; the master goes by the shorter of its own and what was granted."""
    for granted, own in ((LEASE, LEASE // 2), (LEASE // 2, LEASE)):
        held = Configuration((member(1),), master_lease=own, drift_ppm=0)
        lease = MasterLease()
        lease.grant((1, 101), 1000, granted, held)
        assert lease.until == 1000 + LEASE // 2


def test_out_of_office_nothing_is_believed() -> None:
    """Grants of a former mastership may have been given back."""
    held, lease = configuration(1), MasterLease()
    lease.grant((1, 101), 1000, LEASE, held)
    lease.clear()
    assert lease.until == 0
    lease.settle(held)
    assert lease.until == 0


def test_a_grant_binds_against_everybody_else() -> None:
    """And until the very end of it."""
    grant = LeaseGrant()
    grant.renew(ballot(1, 1), 1000)
    assert grant.binds_against(2, 999)
    assert not grant.binds_against(2, 1000)
    assert not grant.binds_against(1, 0)


def test_a_binding_never_gets_shorter() -> None:
    """A shorter L comes into force when the longer one has run out."""
    grant = LeaseGrant()
    grant.renew(ballot(1, 1), 1000)
    grant.renew(ballot(1, 1), 500)
    assert grant.binds_against(2, 999)


def test_a_release_frees_only_what_its_ballot_bound() -> None:
    """DESIGN §3 Election: "LeaseRelease names its ballot". One that comes late leaves later grants alone."""
    grant = LeaseGrant()
    grant.renew(ballot(5, 1), 1000)
    grant.release(ballot(4, 1))
    assert grant.binds_against(2, 999)
    grant.release(ballot(9, 3))
    assert grant.binds_against(2, 999)
    grant.release(ballot(5, 1))
    assert not grant.binds_against(2, 0)


def test_a_released_ballot_binds_no_more() -> None:
    """It is "never used again": what is still on its way under it is dropped."""
    grant = LeaseGrant()
    grant.release(ballot(5, 1))
    assert grant.is_released(ballot(5, 1))
    assert grant.is_released(ballot(3, 1))
    assert not grant.is_released(ballot(6, 1))
    assert not grant.is_released(ballot(3, 2))
