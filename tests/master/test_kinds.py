"""A child on its way makes a directory of a file, and no cache says otherwise (DESIGN §5 Invalidate first, §4 Node)."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from chubby.errors import ErrorCode
from chubby.master.footprints import node_key
from chubby.namespace.commands import Request
from chubby.types.calls import Call, CreateMode, GetStat, Mode, Open, ReadDir, SetContents, Transact
from chubby.types.nodes import NodeKind
from chubby.types.results import Listing, Opened, StatResult, Transacted
from chubby.types.transaction import Absent, Create, Exists, Remove
from tests.master.caching import acknowledge, reader_and_writer
from tests.master.cell import Cell, Client, code_of
from tests.master.test_random import NAMES, READS, TRANSACTIONS, Schedule

FILE, DIRECTORY = NodeKind.FILE, NodeKind.DIRECTORY

BELOW_F = [
    Open(50, "/f/x", create=CreateMode.MAY),
    Open(50, "/f/x", create=CreateMode.MUST, ephemeral=True),
    Open(50, "/f/n", create=CreateMode.MUST, sequential=True),
    Transact((), (Create("/f/x"),)),
    Transact((), (Create("/f/n", sequential=True),)),
    Transact((Absent("/f"),), (), (Create("/f/x"),)),
]
"""The ways to make something below `/f`."""


def kind_seen(client: Client, handle: int) -> NodeKind:
    """What the master tells the client that the node is."""
    answer = client.call(GetStat(handle))
    assert isinstance(answer, StatResult)
    return answer.stat.kind


def directory(client: Client, path: str) -> int:
    """Make a directory and open it."""
    assert isinstance(client.call(Transact((), (Create(path, kind=DIRECTORY),))), Transacted)
    return client.open_handle(path)


@pytest.mark.parametrize("call", BELOW_F, ids=lambda call: type(call).__name__)
def test_the_first_child_waits_for_whoever_caches_the_file(call: Call) -> None:
    """Invalidated before it is proposed, uncachable until it is applied, a directory from then on."""
    cell, alice, bob, _ = reader_and_writer()
    carol = cell.client("carol")
    other = carol.open_handle("/f")
    before = len(cell.proposed(Request))
    number = alice.start(call)
    bob.read()
    assert node_key("/f") in bob.invalidated
    assert alice.answer(number) is None and len(cell.proposed(Request)) == before
    assert kind_seen(carol, other) is FILE and not carol.last.cacheable
    cell.applying = False
    acknowledge(bob)
    assert len(cell.proposed(Request)) == before + 1, "on its way, not applied"
    assert kind_seen(carol, other) is FILE and not carol.last.cacheable
    cell.applying = True
    cell.settle()
    assert alice.answer(number) is not None
    assert kind_seen(carol, other) is DIRECTORY and carol.last.cacheable


@pytest.mark.parametrize("call", BELOW_F, ids=lambda call: type(call).__name__)
def test_the_next_child_disturbs_nobody(call: Call) -> None:
    """Elections and registries make children all the time: whoever caches the directory itself is left alone."""
    cell = Cell()
    alice, bob, carol = cell.client(), cell.client("bob"), cell.client("carol")
    directory(alice, "/f")
    handle, other = bob.open_handle("/f"), carol.open_handle("/f")
    assert kind_seen(bob, handle) is DIRECTORY and bob.last.cacheable
    cell.applying = False
    alice.start(call)
    assert kind_seen(carol, other) is DIRECTORY and carol.last.cacheable, "also while it is on its way"
    cell.applying = True
    cell.settle()
    assert bob.invalidated == []


def test_the_metadata_of_a_directory_under_change_is_no_concern_of_its_children() -> None:
    """They do not wait for readers of the directory, nor do they keep it uncachable one after the other."""
    cell = Cell()
    alice, bob, carol = cell.client(), cell.client("bob"), cell.client("carol")
    writer, reader = directory(alice, "/d"), bob.open_handle("/d")
    assert kind_seen(bob, reader) is DIRECTORY
    bob.auto_ack = False
    writing = alice.start(SetContents(writer, b"new"))
    assert alice.answer(writing) is None
    carol.open_handle("/d/x", create=CreateMode.MUST)
    acknowledge(bob)
    assert isinstance(alice.answer(writing), StatResult) and cell.master.statistics().uncachable_keys == 0


def test_a_listing_above_shows_the_kind_and_is_invalidated_too() -> None:
    """`ls -l` caches the metadata of every child: that of the one that becomes a directory goes."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    alice.open_handle("/f")
    listing = bob.call(ReadDir(bob.open_handle("/", Mode.READ)))
    assert isinstance(listing, Listing) and bob.last.cacheable
    alice.open_handle("/f/x")
    assert bob.invalidated == [node_key("/f")]
    listing = bob.call(ReadDir(bob.handles))
    assert isinstance(listing, Listing) and bob.last.cacheable
    assert [(entry.name, entry.stat.kind) for entry in listing.entries] == [("acl", DIRECTORY), ("f", DIRECTORY)]


