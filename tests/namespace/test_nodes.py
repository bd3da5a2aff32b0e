"""Nodes: what they hold and how their numbers move (DESIGN §4 Node; paper §2.2)."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from chubby.errors import ErrorCode
from chubby.namespace.commands import Transaction
from chubby.namespace.nodes import NO_ATTRIBUTES, Node, attributes_size, merge_attributes, share_acl
from chubby.types.limits import ATTRIBUTES_LIMIT
from chubby.types.nodes import AclNames, NodeKind
from chubby.types.transaction import Create, Read, Remove, Write, WriteAcl, WriteAttributes
from tests.namespace.cell import Cell, code_of


@pytest.fixture
def cell() -> Cell:
    """A cell with one session, 1."""
    cell = Cell()
    cell.session()
    return cell


def test_a_cell_is_born_with_a_root_and_the_acl_directory(cell: Cell) -> None:
    """DESIGN §4 ACLs: `/acl` is there from the beginning; both are directories."""
    assert cell.machine.node_count == 2
    assert cell.names("/") == ["acl"]
    assert cell.node("/").stat.kind is cell.node("/acl").stat.kind is NodeKind.DIRECTORY
    assert cell.node("/acl").stat.created_ms == 1_000


def test_instances_come_from_one_counter(cell: Cell) -> None:
    """Each node's instance is greater than that of any node before, wherever it was, also of its own name."""
    instances = [cell.instance("/"), cell.instance("/acl")]
    for path in ("/a", "/a/b", "/c"):
        cell.create(1, path)
        instances.append(cell.instance(path))
    cell.remove(1, "/c")
    cell.create(1, "/c")
    instances.append(cell.instance("/c"))
    assert instances == sorted(set(instances))


def test_generations_count_changes_of_their_own_kind(cell: Cell) -> None:
    """Content and ACL generation start at 1 and move only with content and ACL; a new instance starts anew."""
    cell.create(1, "/a")

    def generations() -> tuple[int, int, int]:
        node = cell.node("/a")
        return node.stat.content_generation, node.stat.acl_generation, node.lock_generation

    assert generations() == (1, 1, 0)
    cell.write(1, "/a", b"x")
    cell.write(1, "/a", b"x")
    assert generations() == (3, 1, 0)
    cell.transact(1, WriteAcl("/a", cell.node("/a").acl))
    assert generations() == (3, 2, 0)
    cell.transact(1, WriteAttributes("/a", {"k": b"v"}))
    assert generations() == (3, 2, 0)
    cell.acquire(1, "/a")
    assert generations() == (3, 2, 1)
    cell.remove(1, "/a")
    cell.create(1, "/a")
    assert generations() == (1, 1, 0)


def test_checksum_and_length_are_of_the_content(cell: Cell) -> None:
    """The checksum is 64 bits of BLAKE2b, so that anybody can recompute it."""
    for contents in (b"", b"hello", b"x" * 1000):
        cell.create(1, "/a", contents)
        stat = cell.node("/a").stat
        assert stat.checksum == int.from_bytes(hashlib.blake2b(contents, digest_size=8).digest(), "big")
        assert stat.length == len(contents)
        cell.remove(1, "/a")


def test_revisions_and_times_of_creation_and_change(cell: Cell) -> None:
    """Creation is fixed; a change of content, ACL or attributes moves `modified` and its time; nothing else does."""
    cell.time_ms = 5_000
    cell.create(1, "/a")
    created = cell.machine.revision
    for time_ms, operation in (
        (6_000, Write("/a", b"")),
        (7_000, WriteAcl("/a", cell.node("/a").acl)),
        (8_000, WriteAttributes("/a", {"k": b"v"})),
    ):
        cell.time_ms = time_ms
        revision = cell.result(1, operation).revision
        stat = cell.node("/a").stat
        assert (stat.created, stat.created_ms, stat.modified, stat.modified_ms) == (created, 5_000, revision, time_ms)
    before = cell.node("/a").stat
    cell.time_ms = 9_000
    cell.transact(1, Read("/a"), WriteAttributes("/a", {"k": b"v"}))
    cell.acquire(1, "/a")
    assert cell.node("/a").stat is before, "locks are no change of the node"
    cell.create(1, "/a/child")
    cell.create(1, "/a/s-", sequential=True)
    after = msgspec.structs.replace(before, kind=NodeKind.DIRECTORY)
    assert cell.node("/a").stat == after, "nor are children and sequence numbers, but for the hint"


