"""Each answer, location and status as a client in another language would read it, field by field."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from google.protobuf import text_format

from chubby.errors import BadArgument, ErrorCode, Failure
from chubby.types.nodes import AclNames, DirEntry, LockInfo, LockMode, LockOwner, NodeKind, Stat
from chubby.types.results import (
    Answer,
    Contents,
    Done,
    Listing,
    LockGranted,
    LockInfoResult,
    Locks,
    Opened,
    SequencerResult,
    SessionInfo,
    Sessions,
    StatResult,
    Transacted,
    Watching,
)
from chubby.types.status import CellStatus, Location, ReplicaStatus
from chubby.types.stream import Reply
from chubby.types.transaction import OperationResult, TransactionResult
from chubby.wire import chubby_pb2 as pb
from chubby.wire.codec import decode_server, encode_server
from chubby.wire.codec_status import decode_location, decode_status, encode_location, encode_status

STAT_TEXT = """
    kind: NODE_KIND_DIRECTORY ephemeral: true instance: 1 content_generation: 2 acl_generation: 3
    checksum: 18446744073709551615 length: 4 created: 5 modified: 6 created_ms: 7 modified_ms: -8
    acl { read: "r" write: "w" change: "c" } attributes { key: "k" value: "v" }
"""
STAT = Stat(
    kind=NodeKind.DIRECTORY,
    ephemeral=True,
    instance=1,
    content_generation=2,
    acl_generation=3,
    checksum=(1 << 64) - 1,
    length=4,
    created=5,
    modified=6,
    created_ms=7,
    modified_ms=-8,
    acl=AclNames(read="r", write="w", change="c"),
    attributes={"k": b"v"},
)

HELD_TEXT = """
    path: "/a" mode: LOCK_MODE_SHARED generation: 1 token: 2
    holders { session: 3 handle: 4 } holders { session: 5 handle: 6 }
    waiters { owner { session: 7 handle: 8 } mode: LOCK_MODE_EXCLUSIVE }
    delay: 9
