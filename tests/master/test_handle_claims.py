"""Handles of the master, continued (DESIGN §5 Handles)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.namespace.commands import CloseHandle
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
    SetAcl,
    SetAttributes,
    SetContents,
    Transact,
)
from chubby.types.events import EventMask
from chubby.types.nodes import AclNames
from chubby.types.results import Done, Listing, LockInfoResult, Opened, StatResult, Transacted
from chubby.types.stream import HandleClaim
from chubby.types.transaction import AclGenerationIs, Create, Exists, GenerationIs, Read, Remove, Write, WriteAcl
from tests.master.cell import Cell, code_of
from tests.master.holding import PRIVATE, RW, cell_with_staff

# -------------------------------------------------------------------------------------------------------------- Close


def test_close_never_fails() -> None:
    """Of an open handle, of a closed one, of one that never was."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    for number in (handle, handle, 999, 0, -1):
        assert isinstance(alice.call(Close(number)), Done)
    assert not any(isinstance(command.body, CloseHandle) for command in cell.commands)


def test_closing_a_plain_handle_needs_no_command() -> None:
    """What the machine knows nothing of is forgotten here."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    before = len(cell.commands)
    alice.call(Close(handle))
    assert len(cell.commands) == before and code_of(alice.call(GetStat(handle))) is ErrorCode.HANDLE_INVALID


def test_a_delayed_open_does_not_bring_a_closed_handle_back() -> None:
    """Closed before it was ever open: DESIGN §5, one closed in this epoch stays closed (also delayed Opens)."""
    cell = Cell()
    alice = cell.client()
    alice.open_handle("/f")
    assert isinstance(alice.call(Close(50)), Done)
    assert code_of(alice.call(Open(50, "/f"))) is ErrorCode.HANDLE_INVALID


# -------------------------------------------------------------------------------------------------------- permissions


@pytest.mark.parametrize("mode", [Mode.READ, Mode.WRITE, Mode.CHANGE_ACL, RW, RW | Mode.CHANGE_ACL], ids=str)
def test_acls_are_checked_at_open(mode: Mode) -> None:
    """Each mode against its list; administrators pass everywhere."""
    _, root, carol, mallory = cell_with_staff()
    assert isinstance(carol.call(Open(1, "/private", mode)), Opened)
    assert isinstance(root.call(Open(9, "/private", mode)), Opened)
    assert code_of(mallory.call(Open(1, "/private", mode))) is ErrorCode.PERMISSION_DENIED


def test_and_never_again() -> None:
    """DESIGN §5: a handle goes on after the list has changed (paper §2.3: full checks only when it is created)."""
    cell, root, carol, _ = cell_with_staff()
    handle = carol.open_handle("/private")
    root.call(SetContents(1, b"nobody\n"))
    assert isinstance(carol.call(SetContents(handle, b"x")), StatResult)
    assert code_of(carol.call(Open(9, "/private"))) is ErrorCode.PERMISSION_DENIED and cell is not None


@pytest.mark.parametrize(
    ("mode", "call"),
    [
        (Mode.WRITE, GetContentsAndStat(1)),
        (Mode.WRITE, ReadDir(1)),
        (Mode.READ, SetContents(1, b"")),
        (Mode.READ, SetAttributes(1, {})),
        (Mode.READ, Delete(1)),
        (Mode.READ, Acquire(1)),
        (RW, SetAcl(1, PRIVATE)),
    ],
    ids=str,
)
def test_a_handle_is_good_for_what_it_was_opened_for(mode: Mode, call: Call) -> None:
    """Locking needs WRITE (paper §2.4: acquiring a lock in either mode requires write permission)."""
    cell = Cell()
    root = cell.client("root")
    root.open_handle("/f", mode)
    assert code_of(root.call(call)) is ErrorCode.PERMISSION_DENIED
    assert isinstance(root.call(GetStat(1)), StatResult) and isinstance(root.call(GetLockInfo(1)), LockInfoResult)


def test_creating_needs_write_on_the_parent() -> None:
    """And the modes asked for, by the lists that the new node has."""
    _, root, carol, mallory = cell_with_staff()
    assert isinstance(carol.call(Open(1, "/private/x", RW, create=CreateMode.MAY)), Opened)
    assert code_of(mallory.call(Open(1, "/private/y", RW, create=CreateMode.MAY))) is ErrorCode.PERMISSION_DENIED
    denied = mallory.call(Open(2, "/new", RW | Mode.CHANGE_ACL, create=CreateMode.MAY))
    assert code_of(denied) is ErrorCode.PERMISSION_DENIED, "the root's change list is inherited"
    denied = mallory.call(Open(3, "/new", RW, create=CreateMode.MAY, acl=PRIVATE))
    assert code_of(denied) is ErrorCode.PERMISSION_DENIED
    assert isinstance(root.call(Open(20, "/new", RW, create=CreateMode.MAY, acl=PRIVATE)), Opened)


def test_found_at_the_slot_and_not_permitted() -> None:
    """Somebody made the node first, and it is not for us."""
    cell, root, _, mallory = cell_with_staff()
    cell.applying = False
    root.start(Open(30, "/race", RW, create=CreateMode.MUST, acl=PRIVATE))
    call = mallory.start(Open(1, "/race", RW, create=CreateMode.MAY))
    cell.applying = True
    cell.settle()
    assert code_of(mallory.answer(call)) is ErrorCode.PERMISSION_DENIED
    assert code_of(mallory.call(GetStat(1))) is ErrorCode.HANDLE_INVALID


@pytest.mark.parametrize("ephemeral", [False, True])
def test_who_may_not_open_an_ephemeral_does_not_keep_it(ephemeral: bool) -> None:
    """Made in the moment between: whoever is refused must not be in its open-set, or it would outlive its maker."""
    cell, root, _, mallory = cell_with_staff()
    cell.applying = False
    root.start(Open(30, "/race", RW, create=CreateMode.MUST, acl=PRIVATE, ephemeral=True))
    call = mallory.start(Open(1, "/race", RW, create=CreateMode.MAY, ephemeral=ephemeral))
    cell.applying = True
    cell.settle()
    assert code_of(mallory.answer(call)) is ErrorCode.PERMISSION_DENIED
    assert cell.machine.open_count("/race") == 1
    root.call(Close(30))
    assert cell.machine.node("/race") is None


def test_nor_one_that_a_sequence_made() -> None:
    """Its name is known only when it is made; who guesses it waits for that as well."""
    cell, root, _, mallory = cell_with_staff()
    cell.applying = False
    root.start(Open(30, "/race-", RW, create=CreateMode.MUST, acl=PRIVATE, ephemeral=True, sequential=True))
    call = mallory.start(Open(1, "/race-0000000000", RW, create=CreateMode.MAY))
    cell.applying = True
    cell.settle()
    assert code_of(mallory.answer(call)) is ErrorCode.PERMISSION_DENIED
    assert cell.machine.open_count("/race-0000000000") == 1


def test_who_may_open_it_waits_for_it_and_keeps_it() -> None:
    """Two who make the same ephemeral at once: one makes it, both hold it open."""
    cell = Cell()
    alice, bob, carol = cell.client(), cell.client("bob"), cell.client("carol")
    alice.open_handle("/d")
    cell.applying = False
    first = alice.start(Open(2, "/e", RW, create=CreateMode.MAY, ephemeral=True))
    second = bob.start(Open(1, "/e", RW, create=CreateMode.MAY, ephemeral=True))
    other = carol.start(Open(1, "/d/e", RW, create=CreateMode.MAY, ephemeral=True))
    assert len(cell.log) == 2, "nobody waits for what is made elsewhere"
    cell.applying = True
    cell.settle()
    answers = [alice.answer(first), bob.answer(second), carol.answer(other)]
    assert [isinstance(answer, Opened) and answer.created for answer in answers] == [True, False, True]
    assert cell.machine.open_count("/e") == 2


@pytest.mark.parametrize(
    "call",
    [
        Transact((GenerationIs("/private", 1),)),
        Transact((AclGenerationIs("/private", 1),)),
        Transact((), (Read("/private"),)),
        Transact((), (), (Read("/private"),)),
        Transact((), (Write("/private", b""),)),
        Transact((), (Remove("/private"),)),
        Transact((), (WriteAcl("/private", PRIVATE),)),
        Transact((), (Create("/private/x"),)),
        Transact((), (Create("/acl/mine"),)),
        Transact((), (Create("/mine", acl=PRIVATE), Create("/mine/x"))),
    ],
    ids=str,
)
def test_transactions_are_checked_per_path(call: Call) -> None:
    """DESIGN §4: permissions are checked per path, in both branches, nodes made on the way included."""
    cell, root, carol, mallory = cell_with_staff()
    before = len(cell.commands)
    assert code_of(mallory.call(call)) is ErrorCode.PERMISSION_DENIED and len(cell.commands) == before
    assert isinstance(root.call(call), Transacted) and carol is not None


def test_transactions_that_are_permitted() -> None:
    """Existence is no secret; what is not there needs no permission."""
    _, _, carol, mallory = cell_with_staff()
    answer = mallory.call(Transact((Exists("/private"),), (Create("/mine"), Create("/mine/x"), Write("/mine", b"1"))))
    assert isinstance(answer, Transacted) and answer.result.succeeded
    assert isinstance(mallory.call(Transact((), (Write("/missing", b""),))), Transacted)
    assert isinstance(carol.call(Transact((), (Write("/private", b"x"),))), Transacted)


def test_masks_are_taken_at_open() -> None:
    """A handle that asks for nothing subscribes to nothing."""
    cell = Cell()
    alice = cell.client()
    alice.open_handle("/f")
    other = alice.open_handle("/f", events=EventMask.CONTENTS_MODIFIED)
    alice.call(SetContents(1, b"x"))
    alice.read()
    assert [event.handle for event in alice.events] == [other]


def test_what_is_too_large_is_refused_at_once() -> None:
    """Initial contents have the same limit as any others."""
    cell = Cell()
    alice = cell.client()
    before = len(cell.commands)
    assert code_of(alice.call(Open(1, "/f", RW, create=CreateMode.MAY, contents=b"x" * 300_000))) is ErrorCode.TOO_LARGE
    assert len(cell.commands) == before


def test_a_failed_change_says_why() -> None:
    """What the machine refuses at its slot reaches the caller as it is."""
    cell = Cell()
    root = cell.client("root")
    handle = root.open_handle("/f", RW | Mode.CHANGE_ACL)
    assert code_of(root.call(SetAttributes(handle, {"a": b"x" * 2_000}))) is ErrorCode.TOO_LARGE
    assert code_of(root.call(SetAcl(handle, AclNames("a/b", "x", "x")))) is ErrorCode.BAD_ARGUMENT
    assert isinstance(root.call(GetStat(handle)), StatResult)


@pytest.mark.parametrize("path", ["/", "/acl"])
def test_what_every_cell_has_cannot_be_deleted(path: str) -> None:
    """BAD_ARGUMENT, and nobody's cache is disturbed."""
    cell = Cell()
    root, bob = cell.client("root"), cell.client("bob")
    handle = root.open_handle(path)
    bob.call(ReadDir(bob.open_handle(path, Mode.READ)))
    assert code_of(root.call(Delete(handle))) is ErrorCode.BAD_ARGUMENT and bob.pushes == []


