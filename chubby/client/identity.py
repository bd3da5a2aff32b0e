"""Who the session is to its cell, and how it introduces itself on each stream."""

from __future__ import annotations

from chubby.client.call_desk import CallDesk
from chubby.types.identity import CellId, Epoch, SessionId, StreamNumber
from chubby.types.stream import OpenSession, Resume, Resumed, SessionOpened


class Identity:
    """Number and ticket of the session, and the epoch of the last master that served it; 0 before there was one.

    `nonce` makes a repeated OpenSession find the session that the first one made.
    """

    def __init__(self, nonce: int, caching: bool) -> None:
        self.session: SessionId = 0
        self.cell_id: CellId = 0
        self.epoch: Epoch = 0
        self.caching = caching
        self._nonce = nonce
        self._ticket = b""

    def opened(self, frame: SessionOpened) -> None:
        """The session exists."""
        assert not self.session, "a session is opened once"
        self.session, self._ticket = frame.session, frame.ticket
        self.cell_id, self.epoch = frame.cell_id, frame.epoch

    def resumed(self, frame: Resumed) -> None:
        """Another master may have taken over."""
        self.epoch = max(self.epoch, frame.epoch)

    def greeting(self, stream: StreamNumber, desk: CallDesk) -> OpenSession | Resume:
        """The first frame of `stream`. Resume names everything that a master who never heard of us must know."""
        if not self.session:
            return OpenSession(self._nonce, self.caching)
        subscriptions = desk.subscriptions
        return Resume(
            self.session,
            self._ticket,
            stream,
            self.epoch,
            subscriptions.cursor,
            desk.handles.claims(),
            subscriptions.claims(),
        )
