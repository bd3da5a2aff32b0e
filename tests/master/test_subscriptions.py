"""Who is told of a change, and what (DESIGN §5 Events; paper §2.5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chubby.master.handles import Handle
from chubby.master.subscriptions import Subscriptions, Watch
from chubby.namespace.outcomes import Change
from chubby.paths import is_below, parent
from chubby.types.calls import Mode
from chubby.types.events import Event, EventKind, EventMask

ALL = EventMask.ALL


def handle(number: int, path: str, events: EventMask = ALL, instance: int = 1) -> Handle:
    """A handle for reading."""
    return Handle(number, path, instance, Mode.READ, events, ephemeral=False)


def change(path: str, kind: EventKind = EventKind.CONTENTS_MODIFIED, instance: int = 1, revision: int = 9) -> Change:
    """One line of the history."""
    return Change(revision, kind, path, instance, 4)


def told(subscriptions: Subscriptions, what: Change) -> list[tuple[int, EventKind, str, int, int]]:
    """Session, kind, path, handle, watch of each event."""
    return [(who, event.kind, event.path, event.handle, event.watch) for who, event in subscriptions.changed(what)]


def test_contents_modified_goes_to_handles_on_the_node() -> None:
    """Event 1 of the paper; with the revision, the instance and the generation that the history has."""
    subscriptions = Subscriptions()
    subscriptions.add_handle(7, handle(3, "/a"))
    subscriptions.add_handle(8, handle(4, "/b"))
    assert list(subscriptions.changed(change("/a"))) == [
        (7, Event(EventKind.CONTENTS_MODIFIED, "/a", 9, 1, 4, handle=3))
    ]


def test_child_changed_goes_to_handles_on_the_parent() -> None:
    """Event 2 of the paper: child added, removed or modified, with the child's path."""
    subscriptions = Subscriptions()
    subscriptions.add_handle(7, handle(3, "/a", EventMask.CHILD_CHANGED))
    for kind in (EventKind.CREATED, EventKind.DELETED, EventKind.CONTENTS_MODIFIED, EventKind.ACL_MODIFIED):
        assert told(subscriptions, change("/a/x", kind)) == [(7, kind, "/a/x", 3, 0)]
    assert told(subscriptions, change("/a/x/y")) == [], "grandchildren are no children"
    assert told(subscriptions, change("/a")) == [], "the mask did not ask for the node itself"


def test_masks_are_honoured() -> None:
    """Who did not ask is not told."""
    subscriptions = Subscriptions()
    subscriptions.add_handle(7, handle(3, "/a", EventMask.NONE))
    subscriptions.add_handle(7, handle(4, "/a", EventMask.LOCK_ACQUIRED))
    assert told(subscriptions, change("/a")) == [] and told(subscriptions, change("/a/x")) == []


def test_handle_invalid_once_and_then_silence() -> None:
    """Event 4: the node is deleted. The handle is bound to that instance: what the name does later is not told."""
    subscriptions = Subscriptions()
    subscriptions.add_handle(7, handle(3, "/a"))
    assert list(subscriptions.changed(change("/a", EventKind.DELETED))) == [
        (7, Event(EventKind.HANDLE_INVALID, "/a", 0, 1, 0, handle=3))
    ]
    assert told(subscriptions, change("/a", EventKind.CREATED, 2)) == []
    assert told(subscriptions, change("/a", instance=2)) == []
    assert told(subscriptions, change("/a/x", instance=5)) == []


def test_another_instance_is_another_node() -> None:
    """A handle on the new node is not told of the old one's end."""
    subscriptions = Subscriptions()
    subscriptions.add_handle(7, handle(3, "/a", instance=2))
    assert told(subscriptions, change("/a", EventKind.DELETED, 1)) == []
    assert told(subscriptions, change("/a", instance=2)) != []


