"""A disk and its replica at random: any order of work, restarts and disasters, against a model of four variables."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chubby.paxos.ready import Record
from chubby.storage.life import OpenedDirectory
from chubby.storage.records import SECTOR
from chubby.types.identity import Slot
from tests.storage.fake_files import Coin, FakeFiles, everything, nothing
from tests.storage.interference import CrashAt, Crashed
from tests.storage.samples import Batch, coin, expected, formatted, records, reopened, same_log, slices, snapshot
from tests.storage.test_snapshots import receive, whole

batch = st.lists(records(), min_size=1, max_size=4).map(tuple)
coins = st.one_of(
    st.just(nothing),
    st.just(everything),
    st.integers(0, 2**32).map(coin),
)


class DiskAtWork(RuleBasedStateMachine):
    """The model: batches kept, the slots of snapshots kept, how many pins, and how large segments are."""

    def __init__(self) -> None:
        """An empty disk."""
        super().__init__()
        self.files = FakeFiles()
        self.kept: list[Batch] = []
        self.snapshots: list[Slot] = [0]
        self.pinned: list[Slot] = []
        self.size = 0
        self.opened: OpenedDirectory

    @initialize(size=st.sampled_from([2 * SECTOR, 5 * SECTOR, 64 * SECTOR]))
    def begin(self, size: int) -> None:
        """Format and open."""
        self.size = size
        formatted(self.files, size)
        self.opened = reopened(self.files, size)

    @rule(records=batch)
    def append(self, records: tuple[Record, ...]) -> None:
        """A batch that gets through."""
        self.opened.wal.append(records)
        self.kept.append(records)

    @rule(records=batch, number=st.integers(0, 12), coin=coins)
    def append_and_crash(self, records: tuple[Record, ...], number: int, coin: Coin) -> None:
        """A batch that is cut short, unless it gets through first: it may be there afterwards or not, then for good."""
        self.files.interference = CrashAt(number)
        try:
            self.opened.wal.append(records)
        except Crashed:
            self._fall(coin, [records])
            return
        self.files.interference = None
        self.kept.append(records)

    @rule()
    def tend(self) -> None:
        """A quiet moment."""
        self.opened.wal.tend()

    @rule(ahead=st.integers(1, 9))
    def write_snapshot(self, ahead: int) -> None:
        """This replica's own."""
        slot = self.snapshots[-1] + ahead
        snapshot(self.opened, slot)
        self.snapshots.append(slot)

    @rule(ahead=st.integers(1, 9), chunk=st.integers(20, 400))
    def receive_snapshot(self, ahead: int, chunk: int) -> None:
        """Somebody else's."""
        slot = self.snapshots[-1] + ahead
        receive(self.opened, slot, whole(slot), chunk)
        self.snapshots.append(slot)

    @rule(data=st.data())
    def pin(self, data: st.DataObject) -> None:
        """A transfer begins."""
        slot = data.draw(st.sampled_from(self.snapshots))
        assert self.opened.snapshots.pin(slot)
        self.pinned.append(slot)

    @precondition(lambda self: self.pinned)
    @rule()
    def unpin(self) -> None:
        """A transfer ends."""
        self.opened.snapshots.unpin(self.pinned.pop())

    @rule()
    def prune(self) -> None:
        """What is not needed goes."""
        self.opened.prune()
        self.snapshots = [slot for slot in self.snapshots if slot in self.snapshots[-2:] or slot in self.pinned]

    @rule(number=st.integers(0, 12), coin=coins)
    def prune_and_crash(self, number: int, coin: Coin) -> None:
        """Cut short: what had to stay is there."""
        self.files.interference = CrashAt(number)
        try:
            self.opened.prune()
        except Crashed:
            needed = [slot for slot in self.snapshots if slot in self.snapshots[-2:] or slot in self.pinned]
            self._fall(coin, [])
            assert set(needed) <= set(self.opened.snapshots.slots) <= set(self.snapshots)
            self.snapshots = list(self.opened.snapshots.slots)
            return
        self.files.interference = None
        self.snapshots = [slot for slot in self.snapshots if slot in self.snapshots[-2:] or slot in self.pinned]

    @rule()
    def restart(self) -> None:
        """In good order."""
        self.opened.close()
        self.pinned.clear()
        self.opened = reopened(self.files, self.size)
        self._compare([])

    @rule(coin=coins)
    def power_loss(self, coin: Coin) -> None:
        """Nothing was under way; nothing may be lost."""
        self._fall(coin, [])

    @invariant()
    def store_agrees(self) -> None:
        """The snapshots there are, at any time."""
        if self.size:
            assert list(self.opened.snapshots.slots) == self.snapshots

    def _fall(self, coin: Coin, under_way: list[Batch]) -> None:
        """Down, up again, and compared."""
        self.files.power_loss(coin)
        self.pinned.clear()
        self.opened = reopened(self.files, self.size)
        self._compare(under_way)

    def _compare(self, under_way: list[Batch]) -> None:
        found = self.opened.recovered
        base = self.snapshots[-1]
        if not same_log(found, expected(self.kept, base)):
            assert same_log(found, expected([*self.kept, *under_way], base))
            self.kept += under_way
        if base:
            with self.opened.snapshots.reader(base) as reader:
                assert tuple(reader.slices()) == slices(base)


DiskAtWork.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestDiskAtWork = DiskAtWork.TestCase
