"""The consistent cache, seen from the master (DESIGN §5 Three leases, Invalidate first; paper §2.7)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.master.footprints import children_key, node_key
from chubby.namespace.commands import Request
from chubby.types.calls import (
    Acquire,
    Call,
    Delete,
    GetContentsAndStat,
    GetLockInfo,
    GetStat,
    Mode,
    Open,
    ReadDir,
    Release,
    SetAcl,
    SetAttributes,
    SetContents,
    Transact,
)
from chubby.types.nodes import AclNames
from chubby.types.results import Contents, Listing, StatResult
from chubby.types.time import SECOND
from chubby.types.transaction import Exists, Read, Write
from tests.master.caching import acknowledge, reader_and_writer
from tests.master.cell import Cell, code_of

# --------------------------------------------------------------------------------------------------- what is cacheable


def test_answers_are_cacheable_and_registered() -> None:
    """The master lists what each client may cache."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    assert alice.last.cacheable, "an Open fills the node"
    for call in (GetStat(handle), GetContentsAndStat(handle), ReadDir(handle), SetContents(handle, b"x")):
        alice.call(call)
        assert alice.last.cacheable and alice.last.cache_lease == 4 * SECOND
    alice.call(Open(50, "/absent"))
    assert code_of(alice.last.answer) is ErrorCode.NO_NODE and alice.last.cacheable, "so is absence"
    assert cell.master.statistics().cached_keys == 3


def test_lock_fields_are_never_cached() -> None:
    """DESIGN §5: lock fields are never cached."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    for call in (GetLockInfo(handle), Acquire(handle), Transact((), (Read("/f"),))):
        alice.call(call)
        assert not alice.last.cacheable and alice.last.cache_lease == 4 * SECOND, "yet the lease is renewed"


def test_only_while_the_cache_is_in_use() -> None:
    """DESIGN §5: renewed by any answered call, and only while the cache is in use."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    alice.call(GetStat(handle), caching=False)
    assert not alice.last.cacheable and alice.last.cache_lease == 0
    idle, busy = alice.keep_alive(caching=False), alice.keep_alive(caching=True)
    assert idle is not None and idle.cache_lease == 0 and idle.session_lease == 12 * SECOND
    assert busy is not None and busy.cache_lease == 4 * SECOND


def test_a_client_that_never_caches_is_never_waited_for() -> None:
    """It asks for nothing cacheable and gets nothing, whatever its frames say."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob", caching=False)
    handle = bob.open_handle("/f")
    bob.caching = True
    bob.call(GetStat(handle))
    assert not bob.last.cacheable and bob.last.cache_lease == 0
    bob.disconnect()
    assert isinstance(alice.call(SetContents(alice.open_handle("/f"), b"x")), StatResult)


def test_no_cacheable_answer_without_a_live_master_lease() -> None:
    """The reply to a write may leave without the lease; the promise may not."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.applying = False
    call = alice.start(SetContents(handle, b"x"))
    cell.now += 2 * SECOND
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(call), StatResult)
    assert not alice.last.cacheable and alice.last.cache_lease == 0


def test_a_call_that_took_longer_than_the_lease_renews_nothing() -> None:
    """The client counts from its send."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/l")
    alice.call(Acquire(handle))
    waiting = bob.start(Acquire(bob.open_handle("/l")))
    cell.advance(5 * SECOND)
    alice.call(Release(handle))
    assert bob.answer(waiting) is not None and bob.last.cache_lease == 0


def test_a_listing_fills_names_and_every_childs_metadata() -> None:
    """All of it is registered: a change of one child's content invalidates that child for whoever listed it."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    alice.open_handle("/d")
    child = alice.open_handle("/d/x")
    answer = bob.call(ReadDir(bob.open_handle("/d")))
    assert isinstance(answer, Listing) and [entry.name for entry in answer.entries] == ["x"] and bob.last.cacheable
    alice.call(SetContents(child, b"new"))
    assert bob.invalidated == [node_key("/d/x")]
    alice.open_handle("/d/y")
    assert bob.invalidated == [node_key("/d/x"), children_key("/d")]


def test_a_listing_with_a_changing_child_is_not_cacheable() -> None:
    """One uncachable key makes the whole answer so."""
    cell = Cell()
    alice, bob, carol = cell.client(), cell.client("bob"), cell.client("carol")
    alice.open_handle("/d")
    child = alice.open_handle("/d/x")
    bob.call(GetStat(bob.open_handle("/d/x")))
    bob.auto_ack = False
    alice.start(SetContents(child, b"new"))
    carol.call(ReadDir(carol.open_handle("/d")))
    assert not carol.last.cacheable


