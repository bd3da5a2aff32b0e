"""Mutants of the disk (`chubby.storage`, DESIGN §3 Disk)."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

MUTANTS: Final = (
    Mutant(
        "append_without_fsync",
        "a batch is durable when `append` returns",
        "chubby.storage.wal",
        (
            (
                "        self.file.write(self.used, data)\n        self.file.sync()\n",
                "        self.file.write(self.used, data)\n",
            ),
        ),
    ),
    Mutant(
        "torn_tail_trusted",
        "the tail is copied to a fresh segment and synced before the first vote: it may look whole and be torn",
        "chubby.storage.segment",
        (
            (
                "            self.file.write(begin, content[begin : begin + STEP])\n            self.file.sync()\n"
                "        self._done = len(content)\n",
                "            self.file.write(begin, content[begin : begin + STEP])\n"
                "        if content:\n            self.file.allocate(self.size)\n"
                "        self._done = self.size if content else 0\n",
            ),
            ("        while not self.step():\n", "        while not content and not self.step():\n"),
        ),
    ),
    Mutant(
        "rot_taken_for_torn",
        "what is rotten is not cut off: the replica rejoins as a new incarnation",
        "chubby.storage.scan",
        (
            ("    if missing is None:\n", "    if missing is None and not head.length:\n"),
            ("    if not is_zero(data, head.end):\n", "    if not is_zero(data, len(data) - SECTOR):\n"),
        ),
    ),
    Mutant(
        "summary_not_carried_on",
        "the first record of a segment says all that older ones did: the promise above all",
        "chubby.storage.wal",
        (("opening = self._summary.records() if self._active.blank else ()", "opening = ()"),),
    ),
    Mutant(
        "first_vote_of_a_slot_kept",
        "the last vote for a slot counts after a restart",
        "chubby.storage.replay",
        (
            (
                "self._entries[record.entry.slot] = record.entry",
                "self._entries.setdefault(record.entry.slot, record.entry)",
            ),
        ),
    ),
    Mutant(
        "segment_directory_not_synced",
        "the name of a segment is durable before the manifest names it",
        "chubby.storage.wal",
        (("        self._files.sync_directory(WAL)\n        segments =", "        segments ="),),
    ),
    Mutant(
        "snapshot_renamed_before_fsync",
        "snapshots are written beside, fsynced, renamed",
        "chubby.storage.snapshot_writer",
        (
            (
                "self.file.write(offset + begin, data[begin : begin + STEP])\n                    self.file.sync()",
                "self.file.write(offset + begin, data[begin : begin + STEP])",
            ),
        ),
    ),
    Mutant(
        "short_log_not_noticed",
        "a log that lost records at its end is rotten",
        "chubby.storage.replay",
        (("        if self._sequence < manifest.contents.sequence:\n", "        if self._sequence < 0:\n"),),
    ),
)
