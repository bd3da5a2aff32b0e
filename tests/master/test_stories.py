"""Longer stories, as they happen to a cell: several rules at once (DESIGN §5, §6)."""

from __future__ import annotations

from chubby.errors import ErrorCode
from chubby.master import MasterSettings
from chubby.master.failover import Phase
from chubby.namespace.commands import ExpireSession, Limits, OpenSession, Request
from chubby.types.calls import (
    Acquire,
    CheckSequencer,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetSequencer,
    GetStat,
    Mode,
    Open,
    ReadDir,
    Release,
    SetContents,
    Watch,
)
from chubby.types.events import EventKind, EventMask
from chubby.types.results import Contents, Done, Listing, LockGranted, Opened, SequencerResult, StatResult
from chubby.types.stream import Acknowledge, CloseSession, KeepAlive, Refused, WatchClaim
from chubby.types.stream import OpenSession as OpenSessionFrame
from chubby.types.time import SECOND
from chubby.types.transaction import TokenIs
from tests.master.cell import Cell, Client, code_of

RW = Mode.READ | Mode.WRITE


def test_electing_a_primary() -> None:
    """Paper §2.2: candidates compete for a lock; the winner writes its name; everybody is told and reads it."""
    cell = Cell()
    candidates = [cell.client(f"candidate{number}") for number in range(3)]
    watcher = cell.client("watcher")
    handles = [candidate.open_handle("/leader") for candidate in candidates]
    seen = watcher.open_handle("/leader", Mode.READ, EventMask.LOCK_ACQUIRED | EventMask.CONTENTS_MODIFIED)
    calls = [client.start(Acquire(handle)) for client, handle in zip(candidates, handles, strict=True)]
    tokens = []
    for turn, (client, handle, call) in enumerate(zip(candidates, handles, calls, strict=True)):
        granted = client.answer(call)
        assert isinstance(granted, LockGranted)
        tokens.append(granted.token)
        assert isinstance(client.call(SetContents(handle, b"candidate%d" % turn)), StatResult)
        contents = watcher.call(GetContentsAndStat(seen))
        assert isinstance(contents, Contents) and contents.contents == b"candidate%d" % turn
        client.send(CloseSession())
    cell.let_read()
    kinds = [event.kind for event in watcher.events]
    assert kinds == [EventKind.LOCK_ACQUIRED, EventKind.CONTENTS_MODIFIED] * 3
    assert tokens == sorted(set(tokens)), "tokens grow for ever"


def test_a_service_directory() -> None:
    """Ephemerals under a directory: who is there is listed, who dies is gone, watchers are told."""
    cell = Cell()
    admin = cell.client("admin")
    admin.open_handle("/svc")
    services = [cell.client(f"s{number}") for number in range(3)]
    for number, service in enumerate(services):
        service.open_handle(f"/svc/{number}", ephemeral=True, contents=b"10.0.0.%d" % number)
    reader = cell.client("reader")
    directory = reader.open_handle("/svc", Mode.READ, EventMask.CHILD_CHANGED)
    listing = reader.call(ReadDir(directory))
    assert isinstance(listing, Listing) and len(listing.entries) == 3 and reader.last.cacheable
    services[1].disconnect()
    for _ in range(2):
        cell.advance(6 * SECOND)
        for client in (admin, services[0], services[2], reader):
            client.keep_alive()
    cell.let_read()
    assert [(event.kind, event.path) for event in reader.events] == [(EventKind.DELETED, "/svc/1")]
    listing = reader.call(ReadDir(directory))
    assert isinstance(listing, Listing) and [entry.name for entry in listing.entries] == ["0", "2"]