def test_a_child_that_cannot_be_made_disturbs_nobody() -> None:
    """DESIGN §5: what is bound to fail is answered like a read."""
    _, alice, bob, _ = reader_and_writer()
    assert code_of(alice.call(Open(50, "/f/x/y", create=CreateMode.MAY))) is ErrorCode.NO_NODE
    alice.call(Transact((Exists("/f/x"),), (Create("/f/x/y"),)))
    assert bob.invalidated == []


def test_the_kind_may_change_between_two_looks() -> None:
    """The directory becomes a file before the child's turn comes, which had nothing to do with its metadata."""
    cell = Cell()
    alice, bob, carol = cell.client(), cell.client("bob"), cell.client("carol")
    directory(alice, "/d")
    listing = bob.open_handle("/d")
    assert isinstance(bob.call(ReadDir(listing)), Listing)
    bob.auto_ack = False
    creating = alice.start(Open(50, "/d/x", create=CreateMode.MUST))
    assert alice.answer(creating) is None, "bob caches the names"
    carol.start(Transact((), (Remove("/d"), Create("/d"))))
    acknowledge(bob)
    assert isinstance(alice.answer(creating), Opened), "the lanes keep the order"
    bob.auto_ack = True
    bob.read()
    node = cell.machine.node("/d")
    assert node is not None and node.stat.kind is DIRECTORY and cell.master.statistics().uncachable_keys == 0


class Replacement:
    """In the log, not applied: `/d`, a directory, is replaced by a file; then a child of whatever `/d` is, is made."""

    def __init__(self, *replacing: Transact) -> None:
        """Each transaction is somebody else's."""
        self.cell = Cell()
        self.bob, self.carol = self.cell.client("bob"), self.cell.client("carol")
        directory(self.carol, "/d")
        others = [self.cell.client("alice") for _ in replacing]
        self.cell.applying = False
        for other, transaction in zip(others, replacing, strict=True):
            other.start(transaction)
        self.creating = self.carol.start(Transact((), (Create("/d/x"),)))
        assert len(self.cell.log) == len(replacing) + 1

    def until_replaced(self) -> None:
        """Apply what replaces the directory, and no more."""
        self.cell.apply(len(self.cell.log) - 1)
        node = self.cell.machine.node("/d")
        assert node is not None and node.stat.kind is FILE and self.carol.answer(self.creating) is None

    def finish(self) -> None:
        """Apply the rest."""
        self.cell.applying = True
        self.cell.settle()
        assert isinstance(self.carol.answer(self.creating), Transacted)
        node = self.cell.machine.node("/d")
        assert node is not None and node.stat.kind is DIRECTORY


