"""Open, Close, and who may do what (DESIGN §5 Handles, §4 ACLs and Ephemerals; paper §2.2, §2.3)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.master import MasterSettings
from chubby.namespace.commands import Request, Transaction
from chubby.types.calls import (
    Acquire,
    Call,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetLockInfo,
    GetStat,
    Mode,
    Open,
    ReadDir,
    Release,
    SetAttributes,
    SetContents,
)
from chubby.types.nodes import NodeKind
from chubby.types.results import Contents, Done, Opened, StatResult
from chubby.types.transaction import Exists
from tests.master.cell import Cell, code_of
from tests.master.holding import PRIVATE, RW

# --------------------------------------------------------------------------------------------------------------- Open


def test_opening_a_permanent_node_needs_no_command() -> None:
    """The handle is known to the master alone."""
    cell = Cell()
    alice = cell.client()
    alice.open_handle("/f", contents=b"x")
    before = len(cell.commands)
    answer = alice.call(Open(7, "/f", RW, create=CreateMode.MAY))
    assert isinstance(answer, Opened) and not answer.created and answer.path == "/f"
    assert len(cell.commands) == before and isinstance(alice.call(GetContentsAndStat(7)), Contents)


def test_creating_says_so() -> None:
    """With initial contents, kind, attributes and ACL names."""
    cell = Cell()
    root = cell.client("root")
    answer = root.call(
        Open(
            1,
            "/d",
            RW,
            create=CreateMode.MUST,
            kind=NodeKind.DIRECTORY,
            contents=b"data",
            acl=PRIVATE,
            attributes={"a": b"1"},
        )
    )
    assert isinstance(answer, Opened) and answer.created
    stat = answer.stat
    assert (stat.kind, stat.length, stat.acl, stat.attributes) == (NodeKind.DIRECTORY, 4, PRIVATE, {"a": b"1"})


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (Open(0, "/f"), ErrorCode.BAD_ARGUMENT),
        (Open(1, "/f", Mode(0)), ErrorCode.BAD_ARGUMENT),
        (Open(1, "f"), ErrorCode.BAD_PATH),
        (Open(1, "/f/"), ErrorCode.BAD_PATH),
        (Open(1, "/a/../b", create=CreateMode.MAY), ErrorCode.BAD_PATH),
        (Open(1, "x", create=CreateMode.MAY, sequential=True), ErrorCode.BAD_PATH),
        (Open(1, "/missing"), ErrorCode.NO_NODE),
        (Open(1, "/no/where", create=CreateMode.MUST), ErrorCode.NO_NODE),
        (Open(1, "/", create=CreateMode.MUST), ErrorCode.NODE_EXISTS),
    ],
    ids=str,
)
def test_refused_without_a_command(call: Call, code: ErrorCode) -> None:
    """Nothing is proposed and nothing is open."""
    cell = Cell()
    alice = cell.client("root")
    before = len(cell.commands)
    assert code_of(alice.call(call)) is code
    assert len(cell.commands) == before and cell.master.statistics().handles == 0


def test_sequential_names() -> None:
    """The full name is in the answer; the handle is on that node."""
    cell = Cell()
    alice = cell.client()
    alice.open_handle("/q")
    paths = []
    for handle in (5, 6):
        answer = alice.call(Open(handle, "/q/n", RW, create=CreateMode.MAY, sequential=True))
        assert isinstance(answer, Opened) and answer.created
        paths.append(answer.path)
    assert paths == ["/q/n0000000000", "/q/n0000000001"]
    assert isinstance(alice.call(SetContents(6, b"x")), StatResult)
    assert isinstance(bare := alice.call(Open(7, "/q/", RW, create=CreateMode.MAY, sequential=True)), Opened)
    assert bare.path == "/q/0000000002"


def test_a_repeated_open_is_answered_again() -> None:
    """Its answer was lost: the handle is the same, not a second one."""
    cell = Cell()
    alice = cell.client()
    alice.open_handle("/f")
    first = alice.call(Open(7, "/f"))
    again = alice.call(Open(7, "/f"))
    assert again == first and cell.master.statistics().handles == 2
    assert code_of(alice.call(Open(7, "/acl"))) is ErrorCode.BAD_ARGUMENT, "a number is one handle's"


def test_handles_are_bounded() -> None:
    """QUOTA_EXCEEDED; closing makes room."""
    cell = Cell(MasterSettings(replica=1, handles_per_session=2))
    alice = cell.client()
    alice.open_handle("/f")
    alice.open_handle("/f")
    assert code_of(alice.call(Open(9, "/f"))) is ErrorCode.QUOTA_EXCEEDED
    alice.call(Close(1))
    assert isinstance(alice.call(Open(9, "/f")), Opened)


def test_two_who_create_the_same_node() -> None:
    """The second finds what the first has made, at the slot of its command."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    cell.applying = False
    one = alice.start(Open(1, "/f", RW, create=CreateMode.MAY, contents=b"alice"))
    two = bob.start(Open(1, "/f", RW, create=CreateMode.MAY, contents=b"bob"))
    must = bob.start(Open(2, "/f", RW, create=CreateMode.MUST))
    cell.applying = True
    cell.settle()
    first, second = alice.answer(one), bob.answer(two)
    assert isinstance(first, Opened) and first.created and isinstance(second, Opened) and not second.created
    assert first.stat.instance == second.stat.instance
    assert code_of(bob.answer(must)) is ErrorCode.NODE_EXISTS


