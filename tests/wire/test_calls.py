"""Each call as a client in another language would write it, and what it means here: both directions, field by field.

A round trip alone would not notice two fields that are swapped on both ways; these tables would. They are also the
quickest answer to "what do I send?" for whoever implements a client. The last column of the table of minimal calls is
what an absent field means.
"""

from __future__ import annotations

from typing import get_args

import pytest
from google.protobuf import text_format

from chubby.types.calls import (
    Acquire,
    Call,
    CancelAcquire,
    ChangeMembers,
    CheckSequencer,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetLockInfo,
    GetSequencer,
    GetStat,
    ListLocks,
    ListSessions,
    MemberAction,
    Mode,
    Open,
    ReadDir,
    Release,
    SetAcl,
    SetAttributes,
    SetContents,
    SetSequencer,
    StepDown,
    Transact,
    Unwatch,
    Watch,
)
from chubby.types.events import EventMask
from chubby.types.nodes import AclNames, LockMode, NodeKind
from chubby.types.stream import CallFrame
from chubby.types.transaction import (
    Absent,
    AclGenerationIs,
    ContentIs,
    Create,
    Exists,
    GenerationIs,
    Guard,
    Operation,
    Read,
    Remove,
    TokenIs,
    Write,
    WriteAcl,
    WriteAttributes,
)
from chubby.wire import chubby_pb2 as pb
from chubby.wire.codec import decode_client, encode_client

CALLS: list[tuple[str, Call]] = [
    (
        """open {
             handle: 1 path: "/svc/leader" mode: 7 events: 33 create: CREATE_MODE_MUST kind: NODE_KIND_DIRECTORY
             ephemeral: true sequential: true contents: "10.0.0.7"
             acl { read: "r" write: "w" change: "c" } attributes { key: "mode" value: "755" }
           }""",
        Open(
            handle=1,
            path="/svc/leader",
            mode=Mode.READ | Mode.WRITE | Mode.CHANGE_ACL,
            events=EventMask.CONTENTS_MODIFIED | EventMask.LOCK_CONFLICT,
            create=CreateMode.MUST,
            kind=NodeKind.DIRECTORY,
            ephemeral=True,
            sequential=True,
            contents=b"10.0.0.7",
            acl=AclNames("r", "w", "c"),
            attributes={"mode": b"755"},
        ),
    ),
    ("open { handle: 2 path: '/a' mode: 1 ephemeral: true }", Open(2, "/a", Mode.READ, ephemeral=True)),
    ("open { handle: 3 path: '/a' mode: 2 sequential: true }", Open(3, "/a", Mode.WRITE, sequential=True)),
    ("close { handle: 1 }", Close(1)),
    ("get_contents_and_stat { handle: 1 }", GetContentsAndStat(1)),
    ("get_stat { handle: 1 }", GetStat(1)),
    ("get_lock_info { handle: 1 }", GetLockInfo(1)),
    ("read_dir { handle: 1 after: 'b' limit: 10 }", ReadDir(1, after="b", limit=10)),
    ("set_contents { handle: 1 contents: 'new' generation: 5 }", SetContents(1, b"new", generation=5)),
    ("set_contents { handle: 1 contents: 'new' generation: 0 }", SetContents(1, b"new", generation=0)),
    ("set_contents { handle: 1 contents: 'new' }", SetContents(1, b"new", generation=None)),
    (
        "set_acl { handle: 1 acl { read: 'r' write: 'w' change: 'c' } generation: 2 }",
        SetAcl(1, AclNames(read="r", write="w", change="c"), generation=2),
    ),
    (
        "set_attributes { handle: 1 attributes { key: 'a' value: '1' } attributes { key: 'b' value: '' } }",
        SetAttributes(1, {"a": b"1", "b": b""}),
    ),
    ("delete { handle: 1 }", Delete(1)),
    (
        "acquire { handle: 1 mode: LOCK_MODE_SHARED wait: true lock_delay: 10000000000 }",
        Acquire(1, LockMode.SHARED, wait=True, lock_delay=10_000_000_000),
    ),
    ("acquire { handle: 1 mode: LOCK_MODE_EXCLUSIVE }", Acquire(1, LockMode.EXCLUSIVE, wait=False, lock_delay=0)),
    ("cancel_acquire { handle: 1 }", CancelAcquire(1)),
    ("release { handle: 1 }", Release(1)),
    ("get_sequencer { handle: 1 }", GetSequencer(1)),
    ("set_sequencer { handle: 1 sequencer: '\\377' }", SetSequencer(1, b"\xff")),
    ("check_sequencer { sequencer: '\\377' }", CheckSequencer(b"\xff")),
    (
        """transact {
             guards { absent { path: "/a" } } then { remove { path: "/b" } } otherwise { read { path: "/c" } }
           }""",
        Transact(guards=(Absent("/a"),), then=(Remove("/b"),), otherwise=(Read("/c"),)),
    ),
    ("transact { }", Transact()),
    ("watch { watch: 1 path: '/a' recursive: true since: 7 }", Watch(1, "/a", recursive=True, since=7)),
    ("watch { watch: 1 path: '/a' since: 0 }", Watch(1, "/a", recursive=False, since=0)),
    ("watch { watch: 1 path: '/a' }", Watch(1, "/a", recursive=False, since=None)),
    ("unwatch { watch: 1 }", Unwatch(1)),
    ("list_locks { after: '/a' limit: 10 }", ListLocks(after="/a", limit=10)),
    ("list_sessions { after: 5 limit: 10 }", ListSessions(after=5, limit=10)),
    ("step_down { successor: 3 }", StepDown(successor=3)),
    (
        "change_members { action: MEMBER_ACTION_REPLACE replica: 3 peer_address: 'p:1' client_address: 'c:2' }",
        ChangeMembers(MemberAction.REPLACE, 3, peer_address="p:1", client_address="c:2"),
    ),
    (
        "change_members { action: MEMBER_ACTION_ADD replica: 6 peer_address: 'p:1' client_address: 'c:2' }",
        ChangeMembers(MemberAction.ADD, 6, "p:1", "c:2"),
    ),
    ("change_members { action: MEMBER_ACTION_REMOVE replica: 3 }", ChangeMembers(MemberAction.REMOVE, 3)),
    (
        "change_members { action: MEMBER_ACTION_REMOVE replica: 3 incarnation: 7 }",
        ChangeMembers(MemberAction.REMOVE, 3, incarnation=7),
    ),
    (
        "change_members { action: MEMBER_ACTION_REPLACE replica: 3 incarnation: 0 }",
        ChangeMembers(MemberAction.REPLACE, 3, incarnation=0),
    ),
]

