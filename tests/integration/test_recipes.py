"""Recipes among processes: whoever holds something is killed with -9, and the others go on (DESIGN §6)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from typing import Generic, TypeVar

import pytest

import chubby
from chubby.errors import SequencerInvalid
from tests.integration.cells import PATIENCE, Cell
from tests.integration.programs import Starter

T = TypeVar("T")


class Followed(Generic[T]):
    """What an endless iterator gives, read by a thread of its own until its session is closed."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items: queue.Queue[T] = queue.Queue()
        threading.Thread(target=self._follow, args=(items,), daemon=True).start()

    def until(self, wanted: T) -> None:
        """Read on until `wanted` comes; fails the test if it does not."""
        while self._items.get(timeout=PATIENCE) != wanted:
            pass

    def _follow(self, items: Iterable[T]) -> None:
        for item in items:
            self._items.put(item)


def test_a_leader_is_killed_and_the_next_one_leads(cell: Cell, start: Starter) -> None:
    """Election: whoever asks is told of each leader; every hold period has a greater token."""
    addresses, path = ",".join(cell.addresses), "/ls/test/recipes-leader"
    with cell.connect() as session:
        first = start("lead", addresses, path, "first")
        assert first.answer() == {"standing": 1}
        token = int(first.answer()["token"])
        leaders = Followed(chubby.Election(session, path).leaders())
        leaders.until(b"first")
        second = start("lead", addresses, path, "second")
        assert second.answer() == {"standing": 1}
        first.end()
        assert int(second.answer()["token"]) > token
        leaders.until(b"second")
        assert chubby.Election(session, path).leader() == b"second"


def test_an_owner_is_killed_and_its_resource_knows(cell: Cell, start: Starter) -> None:
    """Lock and fencing.Guard: what the dead one still had under way comes too late."""
    path = "/ls/test/recipes-lock"
    guard = chubby.fencing.Guard(path)
    with cell.connect() as session:
        with chubby.Lock(session, path) as held:
            old = held.sequencer
            with guard.admit(old):
                pass
        owner = start("own", ",".join(cell.addresses), path)
        assert int(owner.answer()["token"]) > old.token
        owner.end()
        with chubby.Lock(session, path, timeout=PATIENCE) as held:
            with guard.admit(held.sequencer):
                pass
            with pytest.raises(SequencerInvalid):
                guard.check(old)


def test_a_provider_is_killed_and_its_entry_goes(cell: Cell, start: Starter) -> None:
    """ServiceRegistry: followers see who is there, and that somebody is no more."""
    addresses, root = ",".join(cell.addresses), "/ls/test/recipes-services"
    with cell.connect() as session:
        registry = chubby.ServiceRegistry(session, root)
        providers = [start("provide", addresses, root, "db", name, f"10.0.0.{name}:1") for name in ("1", "2")]
        for provider in providers:
            assert provider.answer() == {"registered": 1}
        followed = Followed([entry.name for entry in entries] for entries in registry.follow("db"))
        followed.until(["1", "2"])
        providers[0].end()
        followed.until(["2"])
        assert [entry.address for entry in registry.instances("db")] == ["10.0.0.2:1"]


def test_a_party_is_killed_and_the_others_meet_and_part(cell: Cell, start: Starter) -> None:
    """Barrier: before all are in, one that dies is waited for anew; once they are, it counts as having left."""
    addresses, path = ",".join(cell.addresses), "/ls/test/recipes-barrier"
    early, other = (start("meet", addresses, path, name, "3") for name in ("early", "other"))
    for party in (early, other):
        assert party.answer() == {"waiting": 1}
    early.end()
    late, last = (start("meet", addresses, path, name, "3") for name in ("late", "last"))
    for party in (late, last):
        assert party.answer() == {"waiting": 1}
    for party in (other, late, last):
        assert party.answer() == {"inside": 1}
    late.end()
    for party in (other, last):
        party.tell("enough")
    for party in (other, last):
        assert party.answer() == {"outside": 1}


def test_a_writer_is_killed_and_its_followers_see_the_next_one(cell: Cell, start: Starter) -> None:
    """ConfigWatcher: the value stays, and each later one comes, whoever wrote it."""
    addresses, path = ",".join(cell.addresses), "/ls/test/recipes-config"
    with cell.connect() as session:
        writer = start("hold", addresses, path)
        writer.answer()
        with chubby.ConfigWatcher(session, path) as watcher:
            followed = Followed(watcher)
            assert writer.ask("one") == {"outcome": "written"}
            followed.until(b"one")
            writer.end()
            successor = start("hold", addresses, path)
            successor.answer()
            assert watcher.read() == b"one"
            assert successor.ask("two") == {"outcome": "written"}
            followed.until(b"two")