@pytest.mark.parametrize(
    "replacing",
    [
        (Transact((), (Remove("/d"), Create("/d"))),),
        (Transact((), (Remove("/d"),)), Transact((), (Create("/d"),))),
    ],
    ids=["at once", "one after the other"],
)
def test_nobody_caches_a_file_that_a_child_in_flight_makes_a_directory(replacing: tuple[Transact, ...]) -> None:
    """The child was planned when its parent was a directory, and is proposed: too late to invalidate anything."""
    scene = Replacement(*replacing)
    scene.until_replaced()
    answer = scene.bob.call(Open(60, "/d"))
    assert isinstance(answer, Opened) and answer.stat.kind is FILE and not scene.bob.last.cacheable
    assert kind_seen(scene.bob, 60) is FILE and not scene.bob.last.cacheable
    scene.bob.call(Open(61, "/"))
    assert isinstance(scene.bob.call(ReadDir(61)), Listing) and not scene.bob.last.cacheable
    scene.finish()
    assert kind_seen(scene.bob, 60) is DIRECTORY and scene.bob.last.cacheable
    assert isinstance(scene.bob.call(ReadDir(61)), Listing) and scene.bob.last.cacheable


def test_the_answer_to_the_create_of_the_parent_is_no_exception() -> None:
    """Whoever makes the file learns its kind, and may not keep it."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    cell.applying = False
    making = alice.start(Open(50, "/d", create=CreateMode.MUST))
    below = bob.start(Transact((), (Create("/d/x"),)))
    cell.apply()
    answer = alice.answer(making)
    assert isinstance(answer, Opened) and answer.stat.kind is FILE and not alice.replies[making].cacheable
    cell.applying = True
    cell.settle()
    assert isinstance(bob.answer(below), Transacted)


@pytest.mark.parametrize("call", BELOW_F[:5], ids=lambda call: type(call).__name__)
def test_a_session_sees_what_its_own_child_did_to_the_parent(call: Call) -> None:
    """DESIGN §5, last line: a read comes after one's own earlier changes of what it reads, however soon it is sent."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.applying = False
    creating, reading = alice.start(call), alice.start(GetStat(handle))
    assert alice.answer(reading) is None
    cell.apply()
    answer = alice.answer(reading)
    assert alice.answer(creating) is not None
    assert isinstance(answer, StatResult) and answer.stat.kind is DIRECTORY
    alice.start(Transact((), (Create("/f/another"),)))
    assert alice.answer(alice.start(GetStat(handle))) is not None, "of a directory nothing is waited for"


def test_the_names_below_a_file_are_another_key() -> None:
    """Who caches the file alone is told of the file alone."""
    _, alice, bob, _ = reader_and_writer()
    bob.auto_ack = True
    alice.open_handle("/f/x")
    assert bob.invalidated == [node_key("/f")]


def live_through(seed: int) -> None:
    """Directories replaced by files with children coming and going below, everything in flight, readers between."""
    chance = random.Random(seed)
    schedule = Schedule()
    schedule.begin()
    steps: dict[Callable[[int], None], float] = {
        lambda peer: schedule.transact(peer, "/b", "/b", chance.randrange(4, TRANSACTIONS)): 10,
        lambda peer: schedule.open(peer, "/b", CreateMode.NEVER, False): 5,
        lambda peer: schedule.read(peer, -1, chance.choice(READS)): 5,
        lambda peer: schedule.deliver(peer, 1): 20,
        lambda peer: schedule.hear(peer, 1): 20,
        lambda peer: schedule.apply(1): 12,
    }
    for step in chance.choices(list(steps), list(steps.values()), k=300):
        step(chance.randrange(len(NAMES)))
        schedule.world.check()
    schedule.teardown()


@pytest.mark.parametrize("first", range(0, 200, 40))
def test_random_schedules_of_parents_and_children(first: int) -> None:
    """No cache ever says that a directory is a file."""
    for seed in range(first, first + 40):
        live_through(seed)
