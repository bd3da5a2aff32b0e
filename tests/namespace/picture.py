"""The whole state, of machine and twin, as values that can be compared.

The machine's is decoded from the bytes of a snapshot, hence exactly what a restore would know. Failures lose their
wording, places in queues their numbers (the order stays), nothing else is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from chubby.errors import Failure
from chubby.namespace.commands import AcquireLock
from chubby.namespace.lockbook import Holder, LockRow, Waiter
from chubby.namespace.machine import Machine
from chubby.namespace.nodes import Node
from chubby.namespace.outcomes import Change, Outcome, Reply, Transacted
from chubby.namespace.register import Register
from chubby.namespace.sessions import LockRequested, SessionRow, StoredReply
from tests.namespace.twin import Twin

OpenKey = tuple[str, int, int]


@dataclass
class Picture:
    """All state. `locks`: the row, the holders in order with their delays, the waiters in order."""

    register: Register
    nodes: dict[str, Node] = field(default_factory=dict)
    opens: dict[OpenKey, int] = field(default_factory=dict)
    locks: dict[str, tuple[LockRow, list[tuple[int, int, int]], list[Waiter]]] = field(default_factory=dict)
    sessions: dict[int, SessionRow] = field(default_factory=dict)
    replies: dict[tuple[int, int], StoredReply] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)


class Head(msgspec.Struct, array_like=True):
    """The first slice of a snapshot."""

    magic: str
    format: int
    register: Register
    digest: bytes
    rows: dict[str, int]


class Slice(msgspec.Struct, array_like=True):
    """Any other slice."""

    table: str
    rows: msgspec.Raw


def picture_of(machine: Machine) -> Picture:
    """All state of the machine."""
    slices = machine.snapshot().slices(1 << 16)
    picture = Picture(msgspec.msgpack.decode(next(slices), type=Head).register)
    holders: dict[OpenKey, Holder] = {}
    waiters: dict[tuple[str, int], Waiter] = {}
    for data in slices:
        part = msgspec.msgpack.decode(data, type=Slice)
        match part.table:
            case "node":
                picture.nodes.update(msgspec.msgpack.decode(part.rows, type=list[tuple[str, Node]]))
            case "open":
                picture.opens.update(msgspec.msgpack.decode(part.rows, type=list[tuple[OpenKey, int]]))
            case "lock":
                for path, row in msgspec.msgpack.decode(part.rows, type=list[tuple[str, LockRow]]):
                    picture.locks[path] = (row, [], [])
            case "holder":
                holders.update(msgspec.msgpack.decode(part.rows, type=list[tuple[OpenKey, Holder]]))
            case "waiter":
                waiters.update(msgspec.msgpack.decode(part.rows, type=list[tuple[tuple[str, int], Waiter]]))
            case "session":
                picture.sessions.update(msgspec.msgpack.decode(part.rows, type=list[tuple[int, SessionRow]]))
            case "reply":
                replies = msgspec.msgpack.decode(part.rows, type=list[tuple[tuple[int, int], StoredReply]])
                picture.replies.update((key, wordless_stored(reply)) for key, reply in replies)
            case "history":
                changes = msgspec.msgpack.decode(part.rows, type=list[tuple[int, Change]])
                picture.history += [change for _, change in sorted(changes, key=lambda item: item[0])]
            case _:
                raise AssertionError(f"a table {part.table} that the picture does not show")
    for (path, session, handle), holder in sorted(holders.items(), key=lambda item: item[1].joined):
        picture.locks[path][1].append((session, handle, holder.delay))
    for (path, _), waiter in sorted(waiters.items(), key=lambda item: item[0][1]):
        picture.locks[path][2].append(waiter)
    return picture


def picture_of_twin(twin: Twin) -> Picture:
    """All state of the twin, as the machine would have it."""
    picture = Picture(
        Register(
            cell=twin.cell,
            name=twin.name,
            admins=twin.admins,
            limits=twin.limits,
            caps=twin.caps,
            keys=tuple(twin.keys),
            version=twin.version,
            applied=twin.applied,
            epoch=twin.epoch,
            master=twin.master,
            revision=twin.revision,
            instance=twin.instance,
            token=twin.token,
            session=twin.last_session,
            changes=twin.changes,
            forgotten=twin.forgotten,
        )
    )
    for path, node in twin.nodes.items():
        picture.nodes[path] = Node(node.stat(), node.contents, node.sequence, node.lock_generation, node.lock_token)
        picture.opens.update(((path, *owner), node.instance) for owner in node.opens)
        if node.holders or node.waiters or node.delayed:
            picture.locks[path] = (
                LockRow(node.instance, node.mode, node.owed, node.delayed),
                [(*owner, delay) for owner, delay in node.holders],
                [Waiter(*owner, mode, delay) for owner, mode, delay in node.waiters],
            )
    for number, session in twin.sessions.items():
        picture.sessions[number] = SessionRow(session.principal, session.caching, session.nonce, session.acknowledged)
        for call, reply in session.replies.items():
            if isinstance(reply, AcquireLock):
                picture.replies[number, call] = LockRequested(reply.handle, reply.path, reply.instance)
            else:
                picture.replies[number, call] = wordless_reply(reply)
    picture.history = list(twin.history)
    return picture


def wordless(outcome: Outcome) -> Outcome:
    """The outcome without the wording of failures."""
    return msgspec.structs.replace(outcome, reply=wordless_reply(outcome.reply))


def wordless_reply(reply: Reply) -> Reply:
    """The reply without the wording of failures."""
    if isinstance(reply, Failure):
        return Failure(reply.code, "")
    if isinstance(reply, Transacted) and reply.result.failure is not None:
        failure = Failure(reply.result.failure.code, "")
        return Transacted(msgspec.structs.replace(reply.result, failure=failure))
    return reply


def wordless_stored(reply: StoredReply) -> StoredReply:
    """The same for what a reply table keeps."""
    return reply if isinstance(reply, LockRequested) else wordless_reply(reply)