def test_the_old_primary_is_fenced() -> None:
    """Paper §2.4: it loses the lock while it sleeps; what it sends afterwards carries a sequencer that is over."""
    cell = Cell()
    old, new, storage = cell.client("old"), cell.client("new"), cell.client("storage")
    handle, other = old.open_handle("/l"), new.open_handle("/l")
    old.call(Acquire(handle))
    sequencer = old.call(GetSequencer(handle))
    assert isinstance(sequencer, SequencerResult)
    waiting = new.start(Acquire(other))
    old.disconnect()
    for _ in range(2):
        cell.advance(6 * SECOND)
        new.keep_alive()
        storage.keep_alive()
    granted = new.answer(waiting)
    assert isinstance(granted, LockGranted) and granted.token > sequencer.token
    assert code_of(storage.call(CheckSequencer(sequencer.sequencer))) is ErrorCode.SEQUENCER_INVALID
    old.resume()
    assert isinstance(old.end, Refused) and old.end.failure.code is ErrorCode.SESSION_EXPIRED
    assert cell.machine.failing_guard((TokenIs("/l", granted.token),)) is None


def test_fail_over_in_the_middle_of_everything() -> None:
    """A call in each stage: answered, proposed and lost, applied and not answered, waiting for a reader, for a lock."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    names = ("answered", "lost", "applied", "waiting")
    handles = {name: alice.open_handle(f"/{name}") for name in names}
    lock, theirs = alice.open_handle("/lock"), bob.open_handle("/lock")
    bob.call(Acquire(theirs))
    bob.call(GetStat(bob.open_handle("/waiting")))
    bob.auto_ack = False
    alice.call(SetContents(handles["answered"], b"x"))
    acquiring = alice.start(Acquire(lock))
    cell.applying = False
    calls = {name: alice.start(SetContents(handles[name], b"x")) for name in ("applied", "lost", "waiting")}
    cell.apply()
    cell.frames.clear()
    alice.replies.pop(calls["applied"], None)
    alice.acknowledged = min(alice.acknowledged, acquiring - 1)
    cell.applying = True
    cell.fail_over()
    bob.auto_ack = True
    alice.resume()
    bob.resume()
    for call in (acquiring, *calls.values()):
        alice.again(call)
    assert all(isinstance(alice.answer(call), StatResult) for call in calls.values())
    assert alice.answer(acquiring) is None
    assert isinstance(bob.call(Release(theirs)), Done) and isinstance(alice.answer(acquiring), LockGranted)
    for name in names:
        node = cell.machine.node(f"/{name}")
        assert node is not None and node.stat.content_generation == 2, f"/{name} was written once"


def test_opened_under_one_master_and_greeted_by_the_next() -> None:
    """The session was made, the answer lost: the repeat finds it, and counts as its return with an empty cache."""
    cell = Cell()
    client = Client(cell)
    client.connect()
    cell.applying = False
    client.send(OpenSessionFrame(client.nonce))
    cell.apply()
    cell.frames.clear()
    cell.applying = True
    cell.fail_over()
    phases = [cell.master.phase]
    client.open()
    phases.append(cell.master.phase)
    assert cell.machine.session_count == 1 and phases == [Phase.RECOVERING, Phase.SERVING]
    assert len(cell.proposed(OpenSession)) == 2 and cell.outcomes[-1].repeated
    assert isinstance(client.call(SetContents(client.open_handle("/f"), b"x")), StatResult)


def test_masters_in_quick_succession() -> None:
    """Each waits out what its predecessor may have promised; nobody's session is lost on the way."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/f", contents=b"0")
    bob.call(GetStat(bob.open_handle("/f")))
    for turn in range(1, 4):
        cell.advance(2 * SECOND)
        cell.fail_over()
        alice.resume()
        call = alice.start(SetContents(handle, b"%d" % turn))
        assert alice.answer(call) is None, "bob has not been heard of"
        cell.advance(4 * SECOND)
        assert isinstance(alice.answer(call), StatResult)
        alice.keep_alive()
    bob.resume()
    contents = bob.call(GetContentsAndStat(1))
    assert isinstance(contents, Contents) and contents.contents == b"3"
    assert cell.proposed(ExpireSession) == []