def test_watches_of_one_node_and_of_a_subtree() -> None:
    """A watch needs no node; a recursive one covers the node and all below it."""
    subscriptions = Subscriptions()
    subscriptions.add_watch(7, Watch(1, "/a", recursive=False))
    subscriptions.add_watch(7, Watch(2, "/a", recursive=True))
    subscriptions.add_watch(8, Watch(1, "/", recursive=True))
    kind = EventKind.CONTENTS_MODIFIED
    assert told(subscriptions, change("/a")) == [
        (7, kind, "/a", 0, 1),
        (8, kind, "/a", 0, 1),
        (7, kind, "/a", 0, 2),
    ]
    assert told(subscriptions, change("/a/b/c")) == [(8, kind, "/a/b/c", 0, 1), (7, kind, "/a/b/c", 0, 2)]
    assert told(subscriptions, change("/ab")) == [(8, kind, "/ab", 0, 1)]
    assert told(subscriptions, change("/")) == [(8, kind, "/", 0, 1)]


def test_dropping() -> None:
    """After Close and Unwatch, nothing; dropping twice does no harm."""
    subscriptions = Subscriptions()
    mine, watch = handle(3, "/a"), Watch(1, "/a", recursive=True)
    subscriptions.add_handle(7, mine)
    subscriptions.add_watch(7, watch)
    for _ in range(2):
        subscriptions.drop_handle(7, mine)
        subscriptions.drop_watch(7, watch)
    assert told(subscriptions, change("/a")) == [] and told(subscriptions, change("/a/x")) == []


def test_a_new_mask_replaces_the_old() -> None:
    """The mask said at Resume counts."""
    subscriptions = Subscriptions()
    mine = handle(3, "/a", EventMask.CONTENTS_MODIFIED)
    subscriptions.add_handle(7, mine)
    mine.events = EventMask.CHILD_CHANGED
    subscriptions.add_handle(7, mine)
    assert told(subscriptions, change("/a")) == [] and told(subscriptions, change("/a/x")) != []


def test_lock_acquired_goes_to_everybody_who_asked() -> None:
    """Event 5: "can be used to determine when a primary has been elected" (paper §2.5)."""
    subscriptions = Subscriptions()
    subscriptions.add_handle(7, handle(3, "/l", EventMask.LOCK_ACQUIRED))
    subscriptions.add_handle(8, handle(4, "/l", EventMask.LOCK_ACQUIRED))
    subscriptions.add_handle(9, handle(5, "/l", EventMask.LOCK_CONFLICT))
    assert list(subscriptions.acquired("/l", 1, 6)) == [
        (7, Event(EventKind.LOCK_ACQUIRED, "/l", 0, 1, 6, handle=3)),
        (8, Event(EventKind.LOCK_ACQUIRED, "/l", 0, 1, 6, handle=4)),
    ]
    assert list(subscriptions.acquired("/l", 2, 6)) == []


paths = st.sampled_from(["/", "/a", "/b", "/a/a", "/a/b", "/a/a/a", "/ab"])


places = st.lists(st.tuples(paths, st.booleans()), max_size=12)


@given(places, places, paths)
def test_the_index_finds_exactly_whom_it_concerns(
    watches: list[tuple[str, bool]], handles: list[tuple[str, bool]], path: str
) -> None:
    """Against looking at everybody."""
    subscriptions = Subscriptions()
    expected = []
    for number, (where, recursive) in enumerate(watches, 1):
        subscriptions.add_watch(1, Watch(number, where, recursive))
        if where == path or (recursive and is_below(path, where)):
            expected.append((0, number))
    for number, (where, children) in enumerate(handles, 1):
        mask = EventMask.CHILD_CHANGED if children else EventMask.CONTENTS_MODIFIED
        subscriptions.add_handle(1, handle(number, where, mask))
        if (children and path != "/" and parent(path) == where) or (not children and where == path):
            expected.append((number, 0))
    found = [(event.handle, event.watch) for _, event in subscriptions.changed(change(path))]
    assert sorted(found) == sorted(expected)