def test_absence_of_a_sequential_name_is_not_cacheable() -> None:
    """Its creation could not be invalidated in advance."""
    cell = Cell()
    alice = cell.client()
    alice.call(Open(5, "/n0000000000"))
    assert code_of(alice.last.answer) is ErrorCode.NO_NODE and not alice.last.cacheable


# -------------------------------------------------------------------------------------------------- invalidate first


@pytest.mark.parametrize(
    "call",
    [
        SetContents(1, b"new"),
        SetAcl(1, AclNames("anyone", "anyone", "anyone")),
        SetAttributes(1, {"a": b"1"}),
        Delete(1),
        Transact((), (Write("/f", b"new"),)),
        Transact((Exists("/nowhere"),), (), (Write("/f", b"new"),)),
    ],
    ids=lambda call: type(call).__name__,
)
def test_a_change_waits_for_the_acknowledgement(call: Call) -> None:
    """A change to cacheable data is proposed when every session that may cache it has acknowledged."""
    cell, alice, bob, _ = reader_and_writer()
    before = len(cell.proposed(Request))
    number = alice.start(call)
    assert alice.answer(number) is None and len(cell.proposed(Request)) == before
    bob.read()
    assert node_key("/f") in bob.invalidated
    acknowledge(bob)
    assert alice.answer(number) is not None and len(cell.proposed(Request)) == before + 1


def test_creating_invalidates_absence() -> None:
    """Absence is cacheable data, and so is the list of names above."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    bob.call(Open(9, "/new"))
    bob.call(ReadDir(bob.open_handle("/", Mode.READ)))
    alice.open_handle("/new")
    assert bob.invalidated == [node_key("/new"), children_key("/")]


def test_a_sequential_create_invalidates_the_names() -> None:
    """The parent's children change, whatever the name."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    bob.call(ReadDir(bob.open_handle("/", Mode.READ)))
    alice.open_handle("/n", sequential=True)
    assert bob.invalidated == [children_key("/")]


def test_reads_meanwhile_see_the_old_value_uncacheable() -> None:
    """DESIGN §5: reads meanwhile are answered at once, with the old value, marked not cacheable."""
    cell, alice, bob, handle = reader_and_writer()
    carol = cell.client("carol")
    other = carol.open_handle("/f")
    alice.start(SetContents(handle, b"new"))
    answer = carol.call(GetContentsAndStat(other))
    assert isinstance(answer, Contents) and answer.contents == b"old" and not carol.last.cacheable
    assert cell.master.statistics().uncachable_keys == 1
    acknowledge(bob)
    answer = carol.call(GetContentsAndStat(other))
    assert isinstance(answer, Contents) and answer.contents == b"new" and carol.last.cacheable
    assert cell.master.statistics().uncachable_keys == 0


def test_uncachable_until_applied() -> None:
    """Not only while acknowledgements are owed: what is proposed may be applied at any moment."""
    cell, alice, bob, handle = reader_and_writer()
    carol = cell.client("carol")
    other = carol.open_handle("/f")
    cell.applying = False
    alice.start(SetContents(handle, b"new"))
    acknowledge(bob)
    assert len(cell.log) == 1
    carol.call(GetStat(other))
    assert not carol.last.cacheable


def test_the_writer_is_not_told() -> None:
    """It dropped its own copies before it sent; its reply fills the cache again."""
    _, alice, _, handle = reader_and_writer()
    alice.call(GetContentsAndStat(handle))
    alice.start(SetContents(handle, b"new"))
    assert alice.invalidated == []


def test_the_reply_to_a_write_is_cacheable_only_if_nothing_else_is_changing() -> None:
    """DESIGN §5: its reply refills them only if marked cacheable."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/f"), bob.open_handle("/f")
    cell.applying = False
    first = alice.start(SetContents(handle, b"1"))
    second = bob.start(SetContents(other, b"2"))
    cell.applying = True
    cell.settle()
    assert alice.answer(first) is not None and bob.answer(second) is not None
    assert not alice.replies[first].cacheable and bob.replies[second].cacheable


def test_the_registration_of_one_key_only() -> None:
    """Who caches something else is not disturbed."""
    cell, alice, bob, handle = reader_and_writer()
    carol = cell.client("carol")
    carol.open_handle("/g")
    alice.start(SetContents(handle, b"new"))
    acknowledge(bob)
    assert carol.pushes == []
