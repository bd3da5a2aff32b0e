"""Snapshots: the state as bytes and back (DESIGN §3 Disk)."""

from __future__ import annotations

import random

import msgspec
import pytest

from chubby.errors import CorruptData
from chubby.namespace.commands import BeginEpoch, Command, Limits, SetVersion, Transaction
from chubby.namespace.machine import Machine
from chubby.namespace.register import MACHINE_VERSION
from chubby.namespace.snapshot import UnknownVersion
from chubby.types.transaction import Create
from tests.namespace.cell import GENESIS, Cell
from tests.namespace.picture import picture_of, picture_of_twin
from tests.namespace.test_digest import a_full_cell
from tests.namespace.test_twin import Pair


def slices_of(machine: Machine, limit: int = 1 << 20) -> list[bytes]:
    """A snapshot of the machine, encoded."""
    return list(machine.snapshot().slices(limit))


@pytest.mark.parametrize("seed", range(6))
def test_a_restored_machine_goes_on_the_same(seed: int) -> None:
    """Snapshot midway, restore, and give both the same commands: equal outcomes, digests, snapshots to the byte."""
    pair = Pair(random.Random(seed))
    for _ in range(300):
        pair.step()
    restored = Machine.restore(slices_of(pair.machine, 4_000))
    assert restored.digest() == pair.machine.digest()
    for number in range(300):
        command, outcome = pair.step()
        assert restored.apply(outcome.slot, command) == outcome
        assert restored.digest() == pair.machine.digest()
        if number % 60 == 0:
            restored = Machine.restore(slices_of(restored))
    assert slices_of(restored, 1_000) == slices_of(pair.machine, 1_000)
    assert picture_of(restored) == picture_of_twin(pair.twin)


@pytest.mark.parametrize("seed", range(3))
def test_indexes_are_what_the_rows_say(seed: int) -> None:
    """Everything derived that was kept along the way equals what is derived anew (children, members, queues, bytes)."""
    pair = Pair(random.Random(40 + seed))
    for number in range(400):
        pair.step()
        if number % 40 == 0:
            restored = Machine.restore(slices_of(pair.machine))
            assert indexes_of(restored) == indexes_of(pair.machine)


def indexes_of(machine: Machine) -> list[object]:
    """All that the rooms of the state keep beside their tables."""
    state = machine._state
    tree, book, sessions = state.tree, state.locks.book, state.sessions
    crowds = {path: (list(crowd.holders.items()), list(crowd.waiters.items())) for path, crowd in book._crowds.items()}
    return [
        tree.total_bytes,
        {path: list(children) for path, children in tree._children.items()},
        tree._members,
        tree._opened,
        crowds,
        book._of_session,
        list(book.paths),
        list(sessions.ids),
        sessions._by_nonce,
        sessions._numbers,
    ]


def test_a_snapshot_is_the_moment_it_was_taken() -> None:
    """Commands applied while it is being encoded do not show in it."""
    cell = a_full_cell()
    snapshot = cell.machine.snapshot()
    reference = slices_of(cell.machine)
    digest, slot = cell.machine.digest(), cell.machine.applied
    slices = snapshot.slices(1 << 20)
    encoded = [next(slices)]
    cell.create(1, "/later")
    cell.remove(1, "/later")
    cell.write(1, "/a", b"later")
    cell.release(1, "/a")
    cell.set_limits(Limits(history=1))
    encoded += slices
    assert encoded == reference
    assert (snapshot.slot, snapshot.digest) == (slot, digest)
    assert list(snapshot.slices(1 << 20)) == reference, "it can be encoded again, for another replica"


def test_slices_are_small() -> None:
    """Each about the limit at most, whatever the number of rows; a single large row is a slice of its own."""
    cell = Cell()
    cell.session()
    for number in range(300):
        cell.create(1, f"/{number}", b"x" * 100)
    cell.create(1, "/large", b"x" * 50_000)
    slices = slices_of(cell.machine, 4_096)
    sizes = sorted(len(data) for data in slices)
    assert len(slices) > 20
    assert 50_000 < sizes[-1] < 51_000
    assert sizes[-2] < 5_000
    assert Machine.restore(slices).digest() == cell.machine.digest()
    assert len(slices_of(cell.machine, 1)) > 900


def test_the_work_of_a_slice_is_bounded_in_rows() -> None:
    """However large a slice may be in bytes: 1,000 rows, so that an event loop is not held up."""
    cell = Cell()
    cell.session()
    for number in range(2_500):
        cell.request(1, Transaction((), (Create(f"/{number}"),)), number=number + 1, acknowledged=number)
    nodes = [data for data in slices_of(cell.machine, 1 << 30) if msgspec.msgpack.decode(data)[0] == "node"]
    assert [len(msgspec.msgpack.decode(data)[1]) for data in nodes] == [1_000, 1_000, 502]


def test_restored_nodes_share_what_is_equal() -> None:
    """The memory of a restored replica is that of one that applied everything."""
    cell = a_full_cell()
    for path in ("/x", "/y"):
        cell.create(1, path)
    machine = Machine.restore(slices_of(cell.machine))
    nodes = [machine.node(path) for path in ("/", "/x", "/y")]
    assert len({id(node.acl) for node in nodes if node is not None}) == 1
    assert len({id(node.stat.attributes) for node in nodes if node is not None}) == 1


