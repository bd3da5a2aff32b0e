"""Fail-over, continued (DESIGN §5 "Fail-over")."""

from __future__ import annotations

from chubby.errors import ErrorCode
from chubby.master import MasterSettings
from chubby.namespace.commands import (
    Limits,
)
from chubby.types.calls import (
    Acquire,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetStat,
    Mode,
    Open,
    SetContents,
    Watch,
)
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.results import Contents, Done, Opened, StatResult, Watching
from chubby.types.stream import HandleClaim, Refused, WatchClaim
from chubby.types.time import SECOND
from tests.master.cell import Cell, Client, code_of

# -------------------------------------------------------------------------------------------------- handles, events


def test_handles_are_recreated_from_their_tickets() -> None:
    """Step 8: with path, instance and mode; nothing of it is in the log."""
    cell = Cell()
    alice = cell.client()
    reader = alice.open_handle("/f", Mode.READ, contents=b"x")
    cell.fail_over()
    alice.resume()
    assert alice.resumed is not None and alice.resumed.lost == ()
    assert isinstance(alice.call(GetContentsAndStat(reader)), Contents)
    assert code_of(alice.call(SetContents(reader, b"y"))) is ErrorCode.PERMISSION_DENIED


def test_handles_that_are_lost_say_why() -> None:
    """Forged, presented under another number, or bound to an instance that is gone."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    alice.open_handle("/f")
    gone, kept = alice.open_handle("/gone"), alice.open_handle("/kept")
    bob.call(Delete(bob.open_handle("/gone")))
    bob.open_handle("/gone")
    stolen = bob.tickets[1]
    cell.fail_over()
    claims = [
        HandleClaim(1, alice.tickets[1][:-1] + b"!", EventMask.NONE),
        HandleClaim(gone, alice.tickets[gone], EventMask.NONE),
        HandleClaim(kept, alice.tickets[kept], EventMask.NONE),
        HandleClaim(77, alice.tickets[kept], EventMask.NONE),
        HandleClaim(88, stolen, EventMask.NONE),
    ]
    alice.resume(claims=claims)
    assert alice.resumed is not None
    assert [(number, failure.code) for number, failure in alice.resumed.lost] == [
        (number, ErrorCode.HANDLE_INVALID) for number in (1, gone, 77, 88)
    ]
    assert isinstance(alice.call(GetStat(kept)), StatResult)
    assert code_of(alice.call(GetStat(1))) is ErrorCode.HANDLE_INVALID


def test_no_more_is_taken_up_than_may_be_open() -> None:
    """What a session may present is bounded like what it may ask for, and what is left out is told."""
    cell = Cell(MasterSettings(replica=1, handles_per_session=3, watches_per_session=2))
    alice = cell.client()
    for number in range(1, 7):
        alice.open_handle("/f")
        if number != 1:
            alice.call(Close(number))
    cell.fail_over()
    watches = [WatchClaim(number, "/f", recursive=False) for number in (1, 2, 3)]
    alice.resume(watches=watches)
    assert alice.resumed is not None
    assert [(handle, failure.code) for handle, failure in alice.resumed.lost] == [
        (number, ErrorCode.QUOTA_EXCEEDED) for number in (4, 5, 6)
    ]
    assert cell.master.statistics().handles == 3 and cell.master.statistics().watches == 2
    assert [event for event in alice.events if event.kind is EventKind.RESYNC] == [Event(EventKind.RESYNC, watch=3)]
    alice.resume(claims=[], watches=watches[:2])
    assert cell.master.statistics().watches == 2, "those it knows are known"


def test_one_closed_in_this_epoch_stays_closed() -> None:
    """Step 8: a delayed Open or an old claim does not bring it back; under the next master the ticket counts again."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    assert isinstance(alice.call(Close(handle)), Done)
    assert code_of(alice.call(Open(handle, "/f"))) is ErrorCode.HANDLE_INVALID
    alice.resume()
    assert alice.resumed is not None and [number for number, _ in alice.resumed.lost] == [handle]
    cell.fail_over()
    alice.resume()
    assert alice.resumed is not None and alice.resumed.lost == ()


