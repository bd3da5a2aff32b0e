"""Comparing digests: does every replica hold the same state (DESIGN §3 Digest; Paxos Made Live, "Runtime consistency")?

A CheckDigest command makes every replica note its machine's digest at the same slot and tell the others. Each replica
judges for itself:

    a majority of the voters agrees with mine      AGREED      nothing to do
    a majority agrees on another one               OUTVOTED    stop and rebuild as a new incarnation (a master
    hands over first)
    voters disagree and there is no majority       SPLIT       nobody can tell who is right: writes stop
    not enough reports yet                         OPEN

A voter that is down reports nothing. Until the next comparison begins its word is waited for; then the slot is *closed*
and judged by the reports that came.
"""

from __future__ import annotations

import enum
from collections import Counter

from chubby.paxos.configuration import Configuration
from chubby.paxos.electorate import Vote
from chubby.types.identity import Slot

KEEP_SLOTS = 4
"""Reports of so many of the newest slots are kept; older ones can no longer be completed."""


class Verdict(enum.Enum):
    """What the reports for one slot say of this replica."""

    OPEN = "open"
    AGREED = "agreed"
    OUTVOTED = "outvoted"
    SPLIT = "split"


class DigestWatch:
    """Collects reports per slot and judges."""

    def __init__(self, me: Vote) -> None:
        """Nothing was reported yet."""
        self._me = me
        self._reports: dict[Slot, dict[Vote, bytes]] = {}

    def report(self, vote: Vote, slot: Slot, digest: bytes) -> None:
        """Note one report, our own included."""
        self._reports.setdefault(slot, {})[vote] = digest
        while len(self._reports) > KEEP_SLOTS:
            del self._reports[min(self._reports)]

    def judge(self, slot: Slot, configuration: Configuration, *, closed: bool = False) -> Verdict:
        """What the voters' reports for `slot` say; `closed`: whoever has not reported by now is not waited for.

        A learner may be outvoted too, but is not counted.
        """
        reports = self._reports.get(slot, {})
        mine = reports.get(self._me)
        if mine is None:
            return Verdict.OPEN
        voters = [(voter.replica, voter.incarnation) for voter in configuration.voters]
        counts = Counter(reports[voter] for voter in voters if voter in reports)
        winner = next((digest for digest, count in sorted(counts.items()) if count >= configuration.quorum), None)
        if winner is not None:
            return Verdict.AGREED if winner == mine else Verdict.OUTVOTED
        complete = closed or sum(counts.values()) == len(voters)
        return Verdict.SPLIT if complete and len(counts) > 1 else Verdict.OPEN