"""
HELD = LockInfo(
    path="/a",
    mode=LockMode.SHARED,
    generation=1,
    token=2,
    holders=(LockOwner(3, 4), LockOwner(5, 6)),
    waiters=((LockOwner(7, 8), LockMode.EXCLUSIVE),),
    delayed=False,
    delay=9,
)
DELAYED_TEXT = "path: '/b' generation: 1 token: 2 delayed: true delay: 3"
DELAYED = LockInfo("/b", None, 1, 2, (), (), delayed=True, delay=3)

ANSWERS: list[tuple[str, Answer]] = [
    (
        "failure { code: ERROR_CODE_NO_NODE message: '/a is not there' }",
        Failure(ErrorCode.NO_NODE, "/a is not there"),
    ),
    ("done { revision: 5 }", Done(5)),
    ("done { }", Done(0)),
    (
        f"opened {{ ticket: 't' path: '/a-0000000001' created: true stat {{ {STAT_TEXT} }} }}",
        Opened(ticket=b"t", path="/a-0000000001", created=True, stat=STAT),
    ),
    (f"contents {{ contents: 'x' stat {{ {STAT_TEXT} }} }}", Contents(b"x", STAT)),
    (f"stat {{ stat {{ {STAT_TEXT} }} revision: 9 }}", StatResult(STAT, revision=9)),
    (
        f"listing {{ entries {{ name: 'b' stat {{ {STAT_TEXT} }} }} more: true }}",
        Listing((DirEntry("b", STAT),), more=True),
    ),
    ("listing { }", Listing((), more=False)),
    ("lock_granted { token: 1 generation: 2 }", LockGranted(token=1, generation=2)),
    (f"lock_info {{ info {{ {HELD_TEXT} }} }}", LockInfoResult(HELD)),
    (f"lock_info {{ info {{ {DELAYED_TEXT} }} }}", LockInfoResult(DELAYED)),
    (
        "sequencer { sequencer: 's' path: '/a' mode: LOCK_MODE_EXCLUSIVE generation: 1 token: 2 }",
        SequencerResult(sequencer=b"s", path="/a", mode=LockMode.EXCLUSIVE, generation=1, token=2),
    ),
    (
        f"""transacted {{
              result {{
                succeeded: true revision: 1
                results {{ path: "/a" stat {{ {STAT_TEXT} }} contents: "x" }}
                results {{ path: "/b" created: true }}
                results {{ path: "/c" contents: "" }}
              }}
            }}""",
        Transacted(
            TransactionResult(
                succeeded=True,
                revision=1,
                results=(
                    OperationResult("/a", STAT, b"x", created=False),
                    OperationResult("/b", None, None, created=True),
                    OperationResult("/c", None, b"", created=False),
                ),
            )
        ),
    ),
    (
        "transacted { result { revision: 1 failed_guard: 0 } }",
        Transacted(TransactionResult(False, 1, failed_guard=0, failed_operation=None, failure=None)),
    ),
    (
        """transacted {
             result { succeeded: true failed_operation: 2 failure { code: ERROR_CODE_NODE_EXISTS message: "/a" } }
           }""",
        Transacted(
            TransactionResult(
                True, 0, failed_guard=None, failed_operation=2, failure=Failure(ErrorCode.NODE_EXISTS, "/a")
            )
        ),
    ),
    ("watching { revision: 5 }", Watching(5)),
    (
        f"locks {{ locks {{ {HELD_TEXT} }} locks {{ {DELAYED_TEXT} }} more: true }}",
        Locks((HELD, DELAYED), more=True),
    ),
    (
        """sessions {
             sessions {
               session: 1 principal: "alice" lease_left: -2 connected: true handles: 3 locks: 4 ephemerals: 5 cached: 6
             }
             more: true
           }""",
        Sessions(
            (
                SessionInfo(
                    session=1,
                    principal="alice",
                    lease_left=-2,
                    connected=True,
                    handles=3,
                    locks=4,
                    ephemerals=5,
                    cached=6,
                ),
            ),
            more=True,
        ),
    ),
]


@pytest.mark.parametrize(("text", "answer"), ANSWERS)
def test_what_an_answer_looks_like(text: str, answer: Answer) -> None:
    """DESIGN §6, paper §2.6: every answer, with every field, in the protocol's own words."""
    written = text_format.Parse(f"frames {{ reply {{ number: 9 {text} }} }}", pb.ServerPacket())
    assert decode_server(written) == [Reply(9, answer)]
    assert encode_server([Reply(9, answer)]) == written


def test_the_table_is_complete() -> None:
    """Every answer is shown at least once."""
    assert {type(answer) for _, answer in ANSWERS} == set(get_args(Answer))


def test_what_a_location_looks_like() -> None:
    """Complete, and when nobody is known."""
    known = Location("local", 1, 2, "h:1", 3, ("h:1", "h:2"))
    text = "cell: 'local' cell_id: 1 master: 2 address: 'h:1' epoch: 3 replicas: 'h:1' replicas: 'h:2'"
    assert encode_location(known) == text_format.Parse(text, pb.Location())
    assert decode_location(text_format.Parse(text, pb.Location())) == known
    assert decode_location(pb.Location(cell="local")) == Location("local", 0, 0, "", 0, ())