def test_an_empty_cell() -> None:
    """Only what it was born with."""
    machine = Machine.genesis(GENESIS)
    restored = Machine.restore(slices_of(machine))
    assert (restored.digest(), restored.applied) == (machine.digest(), 0)


def test_whatever_is_missing_is_noticed() -> None:
    """A snapshot without any one of its slices, with one twice, or cut short is refused."""
    slices = slices_of(a_full_cell().machine)
    assert len(slices) == 9, "the head and one for each table"
    for index in range(len(slices)):
        with pytest.raises(CorruptData):
            Machine.restore([*slices[:index], *slices[index + 1 :]])
        with pytest.raises(CorruptData):
            Machine.restore([*slices[:index], slices[index], *slices[index:]])
        with pytest.raises(CorruptData):
            Machine.restore([*slices[:index], slices[index][:-1], *slices[index + 1 :]])
    with pytest.raises(CorruptData):
        Machine.restore([])


def test_any_flipped_bit_is_noticed() -> None:
    """Checksums of contents, the digest of everything else; only what encodes the same value may differ in bytes."""
    machine = a_full_cell().machine
    slices = slices_of(machine)
    chance = random.Random(7)
    for _ in range(600):
        index = chance.randrange(len(slices))
        position = chance.randrange(len(slices[index]))
        rotten = bytearray(slices[index])
        rotten[position] ^= 1 << chance.randrange(8)
        try:
            restored = Machine.restore([*slices[:index], bytes(rotten), *slices[index + 1 :]])
        except (CorruptData, UnknownVersion):
            continue
        assert slices_of(restored) == slices, (index, position)


def test_other_formats_are_refused_by_name() -> None:
    """Not a snapshot of the machine; a layout of another release; a table this release does not know."""
    head, *rest = slices_of(Machine.genesis(GENESIS))
    magic, version, *fields = msgspec.msgpack.decode(head)
    with pytest.raises(CorruptData, match="something else"):
        Machine.restore([msgspec.msgpack.encode(["other magic", version, *fields]), *rest])
    with pytest.raises(UnknownVersion, match="has layout 2; this release reads 1 only"):
        Machine.restore([msgspec.msgpack.encode([magic, version + 1, *fields]), *rest])
    with pytest.raises(CorruptData, match="no table"):
        Machine.restore([head, *rest, msgspec.msgpack.encode(["unknown", []])])


def test_a_version_of_another_release_is_not_taken_for_rot() -> None:
    """DESIGN §3, last line: what rot costs is a new incarnation; this must cost nothing but the right release."""
    machine = Machine.genesis(GENESIS)
    machine.apply(1, Command(0, 0, 0, BeginEpoch(1)))
    assert machine.understood
    machine.apply(2, Command(1, 1, 0, SetVersion(MACHINE_VERSION + 1)))
    assert machine.version == MACHINE_VERSION + 1 and not machine.understood
    with pytest.raises(UnknownVersion, match="install the release"):
        Machine.restore(slices_of(machine))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("node", ("/none/child", None)),
        ("open", (("/a", 1, 1), 3)),
        ("open", (("/a/e", 1, 9), 77)),
        ("lock", ("/none", [3, None, 0, False])),
        ("lock", ("/a/e", [99, None, 0, True])),
        ("lock", ("/a/e", [4, 1, 0, False])),
        ("holder", (("/a/e", 1, 1), [0, 0])),
        ("waiter", (("/a/e", 0), [1, 1, 1, 0])),
        ("reply", ((99, 1), {"type": "applied"})),
        ("history", (500, [1, 1, "/a", 1, 1])),
    ],
)
def test_rows_that_do_not_fit_together_are_refused(table: str, row: tuple[object, object]) -> None:
    """Each room checks its invariants before the digest is compared: the error says what is wrong."""
    cell = a_full_cell()
    head, *rest = slices_of(cell.machine)
    fields = msgspec.msgpack.decode(head)
    fields[4][table] += 1
    node = msgspec.to_builtins(cell.node("/a"), builtin_types=(bytes,))
    key, value = row
    if table == "history":
        value = dict(zip(("revision", "kind", "path", "instance", "generation"), [1, 1, "/a", 1, 1], strict=True))
    extra = msgspec.msgpack.encode([table, [[key, node if table == "node" else value]]])
    with pytest.raises(CorruptData, match="cannot be restored") as caught:
        Machine.restore([msgspec.msgpack.encode(fields), *rest, extra])
    assert "digest" not in str(caught.value)


def test_a_tree_without_a_root_is_refused() -> None:
    """There is nothing to stand on."""
    head, *rest = slices_of(Machine.genesis(GENESIS))
    fields = msgspec.msgpack.decode(head)
    fields[4]["node"] = 0
    with pytest.raises(CorruptData, match="no root"):
        Machine.restore([msgspec.msgpack.encode(fields)])
    assert len(rest) == 1


def test_rows_nested_without_end_are_refused() -> None:
    """As rot, not as an exception of Python's own."""
    first = next(iter(Machine.genesis(GENESIS).snapshot().slices(1 << 20)))
    with pytest.raises(CorruptData, match="cannot be restored"):
        Machine.restore([first, b"\x92\xa4node" + b"\x91" * 5000])
