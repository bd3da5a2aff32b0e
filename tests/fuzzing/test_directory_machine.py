"""A data directory that also rots: any work, restarts, power losses, flipped bits, lost files (DESIGN §3 Disk).

`tests.storage.test_machine` has the work and the crashes; here bytes change under it. What must hold: a start either
gives back all that was synced, or refuses *having changed nothing*: with the byte put right again, all of it is there.
"""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from chubby.errors import CorruptData
from chubby.paxos.ready import Recovered
from chubby.storage.faults import ForeignData
from chubby.storage.snapshots import ROTTEN
from tests.storage.fake_files import FakeFiles, nothing
from tests.storage.samples import Batch, expected, reopened, same_log, slices
from tests.storage.test_machine import DiskAtWork


def files_of(files: FakeFiles) -> list[str]:
    """The files there are, but for the lock and what was put aside."""
    names = (name for name in files.tree() if not files.is_directory(name))
    return [name for name in names if files.contents(name) and not name.endswith(ROTTEN)]


class DiskThatRots(DiskAtWork):
    """The model, and whether a snapshot was ever lost: what the log said of slots being chosen is void then."""

    def __init__(self) -> None:
        """Nothing has rotted."""
        super().__init__()
        self.doubted = False
        self.refused = 0

    @rule(data=st.data(), bit=st.integers(0, 7))
    def a_bit_flips(self, data: st.DataObject, bit: int) -> None:
        """While the replica is down. It starts with all it had, or not before the bit is put right."""
        self._stop()
        files = files_of(self.files)
        log = [name for name in files if name.endswith(".wal") and any(self.files.contents(name))]
        name = data.draw(st.sampled_from(log or files) | st.sampled_from(files))
        content = self.files.contents(name)
        # Half of them where something is written: most of a segment is zeros.
        written = [offset for offset, byte in enumerate(content) if byte] or [0]
        offset = data.draw(st.sampled_from(written) | st.integers(0, len(content) - 1))
        self.files.rot(name, offset, bytes((content[offset] ^ 1 << bit,)))
        if not self._start():
            self.files.rot(name, offset, content[offset : offset + 1])
            assert self._start(), "a refused start changes nothing"

    @rule(data=st.data())
    def a_file_is_lost(self, data: st.DataObject) -> None:
        """And comes back, if it was needed."""
        self._stop()
        name = data.draw(st.sampled_from(files_of(self.files)))
        content = self.files.contents(name)
        self.files.remove(name)
        if not self._start():
            file = self.files.create(name)
            file.write(0, content)
            file.sync()
            file.close()
            self.files.sync_directory(name.rpartition("/")[0])
            assert self._start(), "a refused start changes nothing"

    def _stop(self) -> None:
        """Down, and only what was synced is there: it is that which rots."""
        self.opened.close()
        self.files.power_loss(nothing)
        self.pinned.clear()

    def _start(self) -> bool:
        """Whether there was a start; it must be the right one."""
        try:
            self.opened = reopened(self.files, self.size)
        except (CorruptData, ForeignData):
            self.refused += 1
            return False
        left = list(self.opened.snapshots.slots)
        assert set(left) <= set(self.snapshots), "no snapshot appears"
        self.doubted = self.doubted or left != self.snapshots
        self.snapshots = left
        self._compare([])
        return True

    def _compare(self, under_way: list[Batch]) -> None:
        """As before, but that a lost snapshot makes what was known to be chosen doubtful."""
        if not self.doubted:
            super()._compare(under_way)
            return
        found, base = self._certain(self.opened.recovered), self.opened.recovered.snapshot
        if not same_log(found, self._certain(expected(self.kept, base))):
            assert same_log(found, self._certain(expected([*self.kept, *under_way], base)))
            self.kept += under_way
        if base:
            with self.opened.snapshots.reader(base) as reader:
                assert tuple(reader.slices()) == slices(base)

    def _certain(self, recovered: Recovered) -> Recovered:
        return msgspec.structs.replace(recovered, chosen=0)


TestDiskThatRots = DiskThatRots.TestCase
TestDiskThatRots.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
