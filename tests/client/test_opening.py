"""What one may say when opening a node (paper §2.6 Open)."""

from __future__ import annotations

import pytest

from chubby.client.opening import Events, OpenOptions, event_mask, open_call
from chubby.client.operations import lock_delay
from chubby.errors import BadArgument
from chubby.types.calls import CreateMode, Mode, Open
from chubby.types.events import EventKind, EventMask
from chubby.types.nodes import ANYONE, AclNames, NodeKind
from chubby.types.time import SECOND


@pytest.mark.parametrize(
    ("events", "mask"),
    [
        ((), EventMask.NONE),
        (EventMask.LOCK_ACQUIRED, EventMask.LOCK_ACQUIRED),
        ({EventMask.LOCK_ACQUIRED}, EventMask.LOCK_ACQUIRED),
        ([EventMask.LOCK_ACQUIRED, EventMask.CHILD_CHANGED], EventMask.LOCK_ACQUIRED | EventMask.CHILD_CHANGED),
        ({EventKind.LOCK_ACQUIRED}, EventMask.LOCK_ACQUIRED),
        ({EventKind.CREATED, EventKind.DELETED}, EventMask.CHILD_CHANGED),
        ({EventKind.CONTENTS_MODIFIED}, EventMask.CONTENTS_MODIFIED),
        (EventMask.ALL, EventMask.ALL),
    ],
)
def test_events_may_be_named_as_masks_or_as_what_they_bring(events: Events, mask: EventMask) -> None:
    """The two enumerations share names; a user who takes the other one must not be surprised."""
    assert event_mask(events) == mask


@pytest.mark.parametrize("kind", [EventKind.RESYNC, EventKind.ACL_MODIFIED, EventKind.ATTRIBUTES_MODIFIED])
def test_what_a_handle_cannot_be_told_of_is_refused(kind: EventKind) -> None:
    """Silence would be a promise."""
    with pytest.raises(BadArgument, match="watch"):
        event_mask({kind})


def test_the_defaults() -> None:
    """Read and write, no events, nothing is made."""
    assert open_call(3, "/a", {}) == Open(3, "/a", Mode.READ | Mode.WRITE)


def test_everything_one_may_say() -> None:
    """Each option arrives."""
    acl = AclNames(ANYONE, "ops", "ops")
    options = OpenOptions(
        mode=Mode.READ,
        events={EventMask.LOCK_ACQUIRED},
        create=CreateMode.MUST,
        kind=NodeKind.DIRECTORY,
        ephemeral=True,
        sequential=True,
        contents=b"1",
        acl=acl,
        attributes={"a": b"1"},
    )
    assert open_call(3, "/a", options) == Open(
        3,
        "/a",
        Mode.READ,
        EventMask.LOCK_ACQUIRED,
        CreateMode.MUST,
        NodeKind.DIRECTORY,
        True,
        True,
        b"1",
        acl,
        {"a": b"1"},
    )


@pytest.mark.parametrize(("create", "mode"), [(True, CreateMode.MAY), (False, CreateMode.NEVER)])
def test_create_in_plain_words(create: bool, mode: CreateMode) -> None:
    """True means that the node may be made."""
    assert open_call(1, "/a", {"create": create}).create is mode


@pytest.mark.parametrize("options", [OpenOptions(ephemeral=True), OpenOptions(sequential=True)])
def test_what_speaks_of_a_new_node_needs_one(options: OpenOptions) -> None:
    """Silently ignoring it would surprise."""
    with pytest.raises(BadArgument, match="create=True"):
        open_call(1, "/a", options)


@pytest.mark.parametrize("seconds", [-0.1, 60.5])
def test_a_lock_delay_is_at_most_a_minute(seconds: float) -> None:
    """The paper §2.4: chosen by the client, bounded."""
    with pytest.raises(BadArgument, match="60"):
        lock_delay(seconds)


def test_a_lock_delay_in_seconds() -> None:
    """As everywhere in the interface."""
    assert lock_delay(2.5) == 5 * SECOND // 2
