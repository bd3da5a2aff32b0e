"""A table of a oneof checks itself when it is made: a row too few or twice is found before the first frame."""

from __future__ import annotations

from typing import cast

import pytest

from chubby.errors import BadArgument
from chubby.types.stream import Acknowledge, KeepAlive, OpenSession
from chubby.types.transaction import Absent, Exists, Operation, Remove
from chubby.wire import chubby_pb2 as pb
from chubby.wire.choice import Choice, Row, row
from chubby.wire.codec_transaction import GUARDS, OPERATIONS


def _put(message: pb.Absent, guard: Absent) -> None:
    message.path = guard.path


def _take(message: pb.Absent) -> Absent:
    return Absent(message.path)


TWO = Absent | Exists
ABSENT: Row[pb.Guard] = row(Absent, "absent", lambda guard: guard.absent, _put, _take)


def test_a_row_too_few_is_found() -> None:
    """The union has a member that nobody could send."""
    with pytest.raises(AssertionError, match="not the members of the union"):
        Choice(pb.Guard.DESCRIPTOR, "guard", TWO, (ABSENT,))


def test_a_field_too_few_is_found() -> None:
    """The protocol has a field that nobody could read."""
    renamed = ABSENT._replace(kind=Exists)
    with pytest.raises(AssertionError, match="not the fields of the oneof"):
        Choice(pb.Guard.DESCRIPTOR, "guard", TWO, (ABSENT, renamed._replace(field="exists")))


def test_a_row_twice_is_found() -> None:
    """One struct, one field, one row."""
    with pytest.raises(AssertionError, match="a row twice"):
        Choice(pb.Guard.DESCRIPTOR, "guard", TWO, (ABSENT, ABSENT))


def test_a_value_is_set_even_if_all_of_it_is_zero() -> None:
    """The oneof says which, even where its message has nothing to say."""
    guard = pb.Guard()
    GUARDS.put(guard, Absent(""))
    assert guard.WhichOneof("guard") == "absent"
    assert GUARDS.take(pb.Guard.FromString(guard.SerializeToString())) == Absent("")


def test_what_is_not_of_the_union_is_named() -> None:
    """Both ways, by the name of the oneof."""
    with pytest.raises(BadArgument, match=r"Operation\.operation cannot carry a Absent"):
        OPERATIONS.put(pb.Operation(), cast("Operation", Absent("/a")))
    with pytest.raises(BadArgument, match=r"Operation\.operation is empty"):
        OPERATIONS.take(pb.Operation())
    assert OPERATIONS.kinds >= {Remove} and not OPERATIONS.kinds & {OpenSession, KeepAlive, Acknowledge}
