"""Messages of one link reach the replica in order, and a bounded amount in each turn of the loop."""

from __future__ import annotations

import asyncio

from chubby.transport.codec import Codec
from chubby.transport.greetings import Reason
from chubby.transport.inbox import Inbox
from chubby.transport.settings import BURST_FRAMES, BURST_SIZE
from chubby.transport.statistics import Tally
from chubby.types.identity import ReplicaId
from tests.transport.conftest import Run
from tests.transport.meshes import CODEC, Mail, Note, Parcel, turns
from tests.transport.paper import Scene


class Mailbox:
    """An inbox, what it delivered, and the paper of its link."""

    def __init__(self, codec: Codec[Mail] = CODEC) -> None:
        """Of a link with replica 2."""
        self.scene = Scene(dialled=None).establish()
        self.delivered: list[Mail] = []
        self.tally = Tally()
        self.inbox: Inbox[Mail] = Inbox(asyncio.get_running_loop(), self.scene.link, 2, codec, self.receive, self.tally)

    def receive(self, replica: ReplicaId, message: Mail) -> None:
        """Keep it."""
        assert replica == 2
        self.delivered.append(message)

    def put(self, *messages: Mail) -> None:
        """They arrive in one read."""
        self.inbox.put([CODEC.encode(message) for message in messages])


def test_a_few_messages_are_delivered_at_once(run: Run) -> None:
    """In the read that brought them: no turn is wasted."""

    async def scenario() -> None:
        box = Mailbox()
        box.put(*map(Note, range(10)))
        assert box.delivered == [Note(number) for number in range(10)]
        assert box.scene.paper.reading
        assert box.tally.frames == 10
        await box.scene.end()

    run(scenario())


def test_many_messages_are_delivered_in_bursts(run: Run) -> None:
    """One burst a turn, and the link is not read meanwhile; what comes nevertheless keeps its place."""

    async def scenario() -> None:
        box = Mailbox()
        total = 3 * BURST_FRAMES + 10
        box.put(*map(Note, range(total)))
        assert len(box.delivered) == BURST_FRAMES
        assert not box.scene.paper.reading
        box.put(Note(total))
        assert len(box.delivered) == BURST_FRAMES, "this turn has had its burst"
        await turns(1)
        assert len(box.delivered) == 2 * BURST_FRAMES
        await turns(2)
        assert box.delivered == [Note(number) for number in range(total + 1)]
        assert box.scene.paper.reading
        await box.scene.end()

    run(scenario())


def test_large_messages_are_delivered_by_size(run: Run) -> None:
    """A mebibyte a turn, or one message if it is larger."""

    async def scenario() -> None:
        box = Mailbox()
        box.put(*(Parcel(number, bytes(BURST_SIZE)) for number in range(3)))
        assert len(box.delivered) == 1
        await turns(1)
        assert len(box.delivered) == 2
        await turns(1)
        assert len(box.delivered) == 3
        await box.scene.end()

    run(scenario())


def test_a_closed_inbox_delivers_nothing_more(run: Run) -> None:
    """A link that was replaced must not speak after its successor."""

    async def scenario() -> None:
        box = Mailbox()
        box.put(*map(Note, range(2 * BURST_FRAMES)))
        box.inbox.close()
        await turns(3)
        assert len(box.delivered) == BURST_FRAMES
        await box.scene.end()

    run(scenario())


def test_closing_from_within_a_delivery(run: Run) -> None:
    """The replica may change the address book because of a message, and so end the very link that brought it."""

    async def scenario() -> None:
        box = Mailbox()

        def receive(replica: ReplicaId, message: Mail) -> None:
            box.delivered.append(message)
            if message.number == 3:
                box.inbox.close()
                box.scene.link.dismiss(Reason.UNKNOWN_REPLICA)

        box.inbox = Inbox(asyncio.get_running_loop(), box.scene.link, 2, CODEC, receive, box.tally)
        box.put(*map(Note, range(10)))
        await turns(2)
        assert box.delivered == [Note(number) for number in range(4)]
        assert box.tally.frames == 4
        await box.scene.end()

    run(scenario())


def test_garbage_ends_the_delivery(run: Run) -> None:
    """What came before it counts, what came after it is not looked at."""

    async def scenario() -> None:
        box = Mailbox()
        box.inbox.put([CODEC.encode(Note(1)), b"garbage", CODEC.encode(Note(2))])
        assert box.delivered == [Note(1)]
        assert box.tally.frames == 1
        assert box.scene.diary.entries == [("parted", Reason.GARBAGE, False)]
        await box.scene.end()

    run(scenario())


def test_a_failing_receiver_ends_the_link_in_a_later_turn_too(run: Run) -> None:
    """The error reaches the loop's exception handler, the rest is not delivered."""

    async def scenario() -> None:
        box = Mailbox()

        def receive(replica: ReplicaId, message: Mail) -> None:
            box.delivered.append(message)
            if message.number == BURST_FRAMES + 5:
                raise RuntimeError("a bug of the replica")

        box.inbox = Inbox(asyncio.get_running_loop(), box.scene.link, 2, CODEC, receive, box.tally)
        box.put(*map(Note, range(3 * BURST_FRAMES)))
        await turns(4)
        assert len(box.delivered) == BURST_FRAMES + 6
        assert box.scene.paper.aborted
        await box.scene.end()

    run(scenario(), complaints=1)
