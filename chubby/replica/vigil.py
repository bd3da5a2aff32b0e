"""Watching over one's own state: digests against the others', a slow scrub against rot in memory (DESIGN §3)."""

from __future__ import annotations

from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Configuration
from chubby.paxos.electorate import Vote
from chubby.replica.digests import DigestWatch, Verdict
from chubby.replica.links import DigestReport
from chubby.replica.step import Halt
from chubby.types.identity import ReplicaId, Slot
from chubby.types.time import SECOND, Duration, Instant

SCRUB_INTERVAL: Duration = SECOND
SCRUB_ROUND = 30
"""In so many intervals all rows are read, unless there are too many for that."""
SCRUB_ROWS = 200
"""Rows whose digest is recomputed per interval at most: 100,000 nodes are read in some eight minutes."""


class Vigil:
    """Finds out whether this replica may go on as it is.

    `halt` is set for good once it may not; `split` while the replicas disagree and nobody can tell who is right.
    """

    def __init__(self, me: Vote, now: Instant) -> None:
        """All is well so far."""
        self._me = me
        self._watch = DigestWatch(me)
        self._noted: Slot = -1
        self._judged: Slot = -1
        self.halt: Halt | None = None
        self.split = False
        self.scrub_at: Instant = now + SCRUB_INTERVAL

    def note(self, slot: Slot, machine: Machine, configuration: Configuration) -> DigestReport:
        """A CheckDigest was applied at `slot`: note our digest; the report is for the others.

        The comparison before is over by that: who has not reported for it is down.
        """
        if slot != self._noted:
            self._judge(self._noted, configuration, closed=True)
            self._noted = slot
        digest = machine.digest().to_bytes(16, "big")
        self._watch.report(self._me, slot, digest)
        self._judge(slot, configuration)
        return DigestReport(self._me[1], slot, digest)

    def told(self, sender: ReplicaId, report: DigestReport, configuration: Configuration) -> None:
        """Another replica reports its digest."""
        self._watch.report((sender, report.incarnation), report.slot, report.digest)
        self._judge(report.slot, configuration)

    def scrub(self, machine: Machine, now: Instant) -> None:
        """Recompute a part of the digest, if it is time to."""
        if now >= self.scrub_at:
            self.scrub_at = now + SCRUB_INTERVAL
            if not machine.scrub(min(-(-machine.rows // SCRUB_ROUND), SCRUB_ROWS)):
                self.halt = Halt.ROT

    def _judge(self, slot: Slot, configuration: Configuration, *, closed: bool = False) -> None:
        """Draw the consequence, but never one about the present from a slot older than one judged already."""
        verdict = self._watch.judge(slot, configuration, closed=closed)
        if verdict is Verdict.OUTVOTED:
            self.halt = Halt.DIGEST
        elif verdict is not Verdict.OPEN and slot >= self._judged:
            self._judged = slot
            self.split = verdict is Verdict.SPLIT
