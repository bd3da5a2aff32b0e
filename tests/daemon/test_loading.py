"""A machine out of a snapshot: what is loaded, and giving up in the middle."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from chubby.daemon.loading import Abandoned, Loader
from chubby.errors import CorruptData
from tests.daemon.samples import machine_at

SLICES = tuple(machine_at(3).snapshot().slices(100))


def test_it_keeps_the_machine_it_made() -> None:
    """All the slices of a snapshot, and it is the machine that was written."""
    loader = Loader()
    assert loader.machine is None
    loader(iter(SLICES))
    assert loader.machine is not None and loader.machine.digest() == machine_at(3).digest()
    assert loader.machine.applied == 3 and len(SLICES) > 2


def test_of_a_second_attempt_the_first_leaves_nothing() -> None:
    """The newest snapshot may turn out to be rotten, the one before it too: then there is no machine."""
    loader = Loader()
    loader(iter(SLICES))
    with pytest.raises(CorruptData):
        loader(iter(SLICES[:-1]))
    assert loader.machine is None


def test_whoever_waits_may_give_up_from_another_thread() -> None:
    """A start that is told to stop stops with the next slice, not a second later."""
    loader = Loader()
    asked = threading.Event()
    go_on = threading.Event()
    taken: list[bytes] = []

    def slices() -> Iterator[bytes]:
        for piece in SLICES:
            taken.append(piece)
            asked.set()
            go_on.wait(30)
            yield piece

    failures: list[BaseException] = []

    def load() -> None:
        try:
            loader(slices())
        except Abandoned as error:
            failures.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    assert asked.wait(30)
    loader.abandon()
    go_on.set()
    thread.join(30)
    assert len(failures) == 1 and loader.machine is None and len(taken) == 1
