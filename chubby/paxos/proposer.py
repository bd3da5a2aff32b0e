"""The proposer: phase 1 once over all open slots, then one round trip per batch (DESIGN §3).

While `PREPARING` it collects promises from a majority of *every* configuration it learns of: the newest chosen one
(promises may reveal newer ones) and any that was merely accepted in the open range. Then it is `OPEN`: for each open
slot it proposes again the value accepted under the highest ballot, holes get no-ops; after these, batches of what was
queued. At most `WINDOW_SLOTS` slots and `WINDOW_BYTES` bytes are undecided. A configuration travels alone: the window
is drained before it, and nothing follows until it is chosen.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator

from chubby.paxos.configuration import Configuration, Identity
from chubby.paxos.electorate import Electorate, Vote
from chubby.paxos.log import Log, weight
from chubby.paxos.messages import (
    NO_BALLOT,
    NOOP,
    Accept,
    Accepted,
    Ballot,
    Entry,
    Prepare,
    Promise,
    Value,
    ValueKind,
    configuration_of,
    configuration_value,
)
from chubby.paxos.outbox import Outbox
from chubby.types.identity import ReplicaId, Slot
from chubby.types.limits import BATCH_BYTES, BATCH_COMMANDS, WINDOW_BYTES, WINDOW_SLOTS
from chubby.types.time import MILLISECOND, Duration, Instant

RESEND_AFTER: Duration = 250 * MILLISECOND
"""An Accept that was not answered by then is sent again: links may lose what a broken connection held."""
RESEND_BYTES = BATCH_BYTES
"""About how many bytes of entries are sent again at once (one entry at least): what slow disks and links do not take
up must not be piled upon them.
"""


class Phase(enum.Enum):
    """Where the proposer is; `Peer` moves it along with the role."""

    IDLE = "idle"
    PREPARING = "preparing"
    OPEN = "open"


class _Undecided:
    """One slot in flight under our ballot."""

    __slots__ = ("entry", "sent_at", "votes")

    def __init__(self, entry: Entry, sent_at: Instant) -> None:
        self.entry = entry
        self.sent_at = sent_at
        self.votes: set[Vote] = set()


class Proposer:
    """Phase 1 and phase 2 of one replica."""

    def __init__(self, identity: Identity, log: Log, electorate: Electorate, outbox: Outbox) -> None:
        """Idle, with an empty queue."""
        self._identity = identity
        self._log = log
        self._electorate = electorate
        self._outbox = outbox
        self.phase = Phase.IDLE
        self.ballot = NO_BALLOT
        self.spoken = NO_BALLOT
        """The newest ballot whose promise is on our own disk: only this one is named to others."""
        self._asked: set[ReplicaId] = set()
        self._promises: set[Vote] = set()
        self._reported: dict[Slot, Entry] = {}
        self._again: deque[tuple[Slot, Value]] = deque()
        self._window: dict[Slot, _Undecided] = {}
        self._window_bytes = 0
        self._next: Slot = 0
        self._queue: deque[bytes] = deque()
        self._change: Configuration | None = None
        self._change_base: Slot = 0

    # --- phase 1 -------------------------------------------------------------------------------------------------

    def prepare(self, ballot: Ballot) -> None:
        """Begin phase 1 under `ballot`. What was in flight comes back through promises, our own included; the queue
        stays.
        """
        assert ballot > self.ballot, "a ballot is used once"
        self.ballot = ballot
        self.phase = Phase.PREPARING
        self._asked.clear()
        self._promises.clear()
        self._reported.clear()
        self._again.clear()
        self._window.clear()
        self._window_bytes = 0
        self.ask_rest()

    def ask_rest(self, repeat: bool = False) -> None:
        """Send Prepare to every voter concerned that was not asked yet (`repeat`: that has not answered). Gated on our
        own promise (a ballot must not be used by two lives of this replica, nor before it is on disk).
        """
        if self.phase is not Phase.PREPARING:
            return
        answered = {replica for replica, _ in self._promises}
        voters = {voter.replica for configuration in self._concerned() for voter in configuration.voters}
        for replica in sorted(voters - answered):
            if replica in self._asked and not repeat:
                continue
            self._asked.add(replica)
            if replica != self._identity.replica:
                self._outbox.gate(replica, Prepare(self.ballot, self._log.chosen))

    def on_promise(self, sender: ReplicaId, message: Promise) -> list[Entry]:
        """Count a promise; returns entries that it shows to be chosen, for the caller to learn before anything else."""
        if self.phase is not Phase.PREPARING or message.ballot != self.ballot:
            return []
        self._promises.add((sender, message.incarnation))
        if sender == self._identity.replica:
            self.spoken = self.ballot
        chosen: list[Entry] = []
        for entry in message.entries:
            if entry.slot <= message.chosen:
                chosen.append(entry)
            elif (held := self._reported.get(entry.slot)) is None or entry.ballot > held.ballot:
                self._reported[entry.slot] = entry
        return chosen

    def has_quorum(self) -> bool:
        """Whether a majority of every configuration concerned has promised."""
        return self.phase is Phase.PREPARING and all(
            configuration.is_quorum(self._promises) for configuration in self._concerned()
        )

    def open(self, now: Instant) -> None:
        """Phase 1 is won: propose again what may have been chosen, fill holes, and go on behind it."""
        assert self.has_quorum(), "phase 2 needs a majority of promises"
        self.phase = Phase.OPEN
        last = max(self._reported, default=0)
        for slot in range(self._log.chosen + 1, last + 1):
            held = self._reported.get(slot)
            self._again.append((slot, held.value if held is not None else NOOP))
        self._next = max(last, self._log.chosen) + 1
        self._reported.clear()
        self.pump(now)

    def close(self) -> None:
        """Mastership or candidacy is over; what was queued is forgotten (its proposers are told by the role change)."""
        self.phase = Phase.IDLE
        self._queue.clear()
        self._again.clear()
        self._reported.clear()
        self._window.clear()
        self._window_bytes = 0
        self._change = None

    # --- phase 2 -------------------------------------------------------------------------------------------------

    @property
    def drained(self) -> bool:
        """Whether nothing is queued or undecided, as far as is known: in phase 1 it is not."""
        return self.phase is Phase.OPEN and not (self._queue or self._again or self._window or self._change)

    @property
    def changing(self) -> bool:
        """Whether a change of the configuration is queued or undecided."""
        return (
            self._change is not None
            or any(value.kind is ValueKind.CONFIGURATION for _, value in self._again)
            or self._configuration_in_flight()
        )

    @property
    def undecided(self) -> int:
        """How many slots are in flight."""
        return len(self._window)

    def enqueue(self, payload: bytes) -> None:
        """Queue one command for the next batch."""
        self._queue.append(payload)

    def change(self, configuration: Configuration) -> None:
        """Queue a configuration; it waits until the window is drained."""
        assert not self.changing, "one change at a time"
        self._change = configuration
        self._change_base = self._electorate.since

    def pump(self, now: Instant) -> bool:
        """Propose as much as the window allows; True if anything was proposed. Called only while no fsync of ours
        runs, which is what makes batches.
        """
        before = self._next, len(self._again)
        while self.phase is Phase.OPEN and not self._configuration_in_flight():
            if self._again:
                slot, value = self._again[0]
                if (value.kind is ValueKind.CONFIGURATION and self._window) or self._full():
                    break
                self._again.popleft()
                self._propose(slot, value, now)
            elif self._change is not None:
                if self._window:
                    break
                if self._electorate.since != self._change_base:
                    self._change = None  # phase 1 brought up another one: this one was judged by what is gone
                    continue
                value = configuration_value(self._change)
                self._change = None
                self._propose_next(value, now)
            elif self._queue and not self._full():
                self._propose_next(Value(ValueKind.COMMANDS, tuple(self._batch())), now)
            else:
                break
        return before != (self._next, len(self._again))

    def on_accepted(self, sender: ReplicaId, message: Accepted) -> list[Entry]:
        """Count votes; returns the entries that became chosen thereby, in slot order."""
        if self.phase is not Phase.OPEN or message.ballot != self.ballot:
            return []
        vote = (sender, message.incarnation)
        for slot in message.slots:
            if (undecided := self._window.get(slot)) is not None:
                undecided.votes.add(vote)
        chosen: list[Entry] = []
        slot = self._log.chosen + 1
        while (undecided := self._window.get(slot)) and self._electorate.is_quorum(slot, undecided.votes):
            chosen.append(undecided.entry)
            del self._window[slot]
            self._window_bytes -= weight(undecided.entry)
            slot += 1
        return chosen

    def resend(self, now: Instant) -> None:
        """Send again the oldest undecided slots, `RESEND_BYTES` of them, to voters that have not voted for a while."""
        budget = RESEND_BYTES
        for slot in sorted(self._window):
            undecided, entry = self._window[slot], self._window[slot].entry
            if now - undecided.sent_at < RESEND_AFTER:
                continue
            if budget <= 0:
                break
            budget -= weight(entry)
            undecided.sent_at = now
            accept = Accept(entry.ballot, slot, entry.value, self._log.chosen, now)
            for voter in self._electorate.governing(slot).voters:
                if (voter.replica, voter.incarnation) not in undecided.votes:
                    self._outbox.send(voter.replica, accept)

    # --- inside --------------------------------------------------------------------------------------------------

    def _concerned(self) -> Iterator[Configuration]:
        """Every configuration whose majority phase 1 needs."""
        yield self._electorate.latest
        for slot, entry in self._reported.items():
            if slot > self._log.chosen and entry.value.kind is ValueKind.CONFIGURATION:
                yield configuration_of(entry.value)

    def _full(self) -> bool:
        return len(self._window) >= WINDOW_SLOTS or self._window_bytes >= WINDOW_BYTES

    def _configuration_in_flight(self) -> bool:
        return len(self._window) == 1 and any(
            undecided.entry.value.kind is ValueKind.CONFIGURATION for undecided in self._window.values()
        )

    def _batch(self) -> Iterator[bytes]:
        size = count = 0
        while self._queue and count < BATCH_COMMANDS and (count == 0 or size + len(self._queue[0]) <= BATCH_BYTES):
            payload = self._queue.popleft()
            size += len(payload)
            count += 1
            yield payload

    def _propose_next(self, value: Value, now: Instant) -> None:
        slot = self._next
        self._next += 1
        self._propose(slot, value, now)

    def _propose(self, slot: Slot, value: Value, now: Instant) -> None:
        assert slot > self._log.chosen and slot not in self._window, "a slot is proposed once under a ballot"
        entry = Entry(slot, self.ballot, value)
        self._window[slot] = _Undecided(entry, now)
        self._window_bytes += weight(entry)
        accept = Accept(self.ballot, slot, value, self._log.chosen, now)
        for member in self._electorate.governing(slot).members:
            self._outbox.send(member.replica, accept)