def test_time_decides_nothing(cell: Cell) -> None:
    """DESIGN §4: `time_ms` is for display; a clock that jumps back changes no decision."""
    cell.time_ms = 10_000
    cell.create(1, "/a")
    cell.time_ms = -5
    assert cell.result(1, Write("/a", b"x")).failure is None
    assert cell.node("/a").stat.modified_ms == -5


def test_acl_names_are_inherited_from_the_parent_at_creation(cell: Cell) -> None:
    """Paper §2.2: the parent's three names unless overridden; later changes of the parent do not reach the child."""
    first, own, later = AclNames("r", "w", "c"), AclNames("x", "y", "z"), AclNames("1", "2", "3")
    cell.transact(1, Create("/a", acl=first), Create("/a/plain"), Create("/a/own", acl=own), Create("/a/own/below"))
    cell.transact(1, WriteAcl("/a", later))
    assert cell.node("/a").acl == later
    assert cell.node("/a/plain").acl == first
    assert cell.node("/a/own").acl == cell.node("/a/own/below").acl == own
    assert cell.node("/").acl == AclNames("anyone", "anyone", "administrators")
    assert cell.node("/acl").acl == AclNames("anyone", "administrators", "administrators")


def test_any_node_may_hold_data_and_children(cell: Cell) -> None:
    """The kind is a hint for listings; it forbids nothing."""
    cell.transact(1, Create("/file", b"data", kind=NodeKind.FILE), Create("/file/child"))
    cell.transact(1, Create("/dir", kind=NodeKind.DIRECTORY), Write("/dir", b"data"))
    assert cell.names("/file") == ["child"]
    assert cell.node("/file").contents == cell.node("/dir").contents == b"data"


def test_attributes_are_changed_one_by_one(cell: Cell) -> None:
    """A name keeps its value until it gets another or, by an empty value, none; they are listed in order of names."""
    cell.transact(1, Create("/a", attributes={"z": b"1", "empty": b""}))
    assert cell.node("/a").stat.attributes == {"z": b"1"}
    cell.transact(1, WriteAttributes("/a", {"m": b"2", "a": b"3"}))
    assert list(cell.node("/a").stat.attributes.items()) == [("a", b"3"), ("m", b"2"), ("z", b"1")]
    cell.transact(1, WriteAttributes("/a", {"m": b"", "z": b"9"}))
    assert cell.node("/a").stat.attributes == {"a": b"3", "z": b"9"}


def test_attributes_have_a_limit() -> None:
    """Names and values together, in bytes of UTF-8, after the change."""
    full = merge_attributes(NO_ATTRIBUTES, {"é": b"x" * (ATTRIBUTES_LIMIT - 2)})
    assert attributes_size(full) == ATTRIBUTES_LIMIT
    with pytest.raises(Exception, match="1025 bytes"):
        merge_attributes(full, {"é": b"x" * (ATTRIBUTES_LIMIT - 1)})
    assert merge_attributes(full, {"é": b"", "k": b"v"}) == {"k": b"v"}
    assert merge_attributes({"k": b"v"}, {"k": b""}) is NO_ATTRIBUTES


def test_sequential_names(cell: Cell) -> None:
    """The directory's counter in ten digits is appended to the name: one counter for all prefixes."""
    cell.create(1, "/q")
    assert cell.create(1, "/q/a-", sequential=True) == "/q/a-0000000000"
    assert cell.create(1, "/q/b-", sequential=True) == "/q/b-0000000001"
    assert cell.create(1, "/q/", sequential=True) == "/q/0000000002"
    assert cell.create(1, "/n", sequential=True) == "/n0000000000"
    result = cell.result(1, Create("/q/c-", sequential=True), Create("/q/c-", sequential=True))
    assert [found.path for found in result.results] == ["/q/c-0000000003", "/q/c-0000000004"]


def test_the_sequence_counter_survives_its_children(cell: Cell) -> None:
    """A number is never given twice in the life of a directory, whoever is deleted."""
    cell.create(1, "/q")
    for _ in range(3):
        cell.remove(1, cell.create(1, "/q/a-", sequential=True))
    assert cell.create(1, "/q/a-", sequential=True) == "/q/a-0000000003"
    cell.write(1, "/q", b"x")
    assert cell.create(1, "/q/a-", sequential=True) == "/q/a-0000000004"


