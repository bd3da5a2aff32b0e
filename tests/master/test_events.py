"""Events and watches, from what is applied to what is pushed (DESIGN §5 Events; paper §2.5)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.master import MasterSettings
from chubby.namespace.commands import Limits
from chubby.types.calls import (
    Call,
    Close,
    CreateMode,
    Delete,
    GetStat,
    Mode,
    Open,
    SetAcl,
    SetAttributes,
    SetContents,
    Transact,
    Unwatch,
    Watch,
)
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.nodes import AclNames
from chubby.types.results import Done, Opened, Watching
from chubby.types.stream import Acknowledge, CloseSession, WatchClaim
from chubby.types.time import SECOND
from chubby.types.transaction import Create, Remove, Write
from tests.master.cell import Cell, Client, code_of

PRIVATE = AclNames("staff", "staff", "staff")


def watcher(settings: MasterSettings | None = None, limits: Limits | None = None) -> tuple[Cell, Client, Client, int]:
    """Alice writes `/f` through handle 1; bob, who never caches, watches the whole tree with watch 1."""
    cell = Cell(settings or MasterSettings(replica=1), limits=limits)
    alice, bob = cell.client("root"), cell.client("bob", caching=False)
    handle = alice.open_handle("/f", Mode.READ | Mode.WRITE | Mode.CHANGE_ACL)
    assert isinstance(bob.call(Watch(1, "/", recursive=True)), Watching)
    return cell, alice, bob, handle


def kinds(client: Client) -> list[tuple[EventKind, str]]:
    """What it was told, in order."""
    client.cell.let_read()
    return [(event.kind, event.path) for event in client.events]


def test_every_kind_of_change_is_told_in_order() -> None:
    """Content and child events derive from the history and carry the revision that caused them."""
    cell, alice, bob, handle = watcher()
    alice.call(SetContents(handle, b"1"))
    alice.call(SetAttributes(handle, {"a": b"1"}))
    alice.call(SetAcl(handle, AclNames("anyone", "anyone", "anyone")))
    other = alice.open_handle("/g")
    alice.call(Delete(other))
    assert kinds(bob) == [
        (EventKind.CONTENTS_MODIFIED, "/f"),
        (EventKind.ATTRIBUTES_MODIFIED, "/f"),
        (EventKind.ACL_MODIFIED, "/f"),
        (EventKind.CREATED, "/g"),
        (EventKind.DELETED, "/g"),
    ]
    revisions = [event.revision for event in bob.events]
    assert revisions == sorted(revisions) and revisions[-1] == cell.machine.revision == bob.cursor


def test_an_event_comes_after_the_fact() -> None:
    """Reading afterwards sees that data or newer (paper §2.5)."""
    cell, alice, bob, handle = watcher()
    cell.applying = False
    alice.start(SetContents(handle, b"1"))
    assert kinds(bob) == []
    cell.apply()
    assert kinds(bob) == [(EventKind.CONTENTS_MODIFIED, "/f")]


def test_a_transaction_is_told_as_a_whole() -> None:
    """All its changes under one revision; the cursor does not stop in the middle."""
    _, alice, bob, _ = watcher()
    alice.call(Transact((), (Create("/a"), Create("/a/b"), Write("/f", b"1"))))
    assert kinds(bob) == [(EventKind.CREATED, "/a"), (EventKind.CREATED, "/a/b"), (EventKind.CONTENTS_MODIFIED, "/f")]
    assert len({event.revision for event in bob.events}) == 1 and bob.pushes[-1].cursor == bob.events[0].revision


def test_the_end_of_a_session_is_told() -> None:
    """Its ephemerals go: the service is down."""
    cell, alice, bob, _ = watcher()
    alice.open_handle("/svc", ephemeral=True)
    alice.send(CloseSession())
    assert kinds(bob)[-1] == (EventKind.DELETED, "/svc") and cell.machine.session_count == 1


def test_masks_of_handles() -> None:
    """Contents and children for handles; HANDLE_INVALID when the node is deleted."""
    cell = Cell()
    alice, bob = cell.client("root"), cell.client("bob", caching=False)
    handle = alice.open_handle("/d")
    mask = EventMask.CONTENTS_MODIFIED | EventMask.CHILD_CHANGED | EventMask.HANDLE_INVALID
    mine = bob.open_handle("/d", Mode.READ, mask)
    child = alice.open_handle("/d/x")
    alice.call(SetContents(handle, b"1"))
    alice.call(SetContents(child, b"1"))
    alice.call(Delete(child))
    alice.call(Delete(handle))
    assert kinds(bob) == [
        (EventKind.CREATED, "/d/x"),
        (EventKind.CONTENTS_MODIFIED, "/d"),
        (EventKind.CONTENTS_MODIFIED, "/d/x"),
        (EventKind.DELETED, "/d/x"),
        (EventKind.HANDLE_INVALID, "/d"),
    ]
    assert {event.handle for event in bob.events} == {mine}


def test_closing_and_unwatching_end_it() -> None:
    """Nothing more is told, not even what waited."""
    cell, alice, bob, handle = watcher()
    mine = bob.open_handle("/f", Mode.READ, EventMask.CONTENTS_MODIFIED)
    assert isinstance(bob.call(Close(mine)), Done)
    assert isinstance(bob.call(Unwatch(1)), Done) and isinstance(bob.call(Unwatch(1)), Done)
    alice.call(SetContents(handle, b"1"))
    assert kinds(bob) == [] and cell.master.statistics().watches == 0


def test_a_session_that_ends_is_told_nothing_more() -> None:
    """Its subscriptions go with it."""
    cell, alice, bob, handle = watcher()
    bob.open_handle("/f", Mode.READ, EventMask.CONTENTS_MODIFIED)
    bob.send(CloseSession())
    before = cell.master.statistics().events
    alice.call(SetContents(handle, b"1"))
    assert cell.master.statistics().events == before


# ------------------------------------------------------------------------------------------------------------ watches


def test_a_watch_of_something_that_is_not_there() -> None:
    """The node need not exist."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob", caching=False)
    answer = bob.call(Watch(1, "/d/new"))
    assert answer == Watching(cell.machine.revision)
    alice.open_handle("/d")
    alice.open_handle("/d/new")
    alice.open_handle("/d/new/below")
    assert kinds(bob) == [(EventKind.CREATED, "/d/new")]


