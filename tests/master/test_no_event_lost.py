"""No event is lost, whatever breaks: streams, masters, both (DESIGN §5 Events).

A watcher of the whole cell hears of everything through the same frames as a real client and keeps a cursor. At the end
what it was told, duplicates dropped as the protocol has it, must be what the machine's history says.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.master import MasterSettings
from chubby.namespace.commands import Limits
from chubby.types.calls import Acquire, Release, SetContents, Watch
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.results import Done, LockGranted, Watching
from chubby.types.stream import Acknowledge, WatchClaim
from chubby.types.time import SECOND
from tests.master.cell import Cell

PATHS = ("/a", "/b", "/d/x")
CLAIM = WatchClaim(1, "/", True)

steps = st.lists(
    st.one_of(
        st.sampled_from(["break", "resume", "fail over", "hear", "acknowledge"]),
        st.sampled_from(PATHS),
    ),
    max_size=40,
)


class Listener:
    """A cell with a writer, and a client that listens when told to."""

    def __init__(self, settings: MasterSettings, history: int) -> None:
        self.cell = Cell(settings, limits=Limits(history=history))
        self.writer = self.cell.client("writer", caching=False)
        self.writer.open_handle("/d")
        self.handles = {path: self.writer.open_handle(path) for path in PATHS}
        self.listener = self.cell.client("listener", caching=False)
        self.listener.auto_ack = False
        self.start = self.cell.machine.revision
        assert isinstance(self.listener.call(Watch(1, "/", recursive=True)), Watching)
        self.connected = True

    def resume(self) -> None:
        """On a new stream, with everything that arrived processed before."""
        self.listener.resume(watches=[CLAIM])
        self.connected = True

    def step(self, step: str) -> None:
        """One thing happens."""
        listener = self.listener
        if step in self.handles:
            self.writer.call(SetContents(self.handles[step], b"x"))
        elif step == "break":
            listener.disconnect()
            self.connected = False
        elif step == "resume":
            self.resume()
        elif step == "fail over":
            self.cell.fail_over()
            self.writer.resume()
            self.connected = False
        elif step == "acknowledge" and self.connected and listener.pushes:
            listener.send(Acknowledge(listener.pushes[-1].number))
        elif step == "hear":
            listener.read()

    def finish(self) -> list[Event]:
        """Everything is heard: the events, each once, in the order of the last time it was told."""
        self.resume()
        listener = self.listener
        before = -1
        while before != len(listener.pushes):
            before = len(listener.pushes)
            listener.send(Acknowledge(listener.pushes[-1].number if listener.pushes else 0))
        return list(dict.fromkeys(listener.events))


@settings(max_examples=60)
@given(steps)
def test_everything_is_told(script: list[str]) -> None:
    """With room enough there is no RESYNC and no gap; events come in the order in which they happened."""
    world = Listener(MasterSettings(replica=1, events_per_push=2, push_window=2), history=10_000)
    for step in script:
        world.step(step)
    events = world.finish()
    history = world.cell.machine.history_since(world.start)
    assert history is not None
    assert [(event.revision, event.path) for event in events] == [(one.revision, one.path) for one in history]
    assert world.listener.cursor == world.cell.machine.revision


@settings(max_examples=60)
@given(steps, st.integers(2, 6), st.integers(3, 8))
def test_or_a_resync_says_that_something_is_missing(script: list[str], queue: int, history: int) -> None:
    """With too little room: whatever is not told, a RESYNC came after it, and what follows is complete again."""
    world = Listener(
        MasterSettings(replica=1, events_per_session=queue, events_per_push=2, push_window=1), history=history
    )
    changes: list[tuple[int, str]] = []
    for step in script:
        world.step(step)
        told = world.cell.machine.history_since(changes[-1][0] if changes else world.start)
        changes += [(one.revision, one.path) for one in told or ()]
    world.finish()
    events = world.listener.events
    resyncs = [index for index, event in enumerate(events) if event.kind is EventKind.RESYNC]
    seen = {(event.revision, event.path) for event in events}
    last = {path: revision for revision, path in changes}
    for path, revision in last.items():
        assert (revision, path) in seen or resyncs, f"the last change of {path} was lost without a word"


def test_lock_events_are_told_again_after_a_broken_stream() -> None:
    """They carry no revision, so nobody can replay them: they are kept until they are acknowledged."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = bob.open_handle("/l", events=EventMask.LOCK_ACQUIRED)
    bob.auto_ack = False
    own = alice.open_handle("/l")
    assert isinstance(alice.call(Acquire(own)), LockGranted)
    bob.read()
    assert [event.kind for event in bob.events] == [EventKind.LOCK_ACQUIRED]
    bob.resume()
    bob.read()
    assert [(event.kind, event.handle) for event in bob.events] == [(EventKind.LOCK_ACQUIRED, handle)] * 2
    bob.send(Acknowledge(bob.pushes[-1].number))
    bob.resume()
    bob.read()
    assert len(bob.events) == 2
    assert isinstance(alice.call(Release(own)), Done)


def test_nothing_is_told_twice_that_was_acknowledged() -> None:
    """Under the same master, whatever the cursor says."""
    cell = Cell()
    alice, bob = cell.client(caching=False), cell.client("bob", caching=False)
    handle = alice.open_handle("/f")
    bob.call(Watch(1, "/f"))
    alice.call(SetContents(handle, b"1"))
    cell.let_read()
    bob.cursor = 0
    bob.resume(watches=[WatchClaim(1, "/f", False)])
    cell.let_read()
    assert len(bob.events) == 1


def test_two_thousand_changes_while_the_client_was_away() -> None:
    """It comes back under a new master and is told all of them, window by window."""
    cell = Cell(MasterSettings(replica=1, events_per_session=100_000), limits=Limits(history=20_000))
    alice, bob = cell.client(caching=False), cell.client("bob", caching=False)
    handle = alice.open_handle("/f")
    begun = bob.call(Watch(1, "/f"))
    assert isinstance(begun, Watching)
    bob.cursor = begun.revision
    bob.disconnect()
    for _ in range(2_000):
        alice.call(SetContents(handle, b"x"))
    cell.fail_over()
    cell.advance(SECOND)
    bob.resume(watches=[WatchClaim(1, "/f", False)])
    cell.let_read()
    assert len(bob.events) == 2_000 and bob.cursor == cell.machine.revision
    assert len(bob.pushes) >= 2_000 // 256


def test_a_client_that_hears_nothing_is_no_burden() -> None:
    """Its window is full, its queue bounded; everybody else is told as ever."""
    cell = Cell(MasterSettings(replica=1, events_per_session=16, events_per_push=4, push_window=2))
    alice, deaf, bob = (cell.client(name, caching=False) for name in ("alice", "deaf", "bob"))
    handle = alice.open_handle("/f")
    for client in (deaf, bob):
        client.call(Watch(1, "/", recursive=True))
    deaf.auto_ack = False
    for number in range(100):
        alice.call(SetContents(handle, b"%d" % number))
    cell.let_read()
    assert len(bob.events) == 100 and len(deaf.pushes) <= 3
    session = cell.master._sessions[deaf.session]
    assert len(session.mailbox.events) <= 17
