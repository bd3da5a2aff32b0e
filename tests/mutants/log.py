"""Mutants of the log (`chubby.paxos`, DESIGN §3)."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

_ACCEPTOR = "chubby.paxos.acceptor"
_PROPOSER = "chubby.paxos.proposer"

PERSISTENCE: Final = (
    Mutant(
        "vote_not_persisted",
        "what was accepted is on disk (§3 Persist before send)",
        _ACCEPTOR,
        (
            (
                "self._log.accept(entry)\n                self._outbox.persist(AcceptedRecord(entry))",
                "self._log.accept(entry)",
            ),
        ),
    ),
    Mutant(
        "accepted_before_fsync",
        "nobody's Accepted leaves before its own fsync (§3 Persist before send)",
        _ACCEPTOR,
        (("self._outbox.gate(last.ballot.replica, vote)", "self._outbox.send(last.ballot.replica, vote)"),),
    ),
    Mutant(
        "promise_not_persisted",
        "a promise outlives a crash (§3 Persist before send)",
        _ACCEPTOR,
        (("            self._outbox.persist(PromisedRecord(ballot))\n", ""),),
    ),
    Mutant(
        "promise_before_fsync",
        "nobody's Promise leaves before its own fsync (§3 Persist before send)",
        _ACCEPTOR,
        (("self._outbox.gate(sender, Promise(", "self._outbox.send(sender, Promise("),),
    ),
    Mutant(
        "learned_not_persisted",
        "what is learned takes the place of what was accepted, on disk too (§3 Commit names its ballot)",
        "chubby.paxos.learner",
        (
            (
                "                self._outbox.persist(AcceptedRecord(entry))\n                held = entry",
                "                held = entry",
            ),
        ),
    ),
    Mutant(
        "votes_lost_to_a_snapshot",
        "a fetched snapshot takes the place of what is up to its slot, not of votes above it (§3 Disk)",
        "chubby.paxos.log",
        (
            (
                "for slot, entry in self._entries.items() if slot > snapshot}",
                "for slot, entry in () if slot > snapshot}",
            ),
        ),
    ),
)

BALLOTS: Final = (
    Mutant(
        "ballot_off_by_one",
        "a ballot below the promised one is refused (§3; a candidacy takes two rounds)",
        _ACCEPTOR,
        (
            (
                "        if ballot < self.promised:\n            self._nack(",
                "        if ballot.round < self.promised.round - 2:\n            self._nack(",
            ),
            ('        assert ballot >= self.promised, "promises only rise"\n', ""),
        ),
    ),
    Mutant(
        "hole_not_filled",
        "holes get no-ops (§3)",
        _PROPOSER,
        (
            (
                "            self._again.append((slot, held.value if held is not None else NOOP))\n",
                "            if held is not None:\n                self._again.append((slot, held.value))\n",
            ),
        ),
    ),
    Mutant(
        "lowest_ballot_adopted",
        "the highest-ballot accepted value is adopted (§3)",
        _PROPOSER,
        (("is None or entry.ballot > held.ballot:", "is None or entry.ballot < held.ballot:"),),
    ),
    Mutant(
        "reported_values_not_adopted",
        "what may have been chosen is proposed again (§3)",
        _PROPOSER,
        (
            (
                "        last = max(self._reported, default=0)\n",
                "        self._reported = {slot: entry for slot, entry in self._reported.items() if slot in "
                "self._log._entries}\n        last = max(self._reported, default=0)\n",
            ),
        ),
    ),
    Mutant(
        "commit_without_its_ballot",
        "a follower marks chosen only what it accepted under the ballot that a Commit names (§3)",
        "chubby.paxos.log",
        (("if entry is None or entry.ballot != ballot:", "if entry is None:"),),
    ),
    Mutant(
        "two_votes_are_enough",
        "a value is chosen by a majority (§3)",
        "chubby.paxos.electorate",
        (("> len(voters) // 2", ">= len(voters) // 2"),),
    ),
)

LEASES: Final = (
    Mutant(
        "lease_counted_from_receipt",
        "the master counts its lease from its send time (§3 Master lease)",
        "chubby.paxos.office",
        (("self.lease.grant(vote, message.sent_at,", "self.lease.grant(vote, now,"),),
    ),
    Mutant(
        "lease_not_shortened",
        "the master's count is shortened by the clock-rate bound (§3 Master lease)",
        "chubby.paxos.lease",
        (("return lease * (1_000_000 - drift_ppm) // (1_000_000 + drift_ppm)", "return lease"),),
    ),
    Mutant(
        "lease_without_majority",
        "the master lease needs the grants of a majority (§3 Master lease)",
        "chubby.paxos.lease",
        (("ends[configuration.quorum - 1]", "ends[configuration.quorum - 2]"),),
    ),
    Mutant(
        "no_wait_after_restart",
        "the largest lease ever granted is waited out after a restart (§3 Master lease)",
        _ACCEPTOR,
        (("self.silent_until = now + recovered.lease_bound", "self.silent_until = now"),),
    ),
    Mutant(
        "lease_bound_not_persisted",
        "the largest lease ever granted is on disk (§3 Master lease)",
        _ACCEPTOR,
        (("            self._outbox.persist(LeaseRecord(lease))\n", ""),),
    ),
    Mutant(
        "bound_too_short",
        "who answered a master's message promises no other ballot for L (§3 Master lease)",
        "chubby.paxos.lease",
        (
            (
                "return now < self.until and self.ballot.replica != replica",
                "return now + 500_000_000 < self.until and self.ballot.replica != replica",
            ),
        ),
    ),
    Mutant(
        "late_release_frees_newer_grant",
        "LeaseRelease names its ballot: what was granted under a later one stays (§3 Election; a bug once)",
        "chubby.paxos.lease",
        (
            (
                "self.ballot.replica == ballot.replica and self.ballot <= ballot:",
                "self.ballot.replica == ballot.replica:",
            ),
        ),
    ),
)

MEMBERS: Final = (
    Mutant(
        "joiner_votes_early",
        "a new incarnation does not vote for its former life: it is promoted first (§3 Incarnations)",
        "chubby.paxos.configuration",
        (
            (
                "any(voter.replica == replica and voter.incarnation == incarnation for",
                "any(voter.replica == replica for",
            ),
        ),
    ),
    Mutant(
        "snapshot_without_configuration",
        "a snapshot brings the configuration that governs from its slot on (§3 Membership)",
        "chubby.paxos.electorate",
        (
            (
                "        self._changes.clear()\n",
                "        configuration = self.latest if self.known else configuration\n        self._changes.clear()\n",
            ),
        ),
    ),
)

MUTANTS: Final = PERSISTENCE + BALLOTS + LEASES + MEMBERS
