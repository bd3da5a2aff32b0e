"""What a resuming session presents: its handles and watches, and how far it has been told (DESIGN §5 Handles, Events).

Under a new master the handles are recreated from their tickets, and everything above the cursor is told again from the
history: no event is lost. Under the same master they are known, and what was sent and not acknowledged is sent again.
"""

from __future__ import annotations

from chubby.errors import BadPath, ErrorCode, Failure
from chubby.master.desk import Desk
from chubby.master.handles import Handle
from chubby.master.replay import Replay
from chubby.master.session import Session
from chubby.master.subscriptions import Watch
from chubby.master.telling import tell_failed_over, tell_locks
from chubby.master.tickets import open_handle
from chubby.master.watching import may_watch
from chubby.paths import validate
from chubby.types.events import Event, EventKind
from chubby.types.identity import HandleNumber
from chubby.types.stream import HandleClaim, Resume, WatchClaim

Lost = tuple[tuple[HandleNumber, Failure], ...]


class Claims:
    """Recreates what sessions present. The history is indexed once per epoch, when the first of them needs it."""

    def __init__(self, desk: Desk) -> None:
        """Nothing was presented yet."""
        self._desk = desk
        self._replay: Replay | None = None

    def take(self, session: Session, frame: Resume, *, failed_over: bool) -> Lost:
        """Recreate handles and watches, queue the events missed; return the handles that are no more, and why."""
        lost: list[tuple[HandleNumber, Failure]] = []
        handles: list[Handle] = []
        for claim in frame.handles:
            known = session.handles.get(claim.handle)
            taken = self._known(session, known, claim) if known is not None else self._recreate(session, claim)
            if isinstance(taken, Failure):
                lost.append((claim.handle, taken))
            elif known is None:
                handles.append(taken)
        watches = [watch for claim in frame.watches if (watch := self._watch(session, claim)) is not None]
        if failed_over:
            tell_failed_over(self._desk, session)
        self._tell_missed(session, min(frame.cursor, self._desk.machine.revision), handles, watches)
        if failed_over:
            tell_locks(self._desk, session)
        return tuple(lost)

    def clear(self) -> None:
        """The mastership is over."""
        self._replay = None

    def _known(self, session: Session, handle: Handle, claim: HandleClaim) -> Handle | Failure:
        """A handle this master knows: its mask is what the client says now."""
        found = self._desk.handle_of(session, handle.number, sequenced=False)
        if isinstance(found, Failure):
            return found
        handle.events = claim.events
        self._desk.subscriptions.add_handle(session.id, handle)
        return handle

    def _recreate(self, session: Session, claim: HandleClaim) -> Handle | Failure:
        machine = self._desk.machine
        if session.handles.was_closed(claim.handle):
            return Failure(ErrorCode.HANDLE_INVALID, f"handle {claim.handle} was closed")
        ticket = open_handle(claim.ticket, machine.keys, machine.cell, session.id)
        if ticket is None or ticket.handle != claim.handle:
            return Failure(ErrorCode.HANDLE_INVALID, f"handle {claim.handle}: the ticket is not this cell's")
        if len(session.handles) >= self._desk.settings.handles_per_session:
            return Failure(ErrorCode.QUOTA_EXCEEDED, f"the session has {len(session.handles)} handles open")
        node = machine.node(ticket.path)
        if node is None or node.instance != ticket.instance:
            return Failure(ErrorCode.HANDLE_INVALID, f"{ticket.path}: the node of this handle was deleted")
        handle = Handle(claim.handle, ticket.path, ticket.instance, ticket.mode, claim.events, ephemeral=node.ephemeral)
        session.handles.add(handle)
        self._desk.subscriptions.add_handle(session.id, handle)
        return handle

    def _watch(self, session: Session, claim: WatchClaim) -> Watch | None:
        """The watch, if it is new to this master. One that is not permitted (any more) is told to look for itself."""
        watch = Watch(claim.watch, claim.path, claim.recursive)
        before = session.watches.get(claim.watch)
        if before == watch:
            return None
        crowded = before is None and len(session.watches) >= self._desk.settings.watches_per_session
        if crowded or self._forbidden(session, claim):
            self._desk.tell(session.id, Event(EventKind.RESYNC, watch=claim.watch))
            return None
        if before is not None:
            self._desk.subscriptions.drop_watch(session.id, before)
        session.watches[claim.watch] = watch
        self._desk.subscriptions.add_watch(session.id, watch)
        return watch

    def _forbidden(self, session: Session, claim: WatchClaim) -> bool:
        try:
            validate(claim.path)
        except BadPath:
            return True
        return claim.watch <= 0 or may_watch(self._desk, session, claim.path) is not None

    def _tell_missed(self, session: Session, cursor: int, handles: list[Handle], watches: list[Watch]) -> None:
        if cursor >= self._desk.machine.revision or not (watches or any(handle.events for handle in handles)):
            return
        if self._replay is None:
            self._replay = Replay(self._desk.machine)
        for event in self._replay.since(cursor, handles, watches):
            self._desk.tell(session.id, event)