MINIMAL: list[tuple[str, Call]] = [
    ("open { }", Open(0, "", Mode(0), EventMask.NONE, CreateMode.NEVER, NodeKind.FILE, acl=None, attributes={})),
    ("close { }", Close(0)),
    ("read_dir { }", ReadDir(0, after="", limit=0)),
    ("set_contents { }", SetContents(0, b"", generation=None)),
    ("set_attributes { }", SetAttributes(0, {})),
    ("check_sequencer { }", CheckSequencer(b"")),
    ("watch { }", Watch(0, "", recursive=False, since=None)),
    ("list_locks { }", ListLocks(after="", limit=0)),
    ("list_sessions { }", ListSessions(after=0, limit=0)),
    ("step_down { }", StepDown(successor=0)),
]

GUARDS: list[tuple[str, Guard]] = [
    ("exists { path: '/a' }", Exists("/a", instance=None)),
    ("exists { path: '/a' instance: 0 }", Exists("/a", instance=0)),
    ("exists { path: '/a' instance: 9 }", Exists("/a", instance=9)),
    ("absent { path: '/a' }", Absent("/a")),
    ("generation { path: '/a' generation: 3 }", GenerationIs("/a", 3)),
    ("acl_generation { path: '/a' generation: 3 }", AclGenerationIs("/a", 3)),
    ("content { path: '/a' contents: 'x' }", ContentIs("/a", b"x")),
    ("token { path: '/a' token: 3 }", TokenIs("/a", 3)),
]

