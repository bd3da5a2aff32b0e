"""The learner: marking slots chosen, in order, and telling the rest of the replica (DESIGN §3 "Commit names its
ballot").
"""

from __future__ import annotations

from collections.abc import Iterable

from chubby.paxos.electorate import Electorate
from chubby.paxos.log import Log
from chubby.paxos.messages import NO_BALLOT, Ballot, Entry, ValueKind, configuration_of
from chubby.paxos.outbox import Outbox
from chubby.paxos.ready import AcceptedRecord, ChosenRecord
from chubby.types.identity import Slot


class Learner:
    """Advances the chosen prefix of the log; `configured` rises when a configuration was among what it learned."""

    def __init__(self, log: Log, electorate: Electorate, outbox: Outbox) -> None:
        """Reports what recovery already knows to be chosen."""
        self._log = log
        self._electorate = electorate
        self._outbox = outbox
        self._recorded = log.chosen
        self.configured = False
        if log.chosen >= log.first:
            for entry in log.chosen_from(log.first, log.bytes):
                self._report(entry)

    def follow(self, ballot: Ballot, upto: Slot) -> bool:
        """The proposer of `ballot` says that slots up to `upto` are chosen. Believed only for what was accepted under
        that very ballot: an older entry may be a value that lost. False if something is missing and has to be fetched.
        """
        for entry in self._log.follow(ballot, upto):
            self._report(entry)
        return self._log.chosen >= upto

    def learn(self, entries: Iterable[Entry]) -> Ballot:
        """These entries are chosen, whatever was accepted here before; those that are not next in line are left out.
        Returns the highest ballot among those learned.
        """
        highest = NO_BALLOT
        for entry in entries:
            if entry.slot != self._log.chosen + 1:
                continue
            held = self._log.get(entry.slot)
            if held is None or held.ballot < entry.ballot:
                self._outbox.persist(AcceptedRecord(entry))
                held = entry
            assert held.value == entry.value, "what was accepted at or above the ballot of a chosen entry is that entry"
            self._log.choose(held)
            self._report(held)
            highest = max(highest, held.ballot)
        return highest

    def record(self) -> None:
        """Note on disk how far the log is chosen, along with other records: it saves work after a restart, nothing
        depends on it.
        """
        if self._log.chosen > self._recorded:
            self._recorded = self._log.chosen
            self._outbox.persist(ChosenRecord(self._log.chosen))

    def _report(self, entry: Entry) -> None:
        self._outbox.choose(entry)
        if entry.value.kind is ValueKind.CONFIGURATION:
            if entry.slot > self._recorded:
                # Known for its own sake: who only accepted it needs the voters before it too, and they may be gone.
                self._recorded = entry.slot
                self._outbox.persist(ChosenRecord(entry.slot))
            self._electorate.chosen(entry.slot, configuration_of(entry.value))
            self.configured = True
