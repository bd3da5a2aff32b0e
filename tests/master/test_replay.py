"""Events missed in a fail-over, from the history (DESIGN §5 Events: none lost, or RESYNC)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chubby.master.handles import Handle
from chubby.master.replay import Replay
from chubby.master.subscriptions import Subscriptions, Watch
from chubby.namespace.commands import Limits
from chubby.namespace.outcomes import Change
from chubby.types.calls import Mode
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.identity import Revision


class Chronicle:
    """A history that keeps its last changes."""

    def __init__(self, keep: int = 1000) -> None:
        self.revision: Revision = 0
        self.limits = Limits(history=keep)
        self.changes: list[Change] = []
        self.everything: list[Change] = []
        self.forgotten: Revision = 0
        self.asked = 0

    def add(self, *paths: str, kind: EventKind = EventKind.CONTENTS_MODIFIED) -> None:
        """One transaction."""
        self.revision += 1
        made = [Change(self.revision, kind, path, 1, self.revision) for path in paths]
        self.changes += made
        self.everything += made
        while len(self.changes) > self.limits.history:
            self.forgotten = self.changes.pop(0).revision

    def history_since(self, revision: Revision) -> tuple[Change, ...] | None:
        """As the machine's."""
        self.asked += 1
        if revision < self.forgotten:
            return None
        return tuple(change for change in self.changes if change.revision > revision)


def watch(path: str, number: int = 1, recursive: bool = True) -> Watch:
    """A recursive one."""
    return Watch(number, path, recursive)


def handle(path: str, events: EventMask, number: int = 1) -> Handle:
    """A handle on instance 1."""
    return Handle(number, path, 1, Mode.READ, events, ephemeral=False)


def test_everything_above_the_cursor_and_nothing_below() -> None:
    """The cursor is a revision: all up to it was seen."""
    chronicle = Chronicle()
    for path in ("/a", "/b", "/a/x", "/a"):
        chronicle.add(path)
    events = list(Replay(chronicle).since(1, [], [watch("/a")]))
    assert [(event.path, event.revision) for event in events] == [("/a/x", 3), ("/a", 4)]


def test_what_happened_after_the_index_was_made() -> None:
    """A session that resumes late misses nothing of what the new master has done meanwhile."""
    chronicle = Chronicle()
    chronicle.add("/a")
    replay = Replay(chronicle)
    chronicle.add("/a")
    chronicle.add("/b")
    events = list(replay.since(0, [handle("/a", EventMask.CONTENTS_MODIFIED)], []))
    assert [event.revision for event in events] == [1, 2]
    assert list(replay.since(3, [], [watch("/")])) == []


def test_too_old_a_cursor_is_told_to_each_subscription() -> None:
    """DESIGN §5: or says RESYNC when the cursor is too old. Handles that ask for nothing of the history get none."""
    chronicle = Chronicle(keep=3)
    for _ in range(9):
        chronicle.add("/a")
    handles = [handle("/a", EventMask.CONTENTS_MODIFIED, 4), handle("/a", EventMask.LOCK_ACQUIRED, 5)]
    assert list(Replay(chronicle).since(2, handles, [watch("/", 6)])) == [
        Event(EventKind.RESYNC, handle=4),
        Event(EventKind.RESYNC, watch=6),
    ]
    assert len(list(Replay(chronicle).since(6, handles, []))) == 3, "the oldest that is known is enough"


def test_history_that_was_forgotten_since_the_index_was_made() -> None:
    """The index does not hide that the changes after it are gone."""
    chronicle = Chronicle(keep=4)
    chronicle.add("/a")
    replay = Replay(chronicle)
    for _ in range(9):
        chronicle.add("/a")
    assert [event.kind for event in replay.since(0, [], [watch("/")])] == [EventKind.RESYNC]


def test_many_changes_in_one_revision() -> None:
    """A transaction's changes are told together, in their order."""
    chronicle = Chronicle(keep=5)
    for _ in range(4):
        chronicle.add("/a", "/b", "/c")
    events = list(Replay(chronicle).since(3, [], [watch("/")]))
    assert [event.path for event in events] == ["/a", "/b", "/c"]


def test_the_history_is_read_once_for_all_sessions() -> None:
    """Ten thousand sessions resume: each costs what concerns it, not a walk through the history."""
    chronicle = Chronicle()
    for number in range(500):
        chronicle.add(f"/{number}")
    replay = Replay(chronicle)
    chronicle.asked = 0
    for number in range(100):
        assert len(list(replay.since(0, [], [watch(f"/{number}")]))) == 1
    assert chronicle.asked == 100, "only the short tail is asked for"


paths = st.sampled_from(["/a", "/b", "/a/x", "/a/y", "/a/x/z"])
changes = st.lists(st.tuples(paths, paths), max_size=25)


@given(changes, changes, st.integers(0, 50), st.integers(1, 40))
def test_the_same_as_walking_the_history(
    before: list[tuple[str, str]], after: list[tuple[str, str]], cursor: int, keep: int
) -> None:
    """Against telling every change above the cursor to the subscriptions, one by one."""
    chronicle = Chronicle(keep)
    for pair in before:
        chronicle.add(*pair)
    replay = Replay(chronicle)
    for pair in after:
        chronicle.add(*pair)
    handles = [handle("/a", EventMask.CHILD_CHANGED, 2), handle("/a/x", EventMask.CONTENTS_MODIFIED, 3)]
    watches = [watch("/a", 4), watch("/b", 5, recursive=False)]
    cursor = min(cursor, chronicle.revision)
    events = list(replay.since(cursor, handles, watches))
    if any(event.kind is EventKind.RESYNC for event in events):
        assert chronicle.forgotten, "RESYNC is said only where something was forgotten"
        return
    subscriptions = Subscriptions()
    for one in handles:
        subscriptions.add_handle(0, one)
    for other in watches:
        subscriptions.add_watch(0, other)
    history = [change for change in chronicle.everything if change.revision > cursor]
    assert events == [event for change in history for _, event in subscriptions.changed(change)]