def test_a_handle_closed_before_it_was_presented() -> None:
    """A client may close, after a fail-over, what it does not claim: the machine knows what it holds."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, ephemeral = alice.open_handle("/l"), alice.open_handle("/e", ephemeral=True)
    alice.call(Acquire(handle))
    cell.fail_over()
    alice.resume(claims=[])
    bob.resume()
    assert isinstance(alice.call(Close(handle)), Done) and isinstance(alice.call(Close(ephemeral)), Done)
    assert cell.machine.lock_count == 0 and cell.machine.node("/e") is None


def test_the_fail_over_event_goes_to_handles_that_asked() -> None:
    """Event 3 of the paper."""
    cell = Cell()
    alice = cell.client()
    asked = alice.open_handle("/f", events=EventMask.MASTER_FAILED_OVER)
    alice.open_handle("/g", events=EventMask.CONTENTS_MODIFIED)
    alice.resume()
    alice.read()
    assert alice.events == [], "resuming under the same master is no fail-over"
    cell.fail_over()
    alice.resume()
    assert [(event.kind, event.handle) for event in alice.events] == [(EventKind.MASTER_FAILED_OVER, asked)]


def test_no_content_event_is_lost() -> None:
    """DESIGN §5: a session's cursor is a revision; Resume replays what is above it."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/f", events=EventMask.CONTENTS_MODIFIED)
    assert isinstance(alice.call(Watch(1, "/d", recursive=True)), Watching)
    writer = bob.open_handle("/f")
    bob.call(SetContents(writer, b"1"))
    alice.disconnect()
    alice.events.clear()
    bob.call(SetContents(writer, b"2"))
    bob.open_handle("/d")
    cell.fail_over()
    bob.resume()
    cell.advance(4 * SECOND)
    bob.call(SetContents(writer, b"3"))
    alice.resume(watches=[WatchClaim(1, "/d", recursive=True)])
    told = [(event.kind, event.path, event.handle, event.watch) for event in alice.events]
    assert told == [
        (EventKind.CONTENTS_MODIFIED, "/f", handle, 0),
        (EventKind.CREATED, "/d", 0, 1),
        (EventKind.CONTENTS_MODIFIED, "/f", handle, 0),
    ]
    assert alice.cursor == cell.machine.revision
    bob.call(SetContents(writer, b"4"))
    alice.read()
    assert len(alice.events) == 4, "and from now on it is told as things happen"


def test_a_cursor_that_is_too_old_says_resync() -> None:
    """DESIGN §5: or says RESYNC when the cursor is too old."""
    cell = Cell(limits=Limits(history=5))
    alice, bob = cell.client(caching=False), cell.client("bob")
    handle = alice.open_handle("/f", events=EventMask.CONTENTS_MODIFIED)
    writer = bob.open_handle("/f")
    alice.disconnect()
    alice.cursor = cell.machine.revision
    for number in range(9):
        bob.call(SetContents(writer, b"%d" % number))
    cell.fail_over()
    alice.resume()
    assert alice.events == [Event(EventKind.RESYNC, handle=handle)]


def test_lock_events_derive_from_the_state_of_locks() -> None:
    """Nobody knows which ones were seen: they are told again."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/l", events=EventMask.LOCK_CONFLICT | EventMask.LOCK_ACQUIRED)
    alice.call(Acquire(handle))
    bob.start(Acquire(bob.open_handle("/l")))
    alice.read()
    alice.events.clear()
    cell.fail_over()
    alice.resume()
    assert [(event.kind, event.handle, event.generation) for event in alice.events] == [
        (EventKind.LOCK_ACQUIRED, handle, 1),
        (EventKind.LOCK_CONFLICT, handle, 0),
    ]


def test_jittered_leases_spread_the_resumed() -> None:
    """Ten thousand sessions resume in the same second; their KeepAlives must not stay in step."""
    cell = Cell()
    alice = cell.client()
    cell.jitter = 0.5
    cell.fail_over()
    alice.resume()
    assert alice.resumed is not None and alice.resumed.session_lease == 12 * SECOND * 7 // 8
    alice.resume()
    assert alice.resumed.session_lease == 12 * SECOND, "a broken connection is no reason"


def refusal(client: Client) -> ErrorCode | None:
    """Why the stream was ended, if it was refused."""
    return client.end.failure.code if isinstance(client.end, Refused) else None


def test_an_expired_session_is_told_so() -> None:
    """Its ticket proves that it was one; a forged ticket proves nothing."""
    cell = Cell()
    alice = cell.client()
    alice.disconnect()
    cell.advance(13 * SECOND)
    alice.resume()
    assert refusal(alice) is ErrorCode.SESSION_EXPIRED
    alice.ticket = b"x" * 16
    alice.resume()
    assert refusal(alice) is ErrorCode.SESSION_UNKNOWN


def test_an_open_repeated_under_the_next_master() -> None:
    """The reply was lost with the master: the repeat finds the node it made, and is a handle again."""
    cell = Cell()
    alice = cell.client()
    cell.applying = False
    call = alice.start(Open(1, "/e", Mode.READ | Mode.WRITE, create=CreateMode.MUST, ephemeral=True))
    cell.apply()
    cell.frames.clear()
    cell.applying = True
    cell.fail_over()
    alice.resume()
    alice.again(call)
    answer = alice.answer(call)
    assert isinstance(answer, Opened) and answer.created and isinstance(alice.call(GetStat(1)), StatResult)


def test_elected_again_remembers_nothing() -> None:
    """A mastership is a new one each time."""
    cell = Cell()
    alice = cell.client()
    alice.open_handle("/f")
    cell.depose()
    cell.elect()
    statistics = cell.master.statistics()
    assert (statistics.handles, statistics.sessions_awaited, statistics.sessions_connected) == (0, 1, 0)
    assert statistics.elections == 2
    alice.resume()
    assert alice.resumed is not None and cell.master.statistics().handles == 1
