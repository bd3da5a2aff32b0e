"""What must never be seen, looked for after every step of the world (DESIGN §3; "Paxos Made Live" §6.2).

agreement        one value per slot, for ever, over all replicas and lives; each command at most once
durability       chosen only what a majority of the slot's voters had on disk under one ballot
order            every life reports its chosen slots one after the other
persist-first    no Prepare, Promise, Accepted or lease grant leaves before the records it speaks of are durable
promises         nothing under a lower ballot is accepted after a promise, in this life or a later one
ballots          no ballot is used by two lives
one master       at most one replica believes in its master lease at any real instant
one fsync        a Ready carries no records while earlier ones are on their way to disk
"""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

from chubby.paxos.configuration import Configuration
from chubby.paxos.electorate import Vote
from chubby.paxos.messages import (
    NO_BALLOT,
    Accept,
    Accepted,
    Ballot,
    Commit,
    Entry,
    Heartbeat,
    HeartbeatReply,
    LeaseRelease,
    Message,
    Prepare,
    Promise,
    Value,
    ValueKind,
    configuration_of,
)
from chubby.paxos.ready import AcceptedRecord, Record
from chubby.types.identity import ReplicaId, Slot
from tests.paxos.disk import Disk, Machine, link


class Life(Protocol):
    """One replica between two crashes, as the checkers see it."""

    @property
    def vote(self) -> Vote:
        """Replica and incarnation."""

    @property
    def life(self) -> int:
        """Counts all lives of the world."""

    @property
    def disk(self) -> Disk:
        """What is durable."""

    @property
    def believes(self) -> bool:
        """Whether it is master and believes in its lease at this instant."""


class Checkers:
    """Everything ever said by anybody, and the assertions over it."""

    def __init__(self, genesis: Configuration) -> None:
        """Nothing was chosen yet."""
        self.chosen: list[Value] = []
        self.chains: list[int] = [0]
        self.acknowledged: set[bytes] = set()
        self._where: dict[bytes, Slot] = {}
        self._configurations: list[tuple[Slot, Configuration]] = [(0, genesis)]
        self._durable: defaultdict[Slot, defaultdict[Ballot, set[Vote]]] = defaultdict(lambda: defaultdict(set))
        self._values: dict[tuple[Slot, Ballot], Value] = {}
        self._owner: dict[Ballot, int] = {}
        self._promised: dict[Vote, Ballot] = {}

    @property
    def latest(self) -> Configuration:
        """The newest configuration that anybody knows to be chosen."""
        return self._configurations[-1][1]

    @property
    def since(self) -> Slot:
        """The slot of the newest configuration."""
        return self._configurations[-1][0]

    # --- what is reported ----------------------------------------------------------------------------------------

    def written(self, who: Life, records: tuple[Record, ...]) -> None:
        """`who` hands out `records` to be made durable."""
        for record in records:
            if isinstance(record, AcceptedRecord):
                entry = record.entry
                before = self._values.setdefault((entry.slot, entry.ballot), entry.value)
                assert before == entry.value, f"two values at slot {entry.slot} under {entry.ballot}"
                if entry.ballot < self._promised.get(who.vote, NO_BALLOT):
                    assert self._known(entry), f"{who.vote} accepted {entry} below its promise"

    def durable(self, who: Life, records: tuple[Record, ...]) -> None:
        """`records` are on the disk of `who`."""
        for record in records:
            if isinstance(record, AcceptedRecord):
                self._durable[record.entry.slot][record.entry.ballot].add(who.vote)

    def report(self, who: Life, machine: Machine, entry: Entry) -> None:
        """`who`, in state `machine`, reports `entry` as chosen."""
        assert entry.slot == machine.slot + 1, f"{who.vote} reports slot {entry.slot} behind {machine.slot}"
        if entry.slot <= len(self.chosen):
            assert self.chosen[entry.slot - 1] == entry.value, f"slot {entry.slot} has two values, says {who.vote}"
            return
        assert entry.slot == len(self.chosen) + 1, "the first report of a slot follows that of the slot before"
        self._check_majority(entry)
        for payload in entry.value.payloads if entry.value.kind is ValueKind.COMMANDS else ():
            assert payload not in self._where, f"{payload!r} chosen at {self._where[payload]} and {entry.slot}"
            self._where[payload] = entry.slot
        self.chosen.append(entry.value)
        self.chains.append(link(self.chains[-1], entry))
        if entry.value.kind is ValueKind.CONFIGURATION:
            self._check_change(configuration_of(entry.value))
            self._configurations.append((entry.slot, configuration_of(entry.value)))

    def installed(self, machine: Machine) -> None:
        """A replica put a fetched state in place of its own."""
        assert machine.chain == self.chains[machine.slot], f"the snapshot at {machine.slot} is of another history"

    # --- what leaves ---------------------------------------------------------------------------------------------

    def leaves(self, who: Life, to: ReplicaId, message: Message) -> None:
        """`message` leaves the process of `who`."""
        match message:
            case Prepare() | Accept() | Commit() | Heartbeat() | LeaseRelease():
                owner = self._owner.setdefault(message.ballot, who.life)
                assert owner == who.life, f"{message.ballot} is used by two lives"
                assert who.disk.bound_by(message.ballot), f"{type(message).__name__} before its promise is durable"
            case Promise():
                assert who.disk.bound_by(message.ballot), "Promise before it is durable"
                self._promised[who.vote] = max(message.ballot, self._promised.get(who.vote, NO_BALLOT))
            case Accepted():
                for slot in message.slots:
                    assert who.disk.holds(slot, message.ballot), f"Accepted {slot} before it is durable (to {to})"
                assert who.disk.lease_bound >= message.lease, "a lease is granted before its bound is durable"
            case HeartbeatReply():
                assert who.disk.lease_bound >= message.lease, "a lease is granted before its bound is durable"
            case _:
                pass

    # --- every instant -------------------------------------------------------------------------------------------

    def one_master(self, lives: list[Life]) -> None:
        """At most one of those that run believes in its lease."""
        believers = [who.vote for who in lives if who.believes]
        assert len(believers) <= 1, f"two masters believe in their leases: {believers}"

    # --- inside --------------------------------------------------------------------------------------------------

    def _known(self, entry: Entry) -> bool:
        return entry.slot <= len(self.chosen) and self.chosen[entry.slot - 1] == entry.value

    def _check_majority(self, entry: Entry) -> None:
        governing = next(held for slot, held in reversed(self._configurations) if slot < entry.slot)
        for ballot, votes in self._durable[entry.slot].items():
            if self._values[entry.slot, ballot] == entry.value and governing.is_quorum(votes):
                return
        raise AssertionError(f"slot {entry.slot} chosen without a majority of {governing.voters}")

    def _check_change(self, configuration: Configuration) -> None:
        before = {(voter.replica, voter.incarnation) for voter in self.latest.voters}
        after = {(voter.replica, voter.incarnation) for voter in configuration.voters}
        assert len(before ^ after) <= 1, f"more than one voter changed: {before ^ after}"