def test_a_partitioned_master_promises_nothing() -> None:
    """Its lease runs out: no read, no lease, no expiry; when it hears of the other it sends everybody there."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/f")
    cell.applying = False
    cell.live = False
    read, write = alice.start(GetStat(handle)), alice.start(SetContents(handle, b"x"))
    alice.send(KeepAlive(1, True))
    cell.advance(30 * SECOND)
    assert alice.answer(read) is None and alice.answer(write) is None and alice.keep_alives == []
    assert cell.proposed(ExpireSession) == [] and bob.end is None
    cell.depose("10.0.0.2:7000", cell.epoch + 10)
    cell.let_read()
    assert alice.end is not None and alice.end == bob.end


def test_a_write_to_what_everybody_reads() -> None:
    """A hundred readers: one push to each, one acknowledgement from each, then the write."""
    cell = Cell()
    writer = cell.client()
    handle = writer.open_handle("/config")
    readers = [cell.client(f"r{number}") for number in range(100)]
    for reader in readers:
        reader.call(GetContentsAndStat(reader.open_handle("/config")))
        reader.auto_ack = False
    call = writer.start(SetContents(handle, b"new"))
    for reader in readers:
        assert writer.answer(call) is None
        reader.send(Acknowledge(1))
    assert isinstance(writer.answer(call), StatResult)
    figures = cell.master.statistics()
    assert figures.invalidations == 100 and figures.cached_keys == 1
    assert all(len(reader.pushes) == 1 for reader in readers)


def test_the_cell_is_full() -> None:
    """Quotas are told clearly; deleting makes room at once."""
    cell = Cell(limits=Limits(nodes=4))
    alice = cell.client()
    alice.open_handle("/a")
    spare = alice.open_handle("/b")
    full = alice.call(Open(50, "/c", RW, create=CreateMode.MAY))
    assert code_of(full) is ErrorCode.QUOTA_EXCEEDED
    assert isinstance(alice.call(Delete(spare)), Done)
    assert isinstance(alice.call(Open(51, "/c", RW, create=CreateMode.MAY)), Opened)


def test_a_client_with_many_handles_resumes() -> None:
    """Twelve hundred of them, some on nodes that went meanwhile."""
    cell = Cell(MasterSettings(replica=1))
    alice, bob = cell.client(caching=False), cell.client("bob", caching=False)
    for number in range(1_200):
        alice.open_handle(f"/{number % 30}", Mode.READ)
    bob.call(Delete(bob.open_handle("/7")))
    cell.fail_over()
    alice.resume(watches=[WatchClaim(1, "/", True)])
    assert alice.resumed is not None and len(alice.resumed.lost) == 40
    assert cell.master.statistics().handles == 1_160 and cell.master.statistics().watches == 1
    assert isinstance(alice.call(GetStat(1)), StatResult)


def test_locks_survive_what_their_holder_survives() -> None:
    """Broken streams, a fail-over, a stall: the lock is held throughout, under the same token."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/l"), bob.open_handle("/l")
    granted = alice.call(Acquire(handle))
    waiting = bob.start(Acquire(other))
    alice.disconnect()
    cell.advance(5 * SECOND)
    alice.resume()
    bob.keep_alive()
    cell.fail_over()
    alice.resume()
    bob.resume()
    bob.again(waiting)
    cell.now += 30 * SECOND
    cell.master.stalled(30 * SECOND, cell.now)
    cell.tick()
    assert alice.call(Acquire(handle)) == granted and bob.answer(waiting) is None
    assert isinstance(alice.call(Close(handle)), Done) and isinstance(bob.answer(waiting), LockGranted)


def test_what_is_proposed_is_proposed_once() -> None:
    """Over all of it, no call number of a session is in the log twice without having been lost in between."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    alice.call(Watch(1, "/f"))
    for number in range(20):
        call = alice.start(SetContents(handle, b"%d" % number))
        alice.resume()
        if number % 3 == 0:
            alice.replies.pop(call, None)
            alice.acknowledged = call - 1
            alice.again(call)
    bodies = [command.body for command in cell.proposed(Request)]
    numbers = [body.number for body in bodies if isinstance(body, Request)]
    assert len(numbers) == len(set(numbers)) == 21