def test_since_replays_the_past() -> None:
    """Changes with revisions above `since`, then those of the present, once each."""
    cell, alice, bob, handle = watcher()
    bob.call(Unwatch(1))
    start = cell.machine.revision
    for number in range(3):
        alice.call(SetContents(handle, b"%d" % number))
    answer = bob.call(Watch(2, "/f", since=start + 1))
    assert answer == Watching(start + 1)
    alice.call(SetContents(handle, b"9"))
    cell.let_read()
    assert [event.revision for event in bob.events] == [start + 2, start + 3, start + 4]


def test_since_does_not_move_the_sessions_cursor_back() -> None:
    """Another watch's past is not everybody's."""
    cell, alice, bob, handle = watcher()
    for number in range(3):
        alice.call(SetContents(handle, b"%d" % number))
    cell.let_read()
    cursor = bob.cursor
    bob.call(Watch(2, "/f", since=0))
    assert bob.cursor == cursor and all(push.cursor in (0, cursor) for push in bob.pushes[-1:])


def test_too_old_a_since_gives_one_resync_first() -> None:
    """And everything from now on."""
    cell, alice, bob, handle = watcher(limits=Limits(history=2))
    for number in range(6):
        alice.call(SetContents(handle, b"%d" % number))
    cell.let_read()
    bob.events.clear()
    assert bob.call(Watch(2, "/f", since=1)) == Watching(cell.machine.revision)
    bob.call(Unwatch(1))
    alice.call(SetContents(handle, b"9"))
    cell.let_read()
    assert [(event.kind, event.watch) for event in bob.events] == [
        (EventKind.RESYNC, 2),
        (EventKind.CONTENTS_MODIFIED, 2),
    ]


def test_a_since_in_the_future_is_now() -> None:
    """The cell was restored, say: nothing below the present is claimed to be told."""
    cell, _, bob, _ = watcher()
    assert bob.call(Watch(2, "/f", since=1 << 40)) == Watching(cell.machine.revision)


def test_a_watch_that_is_begun_again_replaces_itself() -> None:
    """A repeat after a lost reply does not tell everything twice."""
    cell, alice, bob, handle = watcher()
    bob.call(Watch(1, "/f"))
    alice.call(SetContents(handle, b"1"))
    assert kinds(bob) == [(EventKind.CONTENTS_MODIFIED, "/f")] and cell.master.statistics().watches == 1


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (Watch(0, "/f"), ErrorCode.BAD_ARGUMENT),
        (Watch(2, "f"), ErrorCode.BAD_PATH),
        (Watch(2, "/f/"), ErrorCode.BAD_PATH),
    ],
    ids=str,
)
def test_refused_watches(call: Call, code: ErrorCode) -> None:
    """Malformed ones."""
    _, _, bob, _ = watcher()
    assert code_of(bob.call(call)) is code


