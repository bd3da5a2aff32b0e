"""The protocol's ceilings fit each other, and lie above what cells allow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chubby import paths
from chubby.errors import BadArgument, TooLarge
from chubby.master.sequencer import seal
from chubby.master.tickets import HandleTicket, seal_handle
from chubby.types import limits as cell
from chubby.types.calls import CheckSequencer, Mode
from chubby.types.events import EventMask
from chubby.types.nodes import AclNames, LockMode, NodeKind, Sequencer, Stat
from chubby.types.results import Opened, SequencerResult
from chubby.types.stream import CallFrame, HandleClaim, Reply, Resume, WatchClaim
from chubby.wire import checks, limits
from chubby.wire.codec import pack_client, pack_server, unpack_client, unpack_server

STAT = Stat(NodeKind.FILE, False, 1, 1, 1, 1, 1, 1, 1, 1, 1, AclNames("r", "w", "c"))


def test_a_cell_answers_before_the_protocol_does() -> None:
    """DESIGN §4: what passes a cell's limit is TOO_LARGE for one call; only far beyond it the stream ends."""
    assert cell.CONTENT_LIMIT < limits.CONTENT_CEILING
    assert cell.ATTRIBUTES_LIMIT < limits.ATTRIBUTES_CEILING
    assert cell.PATH_LIMIT < limits.TEXT_CEILING
    assert cell.TRANSACTION_LIMIT < limits.TRANSACTION_CEILING
    assert cell.BATCH_BYTES < limits.FRAME_CEILING


def test_a_sequencer_of_the_longest_path_fits() -> None:
    """It names the lock by its path, and a little more."""
    assert 4 * cell.PATH_LIMIT < limits.SEQUENCER_CEILING


LONGEST = "/" + "/".join(["p" * 199] * 5) + "/" + "p" * 23
"""A path as long as a cell allows."""


def test_a_handle_ticket_of_the_longest_path_fits() -> None:
    """It names the node by its path: without room for that, nobody could open what a cell lets one make (DESIGN §5)."""
    assert paths.validate(LONGEST) == LONGEST and len(LONGEST) == cell.PATH_LIMIT
    said = HandleTicket((1 << 63) - 1, LONGEST, (1 << 63) - 1, Mode.READ | Mode.WRITE | Mode.CHANGE_ACL, (1 << 63) - 1)
    sealed = seal_handle((b"key",), 1, 1, said)
    opened = Opened(sealed, LONGEST, True, STAT)
    assert unpack_server(pack_server([Reply(1, opened)])) == [Reply(1, opened)]
    resume = Resume(1, b"t", 2, 1, 1, (HandleClaim(1, sealed, EventMask.ALL),), (WatchClaim(1, LONGEST, True),))
    assert unpack_client(pack_client([resume])) == [resume]


def test_a_sequencer_made_of_the_longest_path_fits() -> None:
    """The same for what a lock holder passes on."""
    sealed = seal((b"key",), 1, Sequencer(LONGEST, (1 << 63) - 1, LockMode.EXCLUSIVE, (1 << 63) - 1, (1 << 63) - 1))
    answer = SequencerResult(sealed, LONGEST, LockMode.EXCLUSIVE, 1, 1)
    assert unpack_server(pack_server([Reply(1, answer)])) == [Reply(1, answer)]
    call = CallFrame(1, 0, 0, CheckSequencer(sealed))
    assert unpack_client(pack_client([call])) == [call]


def test_ceilings_fit_into_one_another() -> None:
    """Content in a frame, a frame in a packet; what is packed together in what a client receives by default."""
    rest = limits.ATTRIBUTES_CEILING + 8 * limits.TEXT_CEILING
    assert limits.CONTENT_CEILING + rest <= limits.FRAME_CEILING < limits.CLIENT_PACKET_BYTES
    assert limits.PACK_BYTES < limits.SERVER_PACKET_BYTES
    assert limits.PACK_FRAMES <= limits.PACKET_FRAMES
    assert limits.CHUNK_BYTES < 4 * 1024 * 1024


def test_a_transaction_that_reads_all_it_may_fits_a_packet() -> None:
    """Its answer is one frame: every operation a read of a file at its default limit."""
    assert cell.TRANSACTION_LIMIT * (cell.CONTENT_LIMIT + 8 * cell.ATTRIBUTES_LIMIT) < limits.SERVER_PACKET_BYTES


BYTES: list[tuple[Callable[[bytes], bytes], int]] = [
    (checks.content, limits.CONTENT_CEILING),
    (checks.ticket, limits.TICKET_CEILING),
    (checks.sequencer, limits.SEQUENCER_CEILING),
]


@pytest.mark.parametrize(("check", "ceiling"), BYTES)
def test_bytes_are_checked_at_their_ceiling(check: Callable[[bytes], bytes], ceiling: int) -> None:
    """The ceiling passes, as it is; one more does not."""
    value = bytes(ceiling)
    assert check(value) is value
    with pytest.raises(TooLarge, match=f"of {ceiling + 1} bytes; the protocol carries {ceiling}"):
        check(bytes(ceiling + 1))


def test_texts_are_checked_at_their_ceiling() -> None:
    """In characters, so that no language is worse off."""
    value = "ä" * limits.TEXT_CEILING
    assert checks.text(value, "path") is value
    with pytest.raises(TooLarge, match="path has 4097 characters"):
        checks.text(value + "ä", "path")


def test_attributes_are_checked_in_sum() -> None:
    """Names and values together; many small ones weigh as much as one large."""
    half = limits.ATTRIBUTES_CEILING // 2
    checks.attributes({"a": bytes(half - 1), "b": bytes(half - 1)})
    with pytest.raises(TooLarge):
        checks.attributes({"a": bytes(half), "b": bytes(half)})
    with pytest.raises(TooLarge):
        checks.attributes({f"{number:05}": bytes(5) for number in range(limits.ATTRIBUTES_CEILING // 10 + 1)})


def test_numbers_are_checked_one_by_one_or_together() -> None:
    """Zero is natural; the message says which number of what it was."""
    assert checks.natural(0, "handle") == 0
    checks.naturals("Stat", 0, 1, 2)
    with pytest.raises(BadArgument, match="handle is negative: -1"):
        checks.natural(-1, "handle")
    with pytest.raises(BadArgument, match="a number of Stat is negative: -7"):
        checks.naturals("Stat", 3, -7, 2)


def test_members_and_parts_are_named_when_they_are_missing() -> None:
    """Whoever writes a client reads these messages."""
    table = {1: LockMode.EXCLUSIVE}
    assert checks.member(table, 1, "Acquire.mode") is LockMode.EXCLUSIVE
    with pytest.raises(BadArgument, match=r"Acquire\.mode has no member 7"):
        checks.member(table, 7, "Acquire.mode")
    checks.present(True, "Stat.acl")
    with pytest.raises(BadArgument, match=r"Stat\.acl is missing"):
        checks.present(False, "Stat.acl")
