"""The log of one replica as it lies in memory: what was accepted, how far it is chosen, how much is kept.

Invariants:

* every slot in `first ..= chosen` is held, without gaps, and never changes its value;
* slots above `chosen` may be sparse; each holds the entry of the highest ballot accepted there;
* slots below `first` are covered by a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable

from chubby.paxos.messages import Ballot, Entry
from chubby.types.identity import Slot

ENTRY_OVERHEAD = 64
"""What an entry is taken to weigh beside its payloads, in bytes."""


def weight(entry: Entry) -> int:
    """About how many bytes `entry` occupies."""
    return ENTRY_OVERHEAD + sum(map(len, entry.value.payloads))


class Log:
    """Accepted and chosen entries above a snapshot."""

    def __init__(self, snapshot: Slot, entries: Iterable[Entry], chosen: Slot) -> None:
        """`entries` are those recovered from disk, all above `snapshot`; `chosen` is a hint that may exceed what is
        held.
        """
        self.first = snapshot + 1
        self._entries: dict[Slot, Entry] = {entry.slot: entry for entry in entries if entry.slot > snapshot}
        self.bytes = sum(map(weight, self._entries.values()))
        self.chosen = snapshot
        while self.chosen < chosen and self.chosen + 1 in self._entries:
            self.chosen += 1

    def get(self, slot: Slot) -> Entry | None:
        """The entry at `slot`, if held."""
        return self._entries.get(slot)

    def accept(self, entry: Entry) -> None:
        """Hold `entry`; at a chosen slot only its ballot may differ from what is there."""
        assert entry.slot >= self.first, "slots below the snapshot are closed"
        before = self._entries.get(entry.slot)
        if before is not None:
            assert entry.slot > self.chosen or before.value == entry.value, "a chosen value never changes"
            self.bytes -= weight(before)
        self._entries[entry.slot] = entry
        self.bytes += weight(entry)

    def follow(self, ballot: Ballot, upto: Slot) -> list[Entry]:
        """Mark chosen what was accepted under the very `ballot` whose proposer says so, up to `upto` or the first slot
        that was not.
        """
        chosen: list[Entry] = []
        for slot in range(self.chosen + 1, upto + 1):
            entry = self._entries.get(slot)
            if entry is None or entry.ballot != ballot:
                break
            chosen.append(entry)
        self.chosen += len(chosen)
        return chosen

    def choose(self, entry: Entry) -> None:
        """The next slot is known to be chosen with `entry`, which replaces whatever was merely accepted there."""
        assert entry.slot == self.chosen + 1, "slots are chosen in order"
        self.accept(entry)
        self.chosen = entry.slot

    def above(self, slot: Slot) -> tuple[Entry, ...]:
        """Everything held above `slot`, in slot order."""
        return tuple(self._entries[held] for held in sorted(held for held in self._entries if held > slot))

    def outweighs(self, slot: Slot, limit: int) -> bool:
        """Whether the chosen entries above `slot`, which reach back that far, weigh more than `limit` bytes."""
        size = 0
        for above in range(slot + 1, self.chosen + 1):
            size += weight(self._entries[above])
            if size > limit:
                return True
        return False

    def chosen_from(self, first: Slot, limit: int) -> tuple[Entry, ...]:
        """Chosen entries from `first` on, about `limit` bytes of them but at least one if there is any."""
        assert first >= self.first, "the log does not reach back that far"
        found: list[Entry] = []
        size = 0
        for slot in range(first, self.chosen + 1):
            entry = self._entries[slot]
            size += weight(entry)
            if found and size > limit:
                break
            found.append(entry)
        return tuple(found)

    def compact(self, snapshot: Slot, keep: int) -> None:
        """A durable snapshot covers `snapshot`: forget entries up to it, oldest first, while more than `keep` bytes
        are held.
        """
        assert snapshot <= self.chosen, "only chosen slots are in a snapshot"
        while self.first <= snapshot and self.bytes > keep:
            self.bytes -= weight(self._entries.pop(self.first))
            self.first += 1

    def reset(self, snapshot: Slot) -> None:
        """A snapshot of another replica was installed: it covers everything up to `snapshot`."""
        assert snapshot > self.chosen, "a snapshot is installed to get ahead"
        self._entries = {slot: entry for slot, entry in self._entries.items() if slot > snapshot}
        self.bytes = sum(map(weight, self._entries.values()))
        self.first = snapshot + 1
        self.chosen = snapshot