def test_pages_of_a_directory() -> None:
    """In name order, after the name given; a page has no negative length."""
    cell = Cell()
    alice = cell.client()
    directory = alice.open_handle("/d")
    for name in "cab":
        alice.open_handle(f"/d/{name}")
    first = alice.call(ReadDir(directory, limit=2))
    rest = alice.call(ReadDir(directory, after="b"))
    assert isinstance(first, Listing) and [entry.name for entry in first.entries] == ["a", "b"] and first.more
    assert isinstance(rest, Listing) and [entry.name for entry in rest.entries] == ["c"] and not rest.more
    assert code_of(alice.call(ReadDir(directory, limit=-1))) is ErrorCode.BAD_ARGUMENT


def test_a_repeated_open_of_a_deleted_node() -> None:
    """The handle is open, its node is gone: the repeat says so."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/f", create=CreateMode.MAY)
    alice.call(Open(60, "/f"))
    bob.call(Delete(bob.open_handle("/f")))
    assert code_of(alice.call(Open(60, "/f"))) is ErrorCode.HANDLE_INVALID
    assert code_of(alice.call(GetStat(handle))) is ErrorCode.HANDLE_INVALID


def test_an_open_that_was_closed_before_it_was_answered() -> None:
    """Open and Close in one breath, then the Open once more, late: closed it stays."""
    cell = Cell()
    alice = cell.client()
    cell.applying = False
    opening = alice.start(Open(1, "/f", RW, create=CreateMode.MAY))
    closing = alice.start(Close(1))
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(opening), Opened) and isinstance(alice.answer(closing), Done)
    alice.replies.pop(opening)
    alice.resume()
    alice.again(opening)
    assert code_of(alice.answer(opening)) is not None


def test_the_ticket_of_a_handle_says_nothing_to_others() -> None:
    """Presented by another session it is refused: nobody opens a node by somebody else's handle."""
    cell, _, carol, mallory = cell_with_staff()
    carol.open_handle("/private")
    stolen = carol.tickets[1]
    cell.fail_over()
    mallory.resume(claims=[HandleClaim(1, stolen, EventMask.NONE)])
    assert mallory.resumed is not None and [number for number, _ in mallory.resumed.lost] == [1]
    assert code_of(mallory.call(GetContentsAndStat(1))) is ErrorCode.HANDLE_INVALID
