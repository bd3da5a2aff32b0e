"""What one may say when opening a node, in the user's words (DESIGN §6; paper §2.6 Open)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from chubby.errors import BadArgument
from chubby.types.calls import CreateMode, Mode, Open
from chubby.types.events import EventKind, EventMask
from chubby.types.identity import HandleNumber
from chubby.types.nodes import AclNames, NodeKind

Events = EventMask | Iterable[EventMask | EventKind]
"""How a user names events: a mask, or some of its members, or the kinds they bring."""

READ_WRITE = Mode.READ | Mode.WRITE
"""What a handle is opened for unless one says otherwise."""

_MASK_OF_KIND = {
    EventKind.CREATED: EventMask.CHILD_CHANGED,
    EventKind.DELETED: EventMask.CHILD_CHANGED,
    EventKind.CONTENTS_MODIFIED: EventMask.CONTENTS_MODIFIED,
    EventKind.HANDLE_INVALID: EventMask.HANDLE_INVALID,
    EventKind.LOCK_ACQUIRED: EventMask.LOCK_ACQUIRED,
    EventKind.LOCK_CONFLICT: EventMask.LOCK_CONFLICT,
    EventKind.MASTER_FAILED_OVER: EventMask.MASTER_FAILED_OVER,
}


class OpenOptions(TypedDict, total=False):
    """The options of `open`; those below `create` speak of a node that is made by it, and matter for no other.

    | option       | default      | meaning                                                                          |
    |--------------|--------------|----------------------------------------------------------------------------------|
    | `mode`       | READ, WRITE  | what the handle may be used for, checked once; WRITE covers locking              |
    | `events`     | none         | what the handle is to be told of                                                 |
    | `timeout`    | session's    | seconds                                                                          |
    | `create`     | False        | True: the node may be made; CreateMode.MUST: it must be, else NodeExists         |
    | `ephemeral`  | False        | deleted once no session has it open and it has no children                       |
    | `sequential` | False        | the parent's sequence counter, ten digits, is appended to the name               |
    | `contents`   | empty        | its first content                                                                |
    | `kind`       | FILE         | a hint for listings and mounts; with its first child it becomes DIRECTORY        |
    | `acl`        | the parent's | the names of its access-control lists                                            |
    | `attributes` | none         | its first attributes                                                             |
    """

    mode: Mode
    events: Events
    timeout: float | None
    create: bool | CreateMode
    ephemeral: bool
    sequential: bool
    contents: bytes
    kind: NodeKind
    acl: AclNames | None
    attributes: dict[str, bytes]


def event_mask(events: Events) -> EventMask:
    """The mask that `events` mean. Raises BadArgument."""
    if isinstance(events, EventMask):
        return events
    mask = EventMask.NONE
    for event in events:
        wanted = event if isinstance(event, EventMask) else _MASK_OF_KIND.get(event)
        if wanted is None:
            raise BadArgument(f"{event!r} is nothing a handle can be told of; use a watch")
        mask |= wanted
    return mask


def open_call(handle: HandleNumber, path: str, options: OpenOptions) -> Open:
    """The Open that the user's options mean. Raises BadArgument where they contradict each other."""
    create = options.get("create", False)
    if not isinstance(create, CreateMode):
        create = CreateMode.MAY if create else CreateMode.NEVER
    ephemeral, sequential = options.get("ephemeral", False), options.get("sequential", False)
    if create is CreateMode.NEVER and (ephemeral or sequential):
        raise BadArgument("ephemeral and sequential speak of a new node: say create=True too")
    return Open(
        handle,
        path,
        options.get("mode", READ_WRITE),
        event_mask(options.get("events", EventMask.NONE)),
        create,
        options.get("kind", NodeKind.FILE),
        ephemeral,
        sequential,
        bytes(options.get("contents", b"")),
        options.get("acl"),
        options.get("attributes", {}),
    )
