"""What the master reads: pages, views, nothing that changes anything (DESIGN §4, §5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.types.limits import READ_DIR_LIMIT
from chubby.types.nodes import LockOwner
from chubby.types.transaction import Create, Remove
from tests.namespace.cell import Cell


@pytest.fixture
def cell() -> Cell:
    """A cell with one session, 1."""
    cell = Cell()
    cell.session()
    return cell


@given(
    names=st.sets(
        st.text("abcz-!.0~é/", min_size=1, max_size=4).filter(lambda name: "/" not in name and name.strip("."))
    )
)
def test_children_come_in_the_order_of_their_names(names: set[str]) -> None:
    """Code point by code point, whatever order they were made in; pages join without gap or overlap."""
    cell = Cell()
    cell.session()
    cell.create(1, "/d")
    cell.create(1, "/d-sibling")
    for name in names:
        cell.transact(1, Create(f"/d/{name}"), Create(f"/d/{name}/below"))
    listed: list[str] = []
    more = True
    while more:
        page, more = cell.machine.children("/d", listed[-1] if listed else "", 2)
        assert len(page) == 2 or not more
        listed += [entry.name for entry in page]
    assert listed == sorted(names)


def test_a_page_begins_after_any_name(cell: Cell) -> None:
    """Also after one that is not there, so that a listing survives deletions between its pages."""
    for name in "abcd":
        cell.create(1, f"/d{name}")
    cell.remove(1, "/db")
    page, more = cell.machine.children("/", "db", 1)
    assert ([entry.name for entry in page], more) == (["dc"], True)
    assert page[0].stat is cell.node("/dc").stat
    assert cell.machine.children("/", "zz", 5) == ((), False)
    assert cell.machine.children("/", "dc", 1)[1] is False, "a page that ends with the last"


def test_there_are_no_children_of_what_has_none(cell: Cell) -> None:
    """Nor of what is not there."""
    assert cell.machine.children("/acl", "", 5) == ((), False)
    assert cell.machine.children("/none", "", 5) == ((), False)
    cell.transact(1, Create("/a"), Create("/a/b"), Remove("/a/b"))
    assert cell.machine.children("/a", "", 5) == ((), False)


def test_pages_have_a_greatest_size(cell: Cell) -> None:
    """`READ_DIR_LIMIT` names; 0 asks for it, more is cut to it."""
    for start in range(0, READ_DIR_LIMIT + 20, 100):
        cell.transact(1, *(Create(f"/acl/{number:05d}") for number in range(start, start + 100)))
    for limit in (0, -1, READ_DIR_LIMIT, READ_DIR_LIMIT + 1):
        page, more = cell.machine.children("/acl", "", limit)
        assert (len(page), more) == (READ_DIR_LIMIT, True)


def test_the_root_of_a_tree_lists_only_its_own_children(cell: Cell) -> None:
    """Not the root itself, no grandchildren."""
    cell.transact(1, Create("/a"), Create("/a/b"), Create("/a/b/c"))
    assert cell.names("/") == ["a", "acl"]
    assert cell.names("/a") == ["b"]


def test_locks_in_use_by_pages(cell: Cell) -> None:
    """Only those held, awaited or delayed; in path order."""
    for name in "cab":
        cell.create(1, f"/{name}")
        cell.acquire(1, f"/{name}")
    cell.create(1, "/unused")
    page, more = cell.machine.locks("", 2)
    assert ([info.path for info in page], more) == (["/a", "/b"], True)
    page, more = cell.machine.locks("/b", 2)
    assert ([info.path for info in page], more) == (["/c"], False)
    assert cell.machine.locks("/b", 1)[1] is False, "a page that ends with the last"
    assert cell.machine.locks("/c", 0) == ((), False)
    assert cell.machine.lock_count == 3


def test_sessions_by_pages(cell: Cell) -> None:
    """In the order of their ids."""
    for _ in range(4):
        cell.session()
    page, more = cell.machine.sessions(0, 3)
    assert ([view.id for view in page], more) == ([1, 2, 3], True)
    page, more = cell.machine.sessions(3, 3)
    assert ([view.id for view in page], more) == ([4, 5], False)
    assert cell.machine.sessions(3, 2)[1] is False, "a page that ends with the last"
    assert cell.machine.session_count == 5


def test_what_a_session_holds_and_opens(cell: Cell) -> None:
    """Each place once, in path order, holding and waiting alike."""
    second = cell.session()
    for name in ("/b", "/a"):
        cell.create(1, name, ephemeral=True)
        cell.acquire(1, name, handle=2)
        cell.acquire(second, name, handle=9)
    cell.acquire(1, "/a", handle=1)
    assert cell.machine.locks_of(1) == (("/a", 1), ("/a", 2), ("/b", 2))
    assert cell.machine.locks_of(second) == (("/a", 9), ("/b", 9))
    assert cell.machine.waits_of(1) == (("/a", 1),) and cell.machine.waits_of(second) == (("/a", 0), ("/b", 0))
    assert cell.machine.ephemerals_of(1) == (("/a", 0), ("/b", 0))
    assert cell.machine.has_open("/a", LockOwner(1, 0))
    assert not cell.machine.has_open("/a", LockOwner(second, 9))
    assert cell.machine.locks_of(77) == cell.machine.ephemerals_of(77) == ()


def test_nothing_is_there_that_is_not(cell: Cell) -> None:
    """Every question about the unknown has an answer."""
    machine = cell.machine
    assert [machine.node("/none"), machine.lock("/none"), machine.session(9), machine.reply(9, 9)] == [None] * 4
    assert (machine.open_count("/none"), machine.acknowledged(9)) == (0, 0)


def test_reading_leaves_no_trace(cell: Cell) -> None:
    """Neither in the digest nor in any index."""
    cell.create(1, "/a")
    digest = cell.machine.digest()
    for path in ("/a", "/none"):
        cell.machine.node(path), cell.machine.children(path, "", 5), cell.machine.lock(path)
        cell.machine.open_count(path), cell.machine.has_open(path, LockOwner(1, 1))
        cell.machine.standing(LockOwner(5, 5), path, 3)
    for session in (1, 9):
        cell.machine.session(session), cell.machine.reply(session, 1), cell.machine.acknowledged(session)
        cell.machine.locks_of(session), cell.machine.ephemerals_of(session), cell.machine.waits_of(session)
    assert cell.machine.digest() == digest
    assert cell.machine._state.tree._members == {}
    assert cell.machine._state.locks.book._of_session == {}