STATUS_TEXT = """
    cell: "local" cell_id: 1 replica: 2 version: "0.1.0" master: 3 master_address: "h:1" epoch: 4 lease_left: -5
    chosen: 6 applied: 7 snapshot: 8 revision: 9 sessions: 10 nodes: 11 locks: 12 margin: -1 digest: "ab"
    replicas {
      replica: 1 peer_address: "p:1" client_address: "c:1" role: "voter" chosen: 2 lag: 3 connected: true last_heard: 0
      incarnation: 4
    }
    replicas { replica: 2 role: "learner" lag: -1 }
    warnings: "one" warnings: "two" resident_bytes: 13
    content_bytes: 14 nodes_quota: 15 bytes_quota: 16 content_limit: 17
"""
STATUS = CellStatus(
    cell="local",
    cell_id=1,
    replica=2,
    version="0.1.0",
    master=3,
    master_address="h:1",
    epoch=4,
    lease_left=-5,
    chosen=6,
    applied=7,
    snapshot=8,
    revision=9,
    sessions=10,
    nodes=11,
    locks=12,
    margin=-1,
    digest="ab",
    replicas=(
        ReplicaStatus(1, "p:1", "c:1", "voter", 2, 3, True, last_heard=0, incarnation=4),
        ReplicaStatus(2, "", "", "learner", 0, -1, False, last_heard=None),
    ),
    warnings=("one", "two"),
    resident_bytes=13,
    content_bytes=14,
    nodes_quota=15,
    bytes_quota=16,
    content_limit=17,
)


def test_what_a_status_looks_like() -> None:
    """With a margin that says the cell has stopped, and a replica never heard of: neither is zero."""
    written = text_format.Parse(STATUS_TEXT, pb.CellStatus())
    assert decode_status(written) == STATUS
    assert encode_status(STATUS) == written


def test_a_replica_that_has_not_come_is_not_one_of_which_nothing_is_told() -> None:
    """An incarnation of 0 is known; a release that leaves it out tells none."""
    expected = msgspec.structs.replace(STATUS.replicas[0], incarnation=0)
    told = encode_status(msgspec.structs.replace(STATUS, replicas=(expected,)))
    assert told.replicas[0].HasField("incarnation")
    assert decode_status(pb.CellStatus.FromString(told.SerializeToString())).replicas == (expected,)
    assert not encode_status(STATUS).replicas[1].HasField("incarnation")


def test_a_status_of_a_release_that_tells_no_limits() -> None:
    """Who knows nothing of the last fields leaves them out: content_limit 0 says that none of the four is known."""
    written = text_format.Parse(STATUS_TEXT, pb.CellStatus())
    for field in ("content_bytes", "nodes_quota", "bytes_quota", "content_limit"):
        written.ClearField(field)
    unknown = msgspec.structs.replace(STATUS, content_bytes=0, nodes_quota=0, bytes_quota=0, content_limit=0)
    assert decode_status(pb.CellStatus.FromString(written.SerializeToString())) == unknown


NATURALS = [
    *("cell_id", "replica", "master", "epoch", "chosen", "applied", "snapshot", "revision", "sessions", "nodes"),
    *("locks", "resident_bytes", "content_bytes", "nodes_quota", "bytes_quota", "content_limit"),
]


@pytest.mark.parametrize("field", NATURALS)
def test_a_status_with_a_negative_number_is_refused(field: str) -> None:
    """What counts from zero does not arrive below it."""
    written = text_format.Parse(f"{field}: -1", pb.CellStatus())
    with pytest.raises(BadArgument, match="CellStatus is negative"):
        decode_status(written)


@pytest.mark.parametrize("field", ["cell_id", "master", "epoch"])
def test_a_location_with_a_negative_number_is_refused(field: str) -> None:
    """Of several answers the one with the highest epoch is right: none is below zero."""
    written = text_format.Parse(f"{field}: -1", pb.Location())
    with pytest.raises(BadArgument, match="Location is negative"):
        decode_location(written)


@pytest.mark.parametrize("field", ["replica", "chosen", "last_heard", "incarnation"])
def test_a_replica_with_a_negative_number_is_refused(field: str) -> None:
    """The same within a status."""
    written = text_format.Parse(f"replicas {{ {field}: -1 }}", pb.CellStatus())
    with pytest.raises(BadArgument, match="ReplicaStatus is negative"):
        decode_status(written)