OPERATIONS: list[tuple[str, Operation]] = [
    (
        """create {
             path: "/a" contents: "x" kind: NODE_KIND_DIRECTORY ephemeral: true may_exist: true
             acl { read: "r" write: "w" change: "c" } attributes { key: "k" value: "v" }
           }""",
        Create(
            "/a",
            b"x",
            NodeKind.DIRECTORY,
            ephemeral=True,
            sequential=False,
            may_exist=True,
            acl=AclNames("r", "w", "c"),
            attributes={"k": b"v"},
        ),
    ),
    ("create { path: '/a' sequential: true }", Create("/a", sequential=True)),
    ("write { path: '/a' contents: 'x' }", Write("/a", b"x")),
    ("remove { path: '/a' }", Remove("/a")),
    (
        "write_acl { path: '/a' acl { read: 'r' write: 'w' change: 'c' } }",
        WriteAcl("/a", AclNames(read="r", write="w", change="c")),
    ),
    (
        "write_attributes { path: '/a' attributes { key: 'k' value: 'v' } }",
        WriteAttributes("/a", {"k": b"v"}),
    ),
    ("read { path: '/a' }", Read("/a")),
]


def packet(text: str) -> pb.ClientPacket:
    """The packet of one call with number 9."""
    return text_format.Parse(f"frames {{ call {{ number: 9 {text} }} }}", pb.ClientPacket())


@pytest.mark.parametrize(("text", "call"), CALLS)
def test_what_a_call_looks_like(text: str, call: Call) -> None:
    """DESIGN §6, paper §2.6: every call, with every field, in the protocol's own words."""
    assert decode_client(packet(text)) == [CallFrame(9, 0, 0, call)]
    assert encode_client([CallFrame(9, 0, 0, call)]) == packet(text)


@pytest.mark.parametrize(("text", "call"), MINIMAL)
def test_what_absent_fields_of_a_call_mean(text: str, call: Call) -> None:
    """Zero, empty or None: never the default that Python's constructors have, which others do not know."""
    assert decode_client(packet(text)) == [CallFrame(9, 0, 0, call)]
    assert encode_client([CallFrame(9, 0, 0, call)]) == packet(text)


@pytest.mark.parametrize(("text", "guard"), GUARDS)
def test_what_a_guard_looks_like(text: str, guard: Guard) -> None:
    """DESIGN §4: the conditions of a transaction."""
    written = packet(f"transact {{ guards {{ {text} }} }}")
    assert decode_client(written) == [CallFrame(9, 0, 0, Transact(guards=(guard,)))]
    assert encode_client([CallFrame(9, 0, 0, Transact(guards=(guard,)))]) == written


@pytest.mark.parametrize("branch", ["then", "otherwise"])
@pytest.mark.parametrize(("text", "operation"), OPERATIONS)
def test_what_an_operation_looks_like(branch: str, text: str, operation: Operation) -> None:
    """DESIGN §4: what a transaction does, in either branch."""
    written = packet(f"transact {{ {branch} {{ {text} }} }}")
    call = Transact(then=(operation,)) if branch == "then" else Transact(otherwise=(operation,))
    assert decode_client(written) == [CallFrame(9, 0, 0, call)]
    assert encode_client([CallFrame(9, 0, 0, call)]) == written


def test_guards_and_operations_keep_their_order() -> None:
    """The first guard that fails is named by its index, and operations build on each other."""
    call = Transact(
        guards=tuple(guard for _, guard in GUARDS),
        then=tuple(operation for _, operation in OPERATIONS),
        otherwise=tuple(operation for _, operation in reversed(OPERATIONS)),
    )
    assert decode_client(encode_client([CallFrame(1, 0, 0, call)])) == [CallFrame(1, 0, 0, call)]


def test_the_tables_are_complete() -> None:
    """Every call, guard and operation is shown at least once."""
    assert {type(call) for _, call in CALLS} == set(get_args(Call))
    assert {type(guard) for _, guard in GUARDS} == set(get_args(Guard))
    assert {type(operation) for _, operation in OPERATIONS} == set(get_args(Operation))
