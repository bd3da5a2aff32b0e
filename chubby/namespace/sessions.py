"""Sessions and their reply tables (DESIGN §4 Sessions).

| table     | key             | row                                                                            |
|-----------|-----------------|--------------------------------------------------------------------------------|
| `session` | session         | `SessionRow`                                                                   |
| `reply`   | session, number | `StoredReply`: the result of that call, until the client has acknowledged it    |

A client numbers its calls. It repeats a call that was not answered, unchanged, and may do so after a fail-over, to
another master. The reply table makes that safe: whoever finds a number there answers and does nothing. What is at or
below `acknowledged` has been answered, so the client will not ask again, and a late copy of it is void.

The one result that is not final is that an Acquire has to wait. A repeat must not be told so for ever, hence what is
kept is `LockRequested`, the question, and a repeat is answered from the lock as it stands then.
"""

from __future__ import annotations

import msgspec
from sortedcontainers import SortedList

from chubby.namespace.outcomes import Reply
from chubby.namespace.register import Register
from chubby.namespace.table import Table, discard
from chubby.types.identity import CallNumber, HandleNumber, SessionId
from chubby.types.limits import REPLY_TABLE_LIMIT

__all__ = ["LockRequested", "SessionRow", "Sessions", "StoredReply"]


class SessionRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A live session. All calls up to `acknowledged` are answered, and the client knows the answers."""

    principal: str
    caching: bool
    nonce: int
    acknowledged: CallNumber = 0


class LockRequested(msgspec.Struct, frozen=True, tag="lock_requested"):
    """In place of a reply: this call asked for that lock and had to wait."""

    handle: HandleNumber
    path: str
    instance: int


StoredReply = Reply | LockRequested

_ReplyKey = tuple[SessionId, CallNumber]


class Sessions:
    """All live sessions. Methods that take a session want a live one, unless they say otherwise."""

    __slots__ = ("_by_nonce", "_numbers", "_register", "ids", "replies", "table")

    def __init__(self, register: Register) -> None:
        """No sessions; the last id given stands in the register."""
        self.table: Table[SessionId, SessionRow] = Table(
            "session", msgspec.msgpack.Decoder(list[tuple[SessionId, SessionRow]])
        )
        self.replies: Table[_ReplyKey, StoredReply] = Table(
            "reply", msgspec.msgpack.Decoder(list[tuple[_ReplyKey, StoredReply]])
        )
        self._register = register
        self._clear_indexes()

    def _clear_indexes(self) -> None:
        self.ids: SortedList[SessionId] = SortedList()
        self._by_nonce: dict[tuple[str, int], SessionId] = {}
        self._numbers: dict[SessionId, dict[CallNumber, None]] = {}  # of sessions with stored replies

    def get(self, session: SessionId) -> SessionRow | None:
        """The session of that id, if it lives."""
        return self.table.rows.get(session)

    def find(self, principal: str, nonce: int) -> SessionId | None:
        """The live session that this principal made with this nonce."""
        return self._by_nonce.get((principal, nonce))

    def open(self, row: SessionRow) -> SessionId:
        """Begin a session under an id that no session ever had."""
        self._register.session += 1
        session = self._register.session
        assert session not in self.table.rows, "an id is given once"
        assert self.find(row.principal, row.nonce) is None, "the caller has looked"
        self.table.put(session, row)
        self._index_session(session, row)
        return session

    def end(self, session: SessionId) -> None:
        """End a session and forget its replies."""
        for number in tuple(self._numbers.get(session, ())):
            self._forget(session, number)
        assert session not in self._numbers, "no reply outlives its session"
        row = self.table.drop(session)
        self.ids.remove(session)
        del self._by_nonce[row.principal, row.nonce]

    def acknowledge(self, session: SessionId, acknowledged: CallNumber) -> SessionRow:
        """Forget the replies up to this number; a lower one than before changes nothing. Return the session's row."""
        row = self.table.rows[session]
        if acknowledged <= row.acknowledged:
            return row
        for number in self._answered(session, row.acknowledged, acknowledged):
            self._forget(session, number)
        row = msgspec.structs.replace(row, acknowledged=acknowledged)
        self.table.put(session, row)
        return row

    def stored(self, session: SessionId, number: CallNumber) -> StoredReply | None:
        """What the reply table has for a call. The session may be gone."""
        return self.replies.rows.get((session, number))

    def has_room(self, session: SessionId) -> bool:
        """Whether the reply table takes one more reply."""
        return len(self._numbers.get(session, ())) < REPLY_TABLE_LIMIT

    def store(self, session: SessionId, number: CallNumber, reply: StoredReply) -> None:
        """Keep the result of a call that is neither acknowledged nor stored yet."""
        assert (session, number) not in self.replies.rows, "a call has one result"
        assert number > self.table.rows[session].acknowledged, "what is acknowledged needs no reply"
        self.replies.put((session, number), reply)
        self._numbers.setdefault(session, {})[number] = None

    def reindex(self) -> None:
        """Derive the indexes from the rows. Raises ValueError if the rows break an invariant."""
        self._clear_indexes()
        for session, row in self.table.rows.items():
            self._index_session(session, row)
        for session, number in self.replies.rows:
            if session not in self.table.rows:
                raise ValueError(f"a reply belongs to no session {session}")
            self._numbers.setdefault(session, {})[number] = None

    def _index_session(self, session: SessionId, row: SessionRow) -> None:
        self.ids.add(session)
        self._by_nonce[row.principal, row.nonce] = session

    def _answered(self, session: SessionId, before: CallNumber, now: CallNumber) -> list[CallNumber]:
        """The stored numbers above `before` up to `now`, sought among the fewer: those between, those stored."""
        numbers = self._numbers.get(session, {})
        if now - before <= len(numbers):
            return [number for number in range(before + 1, now + 1) if number in numbers]
        return [number for number in numbers if number <= now]

    def _forget(self, session: SessionId, number: CallNumber) -> None:
        self.replies.drop((session, number))
        discard(self._numbers, session, number)
