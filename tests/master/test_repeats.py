"""One number for two calls: neither the master's end nor a way around what a call may do (DESIGN §4 Sessions, §5).

Found by fuzzing (`tests/fuzzing/regressions/session_stream`): any client could end a master, and the next one.
"""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.types.calls import (
    Acquire,
    Call,
    CreateMode,
    Delete,
    Mode,
    Open,
    Release,
    SetAttributes,
    SetContents,
    Transact,
)
from chubby.types.nodes import AclNames
from chubby.types.results import Opened, StatResult
from chubby.types.stream import CallFrame
from chubby.types.transaction import Create, Read, Write
from tests.fuzzing.streams import KINDS, calls_on
from tests.master.cell import Cell, Client, code_of

BOTH = Mode.READ | Mode.WRITE
FIRST: dict[str, Call] = {
    "an Open that made a node": Open(1, "/a", BOTH, create=CreateMode.MUST),
    "an Open of an ephemeral": Open(1, "/e", BOTH, create=CreateMode.MUST, ephemeral=True),
    "a write": SetContents(9, b"x"),
    "a lock": Acquire(9),
    "a transaction": Transact(then=(Create("/t"), Write("/t", b"x"))),
    "a transaction that changes nothing but a guard": Transact(then=(Create("/t"),), otherwise=(Read("/"),)),
}


def begun() -> tuple[Cell, Client]:
    """A client with handle 9 on a node of its own."""
    cell = Cell()
    client = cell.client()
    client.handles = 8
    client.open_handle("/mine")
    return cell, client


def again(client: Client, call: Call) -> ErrorCode | None:
    """The code of the answer to another call under the last one's number."""
    number = client.number
    client.replies.pop(number, None)
    client.send(CallFrame(number, 0, 0, call))
    client.cell.let_read()
    reply = client.replies.get(number)
    return None if reply is None else code_of(reply.answer)


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize("kind", range(KINDS))
def test_no_second_call_ends_the_master(first: Call, kind: int) -> None:
    """Whatever came first and whatever comes after it, under this master and under the next."""
    cell, client = begun()
    client.call(first)
    for handle in (1, 3, 9):
        again(client, calls_on(handle, "/a", 1)[kind])
    cell.fail_over()
    client.resume()
    again(client, calls_on(9, "/a", 1)[kind])
    assert isinstance(cell.client("bob").call(Open(1, "/")), Opened)


def test_a_repeat_is_answered_as_before() -> None:
    """The same call under the same number."""
    for first in FIRST.values():
        cell, client = begun()
        before = client.call(first)
        applied = len(cell.commands)
        assert again(client, first) == code_of(before)
        assert len(cell.commands) == applied, "nothing is done twice"


def test_a_read_under_the_number_of_a_write_is_refused() -> None:
    """It is told so."""
    _cell, client = begun()
    client.call(SetContents(9, b"x"))
    assert again(client, calls_on(9, "/mine", 1)[5]) is ErrorCode.BAD_ARGUMENT
    assert again(client, Release(9)) is ErrorCode.BAD_ARGUMENT
    assert again(client, Open(3, "/other", BOTH)) is ErrorCode.BAD_ARGUMENT


@pytest.mark.parametrize("call", [SetContents(9, b"y"), SetAttributes(9, {"a": b"b"})])
def test_a_write_under_the_number_of_a_transaction_of_several_is_refused(call: Call) -> None:
    """Its answer would be somebody else's."""
    _cell, client = begun()
    client.call(Transact(then=(Create("/t"), Write("/t", b"x"))))
    assert again(client, call) is ErrorCode.BAD_ARGUMENT
    assert again(client, Acquire(9)) is ErrorCode.BAD_ARGUMENT
    assert again(client, Delete(9)) is None, "a delete has nothing to say but that it was done"


def test_no_handle_of_a_mode_that_the_lists_do_not_admit() -> None:
    """DESIGN §4 ACLs: what an Open may is checked for the call that is made, not for the one before it."""
    _cell, client = begun()
    acl = AclNames("anyone", "nobody", "nobody")
    assert isinstance(client.call(Open(1, "/a", Mode.READ, create=CreateMode.MUST, acl=acl)), Opened)
    for mode in (Mode.WRITE, BOTH, Mode.CHANGE_ACL):
        assert again(client, Open(2, "/a", mode, create=CreateMode.MUST)) is ErrorCode.PERMISSION_DENIED


def test_no_more_handles_than_a_session_may_have() -> None:
    """DESIGN §5 Handles: one answer opens no second handle of an ephemeral, nor any number of others."""
    cell, client = begun()
    cell.master._desk.settings = cell.settings
    client.call(Open(1, "/e", BOTH, create=CreateMode.MUST, ephemeral=True))
    assert again(client, Open(2, "/e", BOTH, create=CreateMode.MUST, ephemeral=True)) is ErrorCode.BAD_ARGUMENT
    assert again(client, Open(0, "/e", BOTH)) is not None


def test_what_the_first_call_did_stays_done() -> None:
    """A second call under its number changes nothing."""
    cell, client = begun()
    assert isinstance(client.call(SetContents(9, b"first")), StatResult)
    again(client, SetContents(9, b"second"))
    node = cell.machine.node("/mine")
    assert node is not None and node.contents == b"first"
