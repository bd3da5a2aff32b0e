"""The cache against a dumb twin, and read by other threads: no hit is ever stale (DESIGN §5, §6)."""

from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chubby.client.cache import Cache
from chubby.client.cache_rules import drop_before
from chubby.types.calls import CreateMode, Open
from chubby.types.nodes import ANYONE, AclNames, DirEntry, NodeKind, Stat
from chubby.types.stream import CacheKey, CacheKind
from chubby.types.time import SECOND

NODE, CHILDREN = CacheKind.NODE, CacheKind.CHILDREN


LIVE = 100 * SECOND


def stat(instance: int = 1, generation: int = 1, length: int = 0, kind: NodeKind = NodeKind.FILE) -> Stat:
    """Metadata that differs where the test cares."""
    acl = AclNames(ANYONE, ANYONE, ANYONE)
    return Stat(kind, False, instance, generation, 1, 0, length, 1, 1, 0, 0, acl)


def live_cache(limit: int = 1 << 20) -> Cache:
    """A cache under leases that last until `LIVE`."""
    cache = Cache(limit=limit)
    cache.renew(0, LIVE, LIVE)
    return cache


class DumbTwin(RuleBasedStateMachine):
    """The cache against a master that remembers what it allowed: no hit ever differs from the truth.

    The twin is the contract itself: `truth` is what nodes hold, `registered` what this client may cache. Before the
    truth of a registered key changes, the key is dropped, or both leases have lapsed and the drop is kept for the
    renewal, as the master does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache()
        self.now = 10
        self.number = 0
        self.truth: dict[str, bytes | None] = {"/a": b"0", "/b": None, "/c": None}
        self.directories: dict[str, None] = {}
        self.version = 0
        self.granted_until = 0
        self.owed: list[CacheKey] = []

    @rule(by=st.integers(0, 40))
    def time_passes(self, by: int) -> None:
        """Nothing else happens."""
        self.now += by

    @rule(length=st.integers(1, 60))
    def renew(self, length: int) -> None:
        """What is owed comes first, then the lease."""
        for key in self.owed:
            self.cache.drop(key)
        self.owed.clear()
        self.cache.renew(self.now, length, self.now + 1000)
        self.granted_until = max(self.granted_until, self.now + length)

    @rule(path=st.sampled_from(["/a", "/b", "/c"]))
    def read(self, path: str) -> None:
        """An answer arrives: current when it was given, and nothing of it owed."""
        self.number += 1
        if CacheKey(path, NODE) in self.owed:
            return
        held = self.truth[path]
        if held is None:
            self.cache.put_absent(path)
        else:
            self.cache.put_node(path, stat(1, self.version, len(held), self.kind(path)), held)

    def kind(self, path: str) -> NodeKind:
        """What the node is."""
        return NodeKind.DIRECTORY if path in self.directories else NodeKind.FILE

    def invalidate(self, path: str) -> None:
        """Acknowledged by dropping while the lease lasts; owed when it has lapsed."""
        key = CacheKey(path, NODE)
        if self.now < self.granted_until:
            self.cache.drop(key)
        else:
            self.owed.append(key)

    @rule(path=st.sampled_from(["/a", "/b", "/c"]), gone=st.booleans())
    def somebody_else_writes(self, path: str, gone: bool) -> None:
        """Or deletes it: what comes after is a file again."""
        self.invalidate(path)
        self.version += 1
        self.truth[path] = None if gone else b"%d" % self.version
        if gone:
            self.directories.pop(path, None)

    @rule(path=st.sampled_from(["/a", "/b", "/c"]), ours=st.booleans())
    def a_child_is_made(self, path: str, ours: bool) -> None:
        """Which makes a directory of a file. A writer drops its own copy, unless it says that it is one; nobody
        tells him more.
        """
        if self.truth[path] is None:
            return
        if ours:
            self.number += 1
            call = Open(1, f"{path}/x", create=CreateMode.MUST)
            drop_before(self.cache, call, None, self.number)
            assert not self.cache.permits(path, self.number - 1)
            self.cache.settled(self.number)
        elif path not in self.directories:
            self.invalidate(path)
        self.directories[path] = None

    @precondition(lambda self: self.number > 0)
    @rule(path=st.sampled_from(["/a", "/b", "/c"]))
    def we_write(self, path: str) -> None:
        """Dropped before it is sent; an older answer that is still on the way is refused."""
        before = self.number
        self.number += 1
        self.cache.drop_own(self.number, (CacheKey(path, NODE),))
        assert not self.cache.permits(path, before)
        self.version += 1
        self.truth[path] = b"%d" % self.version
        self.cache.settled(self.number)

    @rule()
    def jeopardy_and_back(self) -> None:
        """Everything goes."""
        self.cache.disable()
        self.owed.clear()
        self.cache.enable()
        self.cache.renew(self.now, 20, self.now + 1000)
        self.granted_until = max(self.granted_until, self.now + 20)

    @invariant()
    def no_hit_is_stale(self) -> None:
        """The one thing that matters."""
        for path, held in self.truth.items():
            entry = self.cache.node(path, self.now)
            if entry is not None:
                assert self.now < self.granted_until
                assert (entry.contents if entry.stat else None) == held
                assert entry.stat is None or entry.stat.kind is self.kind(path)


TestDumbTwin = DumbTwin.TestCase


def test_a_listing_that_changed_while_it_was_read_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some children old, some new: such a directory never was. The same as below, without chance."""
    cache = live_cache()
    names = tuple("abcde")
    for name in names:
        cache.put_node(f"/d/{name}", stat(1, 1))
    cache.put_children("/d", 1, "", names, False)
    look = cache._entries

    def meddled(path: str, wanted: tuple[str, ...]) -> tuple[DirEntry, ...] | None:
        """The reader is half through when everything is invalidated and filled anew."""
        first = look(path, wanted[:2])
        for name in names:
            cache.drop(CacheKey(f"/d/{name}", NODE))
            cache.put_node(f"/d/{name}", stat(1, 2))
        rest = look(path, wanted[2:])
        return None if first is None or rest is None else first + rest

    monkeypatch.setattr(cache, "_entries", meddled)
    assert cache.listing("/d", 1, "", 0, 1) is None
    monkeypatch.undo()
    whole = cache.listing("/d", 1, "", 0, 1)
    assert whole is not None and {entry.stat.content_generation for entry in whole.entries} == {2}


def test_readers_in_other_threads_never_see_a_mixture() -> None:
    """DESIGN §6: a cached read takes no lock. A listing read while its entries are dropped and refilled is either one
    that was true at some instant, or a miss.

    The writer keeps all children at one generation at any instant a reader may call now.
    """
    cache = live_cache()
    names = tuple(f"n{index:02d}" for index in range(20))
    stop = threading.Event()
    mixtures: list[set[int]] = []
    hits = 0

    def read() -> None:
        nonlocal hits
        while not stop.is_set():
            page = cache.listing("/d", 1, "", 0, 1)
            if page is not None:
                hits += 1
                seen = {entry.stat.content_generation for entry in page.entries}
                if len(seen) > 1:
                    mixtures.append(seen)

    def write(generation: int) -> None:
        for name in names:
            cache.drop(CacheKey(f"/d/{name}", NODE))
        for name in names:
            cache.put_node(f"/d/{name}", stat(1, generation))

    write(0)
    cache.put_children("/d", 1, "", names, False)
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    generation = 0
    while (hits < 500 or generation < 500) and generation < 200_000:
        generation += 1
        write(generation)
    stop.set()
    for reader in readers:
        reader.join()
    assert not mixtures
    assert hits >= 500


TestDumbTwin.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
