"""What arrived on one accepted link, on its way to the replica: in order, a bounded amount in each turn of the loop.

One read brings thousands of small messages, and a busy peer's next read follows at once: whoever handled all of it
would leave timers and the other peers waiting. So a burst is delivered, the rest waits for the next turn, and meanwhile
the link is not read: what is not read fills the peer's window, which is all the backpressure there needs to be.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic

from chubby.transport.codec import Codec, CodecError, M
from chubby.transport.framing import HEADER_BYTES
from chubby.transport.greetings import Reason
from chubby.transport.links import Link
from chubby.transport.settings import BURST_FRAMES, BURST_SIZE
from chubby.transport.statistics import Tally
from chubby.types.identity import ReplicaId


class Inbox(Generic[M]):
    """Delivers the messages of one link to `receive(replica, message)`.

    What `receive` raises is a bug of the replica: the link is dropped, and the error goes to the loop's exception
    handler.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        link: Link,
        replica: ReplicaId,
        codec: Codec[M],
        receive: Callable[[ReplicaId, M], None],
        tally: Tally,
    ) -> None:
        """An empty inbox."""
        self._loop = loop
        self._link = link
        self._replica = replica
        self._codec = codec
        self._receive = receive
        self._tally = tally
        self._waiting: deque[bytes] = deque()
        self._next_turn: asyncio.Handle | None = None

    @property
    def replica(self) -> ReplicaId:
        """Whose messages these are."""
        return self._replica

    @property
    def tally(self) -> Tally:
        """What was delivered."""
        return self._tally

    def put(self, payloads: Sequence[bytes]) -> None:
        """Payloads arrived: deliver a burst of them, unless this turn's was delivered."""
        self._waiting.extend(payloads)
        if self._next_turn is None:
            self._deliver()

    def close(self) -> None:
        """Deliver nothing any more."""
        self._waiting.clear()
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    def _deliver(self) -> None:
        self._next_turn = None
        try:
            self._deliver_burst()
        except BaseException:
            self.close()
            self._link.abort()
            raise
        if self._waiting:
            self._link.pause_reading()
            self._next_turn = self._loop.call_soon(self._deliver)
        else:
            self._link.resume_reading()

    def _deliver_burst(self) -> None:
        waiting, replica, decode, receive = self._waiting, self._replica, self._codec.decode, self._receive
        frames = size = 0
        while waiting and frames < BURST_FRAMES and size < BURST_SIZE:
            payload = waiting.popleft()
            try:
                message = decode(payload)
            except CodecError:
                self._link.dismiss(Reason.GARBAGE)
                break
            frames += 1
            size += HEADER_BYTES + len(payload)
            receive(replica, message)
        self._tally.add(frames, size)