# --------------------------------------------------------------------------------------------------------- instances


def test_a_handle_is_bound_to_an_instance() -> None:
    """DESIGN §5: HANDLE_INVALID once the node is gone or reborn (paper §2.3)."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/f")
    bob.call(Delete(bob.open_handle("/f")))
    calls: list[Call] = [
        GetStat(handle),
        GetContentsAndStat(handle),
        ReadDir(handle),
        GetLockInfo(handle),
        SetContents(handle, b"x"),
        SetAttributes(handle, {}),
        Delete(handle),
        Acquire(handle),
        Release(handle),
    ]
    for call in calls:
        assert code_of(alice.call(call)) is ErrorCode.HANDLE_INVALID
    bob.open_handle("/f")
    for call in calls:
        assert code_of(alice.call(call)) is ErrorCode.HANDLE_INVALID
    assert isinstance(alice.call(Close(handle)), Done)


def test_a_write_that_loses_against_a_delete() -> None:
    """The guard on the instance is evaluated at the slot of the command."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/f"), bob.open_handle("/f")
    cell.applying = False
    bob.start(Delete(other))
    write = alice.start(SetContents(handle, b"x"))
    cell.applying = True
    cell.settle()
    assert code_of(alice.answer(write)) is ErrorCode.HANDLE_INVALID


def test_opening_an_ephemeral_is_guarded_by_its_instance() -> None:
    """It went between the Open and its slot: there was a moment without it."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/e", ephemeral=True)
    cell.applying = False
    closing = alice.start(Close(handle))
    opening = bob.start(Open(1, "/e"))
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(closing), Done) and code_of(bob.answer(opening)) is ErrorCode.NO_NODE


def test_an_ephemeral_lives_while_somebody_has_it_open() -> None:
    """Open and Close of an ephemeral are commands; the open-set is in the machine."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/e", ephemeral=True), bob.open_handle("/e")
    actions = [command.body.action for command in cell.proposed(Request) if isinstance(command.body, Request)]
    assert isinstance(actions[-1], Transaction) and actions[-1].guards == (Exists("/e", 3),)
    assert isinstance(alice.call(Close(handle)), Done) and cell.machine.node("/e") is not None
    assert isinstance(bob.call(Close(other)), Done) and cell.machine.node("/e") is None


def test_creating_an_ephemeral_that_somebody_else_made_first() -> None:
    """MAY find it: the handle is in its open-set all the same."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    cell.applying = False
    one = alice.start(Open(1, "/e", RW, create=CreateMode.MAY, ephemeral=True))
    two = bob.start(Open(1, "/e", RW, create=CreateMode.MAY, ephemeral=True))
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(one), Opened) and isinstance(bob.answer(two), Opened)
    alice.call(Close(1))
    assert cell.machine.node("/e") is not None
    bob.call(Close(1))
    assert cell.machine.node("/e") is None
