"""The store of sets: the fence refuses who slept, whichever way it is built; without one the update is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from chubby.types.nodes import LockMode, Sequencer
from tests.torture.store import Customer, Memory, Request, Service, SetKind

CHECK_DIGITS = bytes(16)


def sequencer(kind: SetKind, token: int) -> bytes:
    """As the holder of the lock in the hold period of this token has it."""
    meaning = Sequencer(f"/torture{kind.lock}", 1, LockMode.EXCLUSIVE, token, token)
    return msgspec.msgpack.encode(meaning) + CHECK_DIGITS


def read(kind: SetKind, token: int, number: int = 0) -> Request:
    """What is in set `number`?"""
    return Request(kind, number, sequencer(kind, token))


def write(kind: SetKind, token: int, *elements: str, number: int = 0) -> Request:
    """Set `number` is this."""
    return Request(kind, number, sequencer(kind, token), elements)


def race(kind: SetKind) -> list[str]:
    """Two holders: the first reads and sleeps, the second reads and writes, the first wakes and writes."""
    memory = Memory(kind)
    said = [memory.obey(request).said for request in (read(kind, 1), read(kind, 2), write(kind, 2, "b"))]
    return [*said, memory.obey(write(kind, 1, "a")).said, *memory.obey(read(kind, 3)).elements]


def test_without_a_fence_the_update_of_the_second_holder_is_lost() -> None:
    """What the workload measures."""
    assert race(SetKind.BARE) == ["read", "read", "written", "written", "a"]


def test_with_a_fence_the_first_holder_is_refused() -> None:
    """And nothing is lost (paper §2.4; DESIGN §4 Token)."""
    assert race(SetKind.FENCED) == ["read", "read", "written", "refused", "b"]


def test_a_look_of_the_second_holder_is_enough() -> None:
    """Were reads not fenced, the first one's write between the second one's read and write would be lost."""
    memory = Memory(SetKind.FENCED)
    said = [memory.obey(each).said for each in (read(SetKind.FENCED, 1), read(SetKind.FENCED, 2))]
    assert [*said, memory.obey(write(SetKind.FENCED, 1, "a")).said] == ["read", "read", "refused"]


def test_several_sets_of_a_kind_are_apart() -> None:
    """One after the other is filled."""
    memory = Memory(SetKind.BARE)
    memory.obey(write(SetKind.BARE, 1, "a"))
    memory.obey(write(SetKind.BARE, 1, "b", "c", number=1))
    assert memory.obey(read(SetKind.BARE, 1, number=2)).elements == ()
    assert memory.dump() == [("a",), ("b", "c")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A service that runs, without a cell."""
    service = Service(tmp_path / "s", [])
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    yield tmp_path / "s"
    service.shutdown()
    service.server_close()
    thread.join()


def test_customers_are_served_one_by_one(place: Path) -> None:
    """Bytes, kinds and tuples come through; who is gone is in nobody's way."""
    one, other = Customer(place), Customer(place)
    assert one.ask(write(SetKind.FENCED, 5, "a", "b")).said == "written"
    one.close()
    assert other.ask(read(SetKind.FENCED, 6)).elements == ("a", "b")
    assert other.ask(write(SetKind.FENCED, 5)).said == "refused"
    other.close()