def test_sequential_names_pass_over_those_taken(cell: Cell) -> None:
    """A node that somebody named like the next number is no obstacle, with may_exist neither: the node is a new one."""
    cell.transact(1, Create("/q"), Create("/q/a-0000000000"), Create("/q/a-0000000001"))
    assert cell.create(1, "/q/a-", sequential=True) == "/q/a-0000000003"
    assert cell.create(1, "/q/b-", sequential=True) == "/q/b-0000000004"
    cell.create(1, "/q/a-0000000005")
    found = cell.result(1, Create("/q/a-", sequential=True, may_exist=True)).results[0]
    assert (found.path, found.created) == ("/q/a-0000000006", True)


def test_a_long_row_of_taken_names_is_crossed_in_a_few_steps(cell: Cell) -> None:
    """A mirror copied a thousand names of another cell: the sequence goes on behind them."""
    cell.create(1, "/q")
    for start in range(0, 1_000, 100):
        cell.transact(1, *(Create(f"/q/a-{number:010d}") for number in range(start, start + 100)))
    assert cell.create(1, "/q/a-", sequential=True) == "/q/a-0000001023"


def test_only_malice_ends_a_sequence(cell: Cell) -> None:
    """Who takes exactly the names tried gets NODE_EXISTS, after bounded work, and the counter stays where it was."""
    cell.create(1, "/q")
    number, taken = 0, []
    for tried in range(64):
        taken.append(f"/q/a-{number:010d}")
        number += min(2**tried, 2**20)
    cell.transact(1, *(Create(path) for path in taken))
    assert code_of(cell.transact(1, Create("/q/a-", sequential=True))) is ErrorCode.NODE_EXISTS
    assert cell.create(1, "/q/b-", sequential=True) == "/q/b-0000000000"
    assert cell.create(1, "/q/a-", sequential=True) == "/q/a-0000000002", "from 1 on: 1 is taken, 2 is not"


def test_sequence_counters_are_64_bit(cell: Cell) -> None:
    """python-zk/kazoo#606: beyond 2^31 and ten digits the names go on, wider."""
    cell.create(1, "/q")
    tree = cell.machine._state.tree
    tree.replace("/q", msgspec.structs.replace(cell.node("/q"), sequence=9_999_999_999))
    assert cell.create(1, "/q/a-", sequential=True) == "/q/a-9999999999"
    assert cell.create(1, "/q/a-", sequential=True) == "/q/a-10000000000"
    tree.replace("/q", msgspec.structs.replace(cell.node("/q"), sequence=(1 << 63) + 1))
    assert cell.create(1, "/q/a-", sequential=True) == f"/q/a-{(1 << 63) + 1}"


def test_a_value_once_read_never_changes(cell: Cell) -> None:
    """Nodes are immutable: whoever keeps one keeps that moment."""
    cell.create(1, "/a", b"one")
    before = cell.node("/a")
    copy = msgspec.msgpack.encode(before)
    cell.transact(1, Write("/a", b"two"), WriteAttributes("/a", {"k": b"v"}), WriteAcl("/a", AclNames("x", "x", "x")))
    cell.acquire(1, "/a")
    assert msgspec.msgpack.encode(before) == copy
    cell.remove(1, "/a")
    assert before.contents == b"one"


def test_equal_acl_names_are_one_object(cell: Cell) -> None:
    """A cell has few triples of ACL names and many nodes: they share, also when given one by one."""
    for path in ("/a", "/b"):
        cell.transact(1, Create(path, acl=AclNames("".join(("r", "1")), "w", "c")))
    assert cell.node("/a").acl is cell.node("/b").acl is share_acl(AclNames("r1", "w", "c"))


def test_what_a_node_weighs() -> None:
    """Content and attributes count against the quota of bytes, nothing else."""
    cell = Cell()
    cell.session()
    cell.transact(1, Create("/a", b"12345", attributes={"é": b"678"}))
    assert cell.node("/a").size == 5 + 2 + 3


def test_nodes_have_no_dict_and_no_collector() -> None:
    """A million nodes cost the garbage collector nothing: the struct is not tracked and has no `__dict__`."""
    assert Node.__struct_config__.gc is False
    assert Node.__struct_config__.frozen is True
    assert "__dict__" not in dir(Node)


def test_removing_takes_exactly_the_node(cell: Cell) -> None:
    """Siblings whose names begin alike stay."""
    cell.transact(1, Create("/a"), Create("/ab"), Create("/a/b"), Create("/a-b"))
    cell.request(1, Transaction((), (Remove("/a/b"), Remove("/a"))))
    assert cell.names("/") == ["a-b", "ab", "acl"]