def test_watches_are_bounded() -> None:
    """QUOTA_EXCEEDED; ending one makes room."""
    _, _, bob, _ = watcher(MasterSettings(replica=1, watches_per_session=1))
    assert code_of(bob.call(Watch(2, "/f"))) is ErrorCode.QUOTA_EXCEEDED
    bob.call(Unwatch(1))
    assert isinstance(bob.call(Watch(2, "/f")), Watching)


def test_watching_needs_the_right_to_read() -> None:
    """Of the node, or of the nearest one above it that is there."""
    cell = Cell()
    root, bob = cell.client("root"), cell.client("bob")
    made = root.call(Open(1, "/private", Mode.READ, create=CreateMode.MUST, acl=PRIVATE))
    assert isinstance(made, Opened)
    for path in ("/private", "/private/missing", "/private/missing/deep"):
        assert code_of(bob.call(Watch(1, path))) is ErrorCode.PERMISSION_DENIED
        assert isinstance(root.call(Watch(1, path)), Watching)
    assert isinstance(bob.call(Watch(1, "/elsewhere")), Watching)


def test_a_claimed_watch_is_checked_again() -> None:
    """A claim is no ticket: one that is not permitted any more is told to look for itself."""
    cell = Cell()
    root, bob = cell.client("root"), cell.client("bob", caching=False)
    handle = root.open_handle("/f", Mode.READ | Mode.CHANGE_ACL)
    bob.call(Watch(1, "/f"))
    root.call(SetAcl(handle, PRIVATE))
    cell.let_read()
    bob.events.clear()
    cell.fail_over()
    bob.resume(watches=[WatchClaim(1, "/f", False), WatchClaim(2, "not a path", False)])
    assert bob.events == [Event(EventKind.RESYNC, watch=1), Event(EventKind.RESYNC, watch=2)]
    assert cell.master.statistics().watches == 0


# ------------------------------------------------------------------------------------------------------------- queues


def test_a_slow_client_gets_resync_instead_of_a_gap() -> None:
    """DESIGN §5: queues are bounded and coalesce; etcd's watchers starve or lose events instead."""
    cell, alice, bob, handle = watcher(
        MasterSettings(replica=1, events_per_session=8, push_window=1, events_per_push=4)
    )
    bob.auto_ack = False
    alice.call(SetContents(handle, b"first"))
    for number in range(40):
        alice.call(Transact((), (Create(f"/n{number}"), Remove(f"/n{number}"))))
    while bob.pushes[-1].number:
        last = bob.pushes[-1]
        bob.send(Acknowledge(last.number))
        if bob.pushes[-1] is last:
            break
    assert any(event.kind is EventKind.RESYNC and event.watch == 1 for event in bob.events)
    assert len(bob.events) < 30 and bob.cursor == cell.machine.revision
    assert cell.master.statistics().resyncs > 0


def test_unseen_events_are_sent_again_on_the_next_stream() -> None:
    """Under the same master nothing is asked of the history: what was not acknowledged is told again."""
    cell, alice, bob, handle = watcher()
    bob.auto_ack = False
    alice.call(SetContents(handle, b"1"))
    cell.let_read()
    seen = list(bob.events)
    alice.call(SetContents(handle, b"2"))
    bob.events.clear()
    bob.cursor = seen[0].revision - 1
    bob.resume()
    cell.let_read()
    assert [event.revision for event in bob.events] == [seen[0].revision, seen[0].revision + 1]


def test_events_wait_for_a_session_without_a_stream() -> None:
    """It resumes and is told."""
    _, alice, bob, handle = watcher()
    bob.disconnect()
    alice.call(SetContents(handle, b"1"))
    bob.resume()
    assert kinds(bob) == [(EventKind.CONTENTS_MODIFIED, "/f")]


def test_an_idle_subscriber_is_told_the_newer_cursor() -> None:
    """So that its Resume does not ask for a past that nobody has any more."""
    cell = Cell(MasterSettings(replica=1, cursor_lag=3))
    alice, bob, carol = cell.client(), cell.client("bob"), cell.client("carol")
    handle = alice.open_handle("/f")
    bob.call(Watch(1, "/elsewhere"))
    for number in range(3):
        alice.call(SetContents(handle, b"%d" % number))
    bob.pushes.clear()
    cell.advance(SECOND)
    assert bob.pushes == []
    bob.keep_alive()
    carol.keep_alive()
    cell.let_read()
    assert [push.cursor for push in bob.pushes] == [cell.machine.revision]
    assert carol.pushes == [], "who is told nothing has no use for a cursor"


def test_a_write_is_told_to_its_writer_too() -> None:
    """Who watches wants to know, whoever it was."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f", events=EventMask.CONTENTS_MODIFIED)
    alice.call(SetContents(handle, b"1"))
    cell.let_read()
    assert [event.handle for event in alice.events] == [handle] and alice.call(GetStat(handle)) is not None
