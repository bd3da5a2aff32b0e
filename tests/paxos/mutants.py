"""Every safety rule of the log broken once, to see that some test fails ("Paxos Made Live" §6.2: seeded known bugs).

    .venv/bin/python -m tests.paxos.mutants [FIRST [LAST]]

copies the checkout's `chubby` and `tests/paxos` aside, breaks one rule at a time, runs the tests of this room, and
prints which test noticed first. `test_mutants.py` sees to it that each mutant still finds the line it breaks.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]


OWN_TESTS = {"station": "peer", "office": "peer", "learner": "peer", "configuration": "electorate"}
"""Which tests to run first for a module without tests under its own name."""


class Mutant(msgspec.Struct, frozen=True):
    """One rule, the module it lives in, and what to write instead."""

    rule: str
    module: str
    before: str
    after: str


M = Mutant
MUTANTS = (
    M("Prepare is gated", "proposer", "self._outbox.gate(replica, Prepare(", "self._outbox.send(replica, Prepare("),
    M("Promise is gated", "acceptor", "self._outbox.gate(sender, Promise(", "self._outbox.send(sender, Promise("),
    M(
        "Accepted is gated",
        "acceptor",
        "self._outbox.gate(last.ballot.replica, vote)",
        "self._outbox.send(last.ballot.replica, vote)",
    ),
    M(
        "a lease grant is gated on its bound",
        "acceptor",
        "if synced and self._bound_synced and self.is_voter:",
        "if self.is_voter:",
    ),
    M("a learner's answer is gated", "acceptor", "self._bound_synced and self.is_voter:", "self._bound_synced:"),
    M(
        "no promise while leased",
        "acceptor",
        "if self.grant.binds_against(replica, now):\n            wait",
        "if False:\n            wait",
    ),
    M("nobody else is followed while leased", "acceptor", "self.grant.binds_against(sender, now) or ", ""),
    M(
        "silence after a restart",
        "acceptor",
        "self.silent_until = now + recovered.lease_bound",
        "self.silent_until = now",
    ),
    M("silence after a promotion", "acceptor", "self.silent_until = max(self.silent_until, now + lease)", "pass"),
    M("silence of a voter by snapshot", "acceptor", "if recovered.snapshot and self.is_voter:", "if False:"),
    M("the lease bound is persisted", "acceptor", "self._outbox.persist(LeaseRecord(lease))", "pass"),
    M(
        "a lower ballot is not accepted",
        "acceptor",
        "        if ballot < self.promised:\n",
        "        if False:\n",
    ),
    M("a lower ballot is not promised", "acceptor", "elif ballot < self.promised:", "elif False:"),
    M(
        "an accept is a promise",
        "acceptor",
        "        self._promise(message.ballot)\n        if slot >= self._log.first:",
        "        if slot >= self._log.first:",
    ),
    M("the promise is persisted", "acceptor", "self._outbox.persist(PromisedRecord(ballot))", "pass"),
    M(
        "an entry learned implies a promise",
        "acceptor",
        "if ballot > self.promised:\n            self._promise(ballot)",
        "pass",
    ),
    M("who is behind is sent to catch up", "acceptor", "elif message.chosen + 1 < self._log.first:", "elif False:"),
    M(
        "who is no member promises nothing",
        "acceptor",
        "if not self._electorate.is_member(self._identity.replica, self._identity.incarnation):",
        "if False:",
    ),
    M(
        "a learner that is asked waits out L",
        "acceptor",
        "self._may_be_voter = True\n            self.promoted(now)",
        "self._may_be_voter = True",
    ),
    M(
        "an answer grants what was bound",
        "acceptor",
        "            self._votes_lease,\n",
        "            self._electorate.latest.master_lease,\n",
    ),
    M("an accept binds", "acceptor", "self.grant.renew(ballot, now + lease)", "pass"),
    M("promises tell what was accepted", "acceptor", "entries = self._log.above(message.chosen)", "entries = ()"),
    M("a release names its ballot", "lease", "== ballot.replica and self.ballot <= ballot", "== ballot.replica"),
    M("a released ballot is dead", "lease", "return ballot <= self._released and", "return False and"),
    M(
        "a binding never gets shorter",
        "lease",
        "max(until, self.until) if self.ballot.replica == ballot.replica else until",
        "until",
    ),
    M(
        "belief is shortened by ε",
        "lease",
        "return lease * (1_000_000 - drift_ppm) // (1_000_000 + drift_ppm)",
        "return lease",
    ),
    M("a majority grants the lease", "lease", "ends[configuration.quorum - 1]", "ends[configuration.quorum - 2]"),
    M(
        "the lease counts from the send time",
        "office",
        "self.lease.grant(vote, message.sent_at,",
        "self.lease.grant(vote, now,",
    ),
    M("only grants of this mastership count", "office", "if message.ballot >= self.since:", "if True:"),
    M(
        "a lapsed master steps down",
        "office",
        "return now >= self.lease.until and now >= self._patience",
        "return False",
    ),
    M("out of office nothing is believed", "office", "self.lease.clear()", "pass"),
    M(
        "a release ends the office",
        "station",
        "self._step_down(now, rest=self.electorate.latest.master_lease)",
        "self.office._release_by = NEVER",
    ),
    M(
        "a removed master steps down",
        "station",
        "self.office.release(self.proposer.spoken, True, now)\n                self._step_down(now)",
        "return",
    ),
    M("a removed master releases", "station", "self.office.release(self.proposer.spoken, True, now)\n", "pass\n"),
    M("those left out are told", "station", "self.office.tell_removed(self.proposer.spoken)", "pass"),
    M("a change of voters counts leases anew", "station", "self.office.lease.settle(self.electorate.latest)", "pass"),
    M("a nacked master keeps its office", "station", "if now < self.office.lease.until:", "if False:"),
    M("a nacked master without lease steps down", "station", "if now < self.office.lease.until:", "if True:"),
    M("an old nack is no news", "station", "if message.ballot != self.proposer.ballot:\n            return", "pass"),
    M(
        "a follower of another master steps down",
        "station",
        "        if self.role is Role.MASTER:\n            self._step_down(now)\n            self.master = sender\n",
        "        if self.role is Role.MASTER:\n            pass\n",
    ),
    M(
        "a candidacy is above all promises",
        "station",
        "self.election.saw(self.acceptor.promised)\n        ballot =",
        "ballot =",
    ),
    M(
        "who promised lets the candidate have its time",
        "station",
        "self.election.wait_until(max(now + self.election.patience, self.acceptor.grant.until))",
        "pass",
    ),
    M(
        "a canvass shows what is missing",
        "station",
        "self._miss(sender, message.chosen, now)\n                self.acceptor.on_canvass",
        "self.acceptor.on_canvass",
    ),
    M(
        "a promotion is waited out",
        "station",
        "if changed:\n                self.acceptor.promoted(now)",
        "if False:\n                self.acceptor.promoted(now)",
    ),
    M("commit names its ballot", "log", "if entry is None or entry.ballot != ballot:", "if entry is None:"),
    M(
        "a snapshot keeps votes above it",
        "log",
        "if slot > snapshot}\n        self.bytes",
        "if slot < 0}\n        self.bytes",
    ),
    M(
        "the hint is believed as far as entries reach",
        "log",
        "while self.chosen < chosen and self.chosen + 1 in self._entries:",
        "while self.chosen + 1 in self._entries:",
    ),
    M(
        "the highest ballot is adopted",
        "proposer",
        "is None or entry.ballot > held.ballot:",
        "is None or entry.ballot < held.ballot:",
    ),
    M(
        "holes are filled",
        "proposer",
        "self._again.append((slot, held.value if held is not None else NOOP))",
        "held and self._again.append((slot, held.value))",
    ),
    M(
        "what may be chosen is proposed again",
        "proposer",
        "self._next = max(last, self._log.chosen) + 1",
        "self._again.clear()\n        self._next = self._log.chosen + 1",
    ),
    M(
        "phase 1 needs every configuration",
        "proposer",
        "if slot > self._log.chosen and entry.value.kind is ValueKind.CONFIGURATION:",
        "if False:",
    ),
    M(
        "phase 1 needs the old configuration too",
        "proposer",
        "        yield self._electorate.latest\n        for",
        "        if not self._reported:\n            yield self._electorate.latest\n        for",
    ),
    M(
        "promises are of this ballot",
        "proposer",
        "if self.phase is not Phase.PREPARING or message.ballot != self.ballot:",
        "if self.phase is not Phase.PREPARING:",
    ),
    M(
        "votes are of this ballot",
        "proposer",
        "if self.phase is not Phase.OPEN or message.ballot != self.ballot:",
        "if self.phase is not Phase.OPEN:",
    ),
    M(
        "the window is drained before a configuration",
        "proposer",
        "            elif self._change is not None:\n                if self._window:\n                    break",
        "            elif self._change is not None:",
    ),
    M(
        "an adopted configuration is alone",
        "proposer",
        "if (value.kind is ValueKind.CONFIGURATION and self._window) or self._full():",
        "if self._full():",
    ),
    M(
        "nothing follows a configuration",
        "proposer",
        "while self.phase is Phase.OPEN and not self._configuration_in_flight():",
        "while self.phase is Phase.OPEN:",
    ),
    M(
        "a change judged by another base is dropped",
        "proposer",
        "if self._electorate.since != self._change_base:",
        "if False:",
    ),
    M("in phase 1 nothing is drained", "proposer", "return self.phase is Phase.OPEN and not (", "return not ("),
    M(
        "an unspoken ballot is not named",
        "proposer",
        "        if sender == self._identity.replica:\n            self.spoken",
        "        if True:\n            self.spoken",
    ),
    M(
        "heartbeats name a spoken ballot",
        "station",
        "self.office.beat(self.proposer.spoken, now)",
        "self.office.beat(self.proposer.ballot, now)",
    ),
    M(
        "commits name a spoken ballot",
        "peer",
        "tell_chosen(self._station.proposer.spoken,",
        "tell_chosen(self._station.proposer.ballot,",
    ),
    M("the window has an end", "proposer", "return len(self._window) >= WINDOW_SLOTS or", "return"),
    M("the window's bytes have an end", "proposer", " or self._window_bytes >= WINDOW_BYTES", ""),
    M("a batch has an end", "proposer", "count < BATCH_COMMANDS and ", ""),
    M("a batch's bytes have an end", "proposer", " <= BATCH_BYTES)", " <= 9 * BATCH_BYTES)"),
    M("lost Accepts are sent again", "station", "self.proposer.resend(now)", "pass"),
    M("quorum is a majority", "electorate", "> len(voters) // 2", ">= len(voters) // 2"),
    M(
        "quorum of phase 1 is a majority",
        "configuration",
        "return len(self.voters) // 2 + 1",
        "return (len(self.voters) + 1) // 2",
    ),
    M(
        "incarnations count",
        "electorate",
        "sum(vote in voters for vote in votes)",
        "len({r for r, _ in votes} & {r for r, _ in voters})",
    ),
    M(
        "incarnations count in phase 1",
        "configuration",
        "voter.replica == replica and voter.incarnation == incarnation for",
        "voter.replica == replica for",
    ),
    M(
        "learners do not vote",
        "electorate",
        "for voter in configuration.voters)",
        "for voter in configuration.members)",
    ),
    M(
        "a configuration governs the next slot",
        "electorate",
        "if self._changes[index][0] < slot:",
        "if self._changes[index][0] <= slot:",
    ),
    M("what is learned is persisted", "learner", "self._outbox.persist(AcceptedRecord(entry))\n", "pass\n"),
    M("a higher vote is kept", "learner", "held.ballot < entry.ballot:", "held.ballot != entry.ballot:"),
    M("a chosen configuration is recorded", "learner", "self._outbox.persist(ChosenRecord(entry.slot))", "pass"),
    M(
        "only the next slot is learned",
        "learner",
        "if entry.slot != self._log.chosen + 1:\n                continue",
        "if entry.slot <= self._log.chosen:\n                continue",
    ),
    M(
        "one fsync at a time",
        "peer",
        "if self._syncing_since == NEVER:\n            if outbox.records:",
        "if True:\n            if outbox.records:",
    ),
    M(
        "our own gated messages wait",
        "peer",
        "self._held_back, outbox.looped_gated = outbox.looped_gated, []",
        "outbox.looped += outbox.looped_gated\n                outbox.looped_gated = []",
    ),
    M("a slow disk hands over", "peer", "if now - self._syncing_since > SLOW_SYNC:", "if False:"),
    M("a late snapshot is refused", "peer", "return slot > self._station.log.chosen and", "return"),
    M(
        "news do not disturb a fetch",
        "catchup",
        "self.retry_at == NEVER and self._offer is None and",
        "self.retry_at == NEVER and",
    ),
    M(
        "the same offer is no news",
        "catchup",
        "if self._offer is not None and (message.slot, message.size)",
        "if False and (message.slot, message.size)",
    ),
    M(
        "the next source is asked",
        "catchup",
        "self._ask(later[0] if later else others[0], now)",
        "self._ask(self._source, now)",
    ),
    M("one voter at a time", "membership", "if len(before ^ after) > 1:", "if False:"),
    M("the quorum is not endangered", "membership", "if alive < wanted.quorum:", "if False:"),
    M(
        "a learner has caught up",
        "membership",
        "if caught_up and self.progress.alive(learner, now):",
        "if self.progress.alive(learner, now):",
    ),
    M("not while the former life is alive", "membership", " or self.progress.alive(former, now):", ":"),
    M("canvass before Prepare", "acceptor", "would = self.is_voter and wait == 0 and", "would = self.is_voter and"),
    M("patience grows", "election", "PREPARE_TIMEOUT << min(self._attempts, 3)", "PREPARE_TIMEOUT"),
    M(
        "a canvass needs a majority",
        "election",
        "return self._electorate.latest.is_quorum(self._willing)",
        "return bool(self._willing)",
    ),
    M(
        "only answers to this canvass count",
        "election",
        "message.would and message.round == self._asked_round",
        "message.would",
    ),
)


def broken(mutant: Mutant, source: Path = ROOT) -> str:
    """The module with the rule broken."""
    text = (source / "chubby" / "paxos" / f"{mutant.module}.py").read_text(encoding="utf-8")
    assert text.count(mutant.before) == 1, f"{mutant.rule}: {text.count(mutant.before)} places in {mutant.module}.py"
    return text.replace(mutant.before, mutant.after)


def first_failure(mutant: Mutant) -> str:
    """The first test that notices, or an empty string."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        shutil.copytree(ROOT / "chubby", copy / "chubby")
        shutil.copytree(ROOT / "tests" / "paxos", copy / "tests" / "paxos")
        for name in ("tests/__init__.py", "tests/conftest.py", "setup.cfg"):
            shutil.copy(ROOT / name, copy / name)
        (copy / "chubby" / "paxos" / f"{mutant.module}.py").write_text(broken(mutant), encoding="utf-8")
        own = f"tests/paxos/test_{OWN_TESTS.get(mutant.module, mutant.module)}.py"
        return failing(copy, own) or failing(copy, "tests/paxos", "--deselect", "tests/paxos/test_mutants.py")


def failing(place: Path, *what: str) -> str:
    """Run these tests until one fails; its name."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *what]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=900)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0] if lines else ("" if done.returncode == 0 else done.stdout[-200:])


def main(arguments: list[str]) -> int:
    """Break them all, or some."""
    first, last = (*map(int, arguments), *(0, len(MUTANTS))[len(arguments) :])[:2]
    survivors = 0
    for number, mutant in enumerate(MUTANTS[first:last], first):
        noticed = first_failure(mutant)
        survivors += not noticed
        print(f"{number:3} {mutant.rule}: {noticed or 'SURVIVES'}", flush=True)
    print(f"{survivors} survive")
    return survivors > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
