"""Who is let in, and why others are not."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.paxos.configuration import Identity
from chubby.transport.doorkeeper import Doorkeeper
from chubby.transport.greetings import (
    CONTROL_LIMIT,
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    Goodbye,
    Hello,
    Reason,
    Welcome,
    decode_control,
    encode_control,
)

CELL, OTHER_CELL, BLANK = 700, 701, 0
ME, NONCE = 1, 4242


def keeper(cell: int = CELL, expected: tuple[int, ...] = (2, 3)) -> Doorkeeper:
    """The doorkeeper of replica 1."""
    return Doorkeeper(Identity(cell, ME, 11), expected, NONCE)


def hello(
    cell: int = CELL, replica: int = 2, nonce: int = 5, version: int = PROTOCOL_VERSION, oldest: int = OLDEST_VERSION
) -> Hello:
    """What a peer says."""
    return Hello(version, oldest, cell, replica, 22, nonce)


@pytest.mark.parametrize(
    ("own", "theirs", "verdict"),
    [
        (CELL, CELL, None),
        (CELL, OTHER_CELL, Reason.WRONG_CELL),
        (CELL, BLANK, None),
        (BLANK, CELL, None),
        (BLANK, BLANK, Reason.BOTH_BLANK),
    ],
)
@pytest.mark.parametrize("dialled", [None, 2])
def test_cells(own: int, theirs: int, verdict: Reason | None, dialled: int | None) -> None:
    """The table of the module, line by line, on both sides of a link."""
    assert keeper(own).judge(hello(theirs), dialled) is verdict


@pytest.mark.parametrize("cell", [CELL, BLANK])
def test_only_the_address_book_is_expected(cell: int) -> None:
    """A blank joiner too must be expected."""
    assert keeper().judge(hello(cell, replica=4), None) is Reason.UNKNOWN_REPLICA
    assert keeper().judge(hello(cell, replica=0), None) is Reason.UNKNOWN_REPLICA


def test_the_dialled_replica_must_answer() -> None:
    """A misspelled address is found out although both replicas belong to the cell (Paxos Made Live, §6.3)."""
    assert keeper().judge(hello(replica=3), dialled=2) is Reason.WRONG_REPLICA
    assert keeper().judge(hello(replica=3), dialled=3) is None


def test_oneself_and_ones_twin() -> None:
    """The same number and nonce is this process; the same number alone is somebody who must not be."""
    assert keeper().judge(hello(replica=ME, nonce=NONCE), 2) is Reason.SELF
    assert keeper().judge(hello(replica=ME, nonce=NONCE + 1), 2) is Reason.TWIN
    assert keeper().judge(keeper().hello(), None) is Reason.SELF


@pytest.mark.parametrize(
    ("version", "oldest", "verdict"),
    [
        (PROTOCOL_VERSION, OLDEST_VERSION, None),
        (PROTOCOL_VERSION + 1, PROTOCOL_VERSION, None),
        (PROTOCOL_VERSION + 2, PROTOCOL_VERSION + 1, Reason.VERSION),
        (OLDEST_VERSION - 1, 0, Reason.VERSION),
    ],
)
def test_versions(version: int, oldest: int, verdict: Reason | None) -> None:
    """Neighbours talk, strangers in time do not; the version is judged before all else."""
    assert keeper().judge(hello(version=version, oldest=oldest), None) is verdict
    if verdict is not None:
        assert keeper().judge(hello(OTHER_CELL, 9, version=version, oldest=oldest), None) is verdict


def test_a_blank_replica_learns_its_cell_once() -> None:
    """And judges by it from then on."""
    blank = keeper(BLANK)
    assert blank.hello().cell == BLANK
    assert blank.learn(hello(CELL)) == CELL
    assert blank.identity == Identity(CELL, ME, 11)
    assert blank.hello().cell == CELL
    assert blank.learn(hello(CELL, replica=3)) is None
    assert blank.judge(hello(OTHER_CELL, replica=3), None) is Reason.WRONG_CELL
    assert blank.judge(hello(BLANK, replica=3), None) is None


def test_a_replica_with_a_cell_learns_nothing() -> None:
    """Least of all from a blank one."""
    door = keeper()
    assert door.learn(hello(BLANK)) is None
    assert door.identity.cell == CELL
    assert door.is_joining(hello(BLANK))
    assert not door.is_joining(hello(CELL))


def test_expectations_follow_the_configuration() -> None:
    """Whoever left it is a stranger from then on."""
    door = keeper()
    door.expect({3: "a", 4: "b"})
    assert door.judge(hello(replica=2), None) is Reason.UNKNOWN_REPLICA
    assert door.judge(hello(replica=4), None) is None


def test_hello_tells_all() -> None:
    """Version, cell, replica, incarnation, nonce."""
    assert keeper().hello() == Hello(PROTOCOL_VERSION, OLDEST_VERSION, CELL, ME, 11, NONCE)


numbers = st.integers(0, 2**63 - 1)
controls = st.one_of(
    st.builds(Hello, numbers, numbers, numbers, numbers, numbers, numbers),
    st.just(Welcome()),
    st.builds(Goodbye, st.sampled_from(Reason)),
)


@given(controls)
def test_control_frames_come_back_as_they_were_and_are_small(control: Hello | Welcome | Goodbye) -> None:
    """The largest Hello is well below the limit for strangers."""
    payload = encode_control(control)
    assert decode_control(payload) == control
    assert len(payload) < CONTROL_LIMIT // 4


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_no_control_frames(garbage: bytes) -> None:
    """None, never an exception."""
    assert decode_control(garbage) is None


def test_a_reason_of_a_newer_release_is_understood_as_other() -> None:
    """An older release must still see that it was a Goodbye."""
    assert decode_control(msgspec.msgpack.encode({"type": "goodbye", "reason": 4711})) == Goodbye(Reason.OTHER)


@pytest.mark.parametrize("field", ["version", "oldest", "cell", "replica", "incarnation", "nonce"])
@pytest.mark.parametrize("value", [-1, 2**63, None, "1", 1.5])
def test_a_hello_of_other_than_small_naturals_is_garbage(field: str, value: object) -> None:
    """A cell id below zero would be learned by a blank replica, for instance."""
    fields = {"type": "hello", **msgspec.to_builtins(hello()), field: value}
    assert decode_control(msgspec.msgpack.encode(fields)) is None


def test_a_hello_with_fields_of_a_newer_release_is_a_hello() -> None:
    """Hello must be readable for ever."""
    fields = {**msgspec.to_builtins(hello()), "invented_later": 1}
    assert decode_control(msgspec.msgpack.encode(fields)) == hello()


def test_reason_numbers_are_permanent() -> None:
    """They travel between releases."""
    assert {reason.name: reason.value for reason in Reason} == {
        "OTHER": 0,
        "WRONG_CELL": 1,
        "UNKNOWN_REPLICA": 2,
        "WRONG_REPLICA": 3,
        "SELF": 4,
        "TWIN": 5,
        "VERSION": 6,
        "BOTH_BLANK": 7,
        "UNPROVEN": 8,
        "FRAME": 9,
        "GARBAGE": 10,
        "PROTOCOL": 11,
        "TIMEOUT": 12,
        "REPLACED": 13,
        "CROWDED": 14,
        "STALLED": 15,
        "LOST": 16,
        "UNREACHABLE": 17,
        "STOPPED": 18,
    }
