"""The consistent cache, rule by rule (DESIGN §5 Three leases, Invalidate first)."""

from __future__ import annotations

import pytest

from chubby.client.cache import Cache
from chubby.types.nodes import ANYONE, AclNames, NodeKind, Stat
from chubby.types.stream import CacheKey, CacheKind
from chubby.types.time import SECOND

NODE, CHILDREN = CacheKind.NODE, CacheKind.CHILDREN


LIVE = 100 * SECOND


def stat(instance: int = 1, generation: int = 1, length: int = 0) -> Stat:
    """Metadata that differs where the test cares."""
    acl = AclNames(ANYONE, ANYONE, ANYONE)
    return Stat(NodeKind.FILE, False, instance, generation, 1, 0, length, 1, 1, 0, 0, acl)


def live_cache(limit: int = 1 << 20) -> Cache:
    """A cache under leases that last until `LIVE`."""
    cache = Cache(limit=limit)
    cache.renew(0, LIVE, LIVE)
    return cache


class TestLeases:
    """A hit needs both leases, live at `now`."""

    @pytest.mark.parametrize(("cache_lease", "session_ends"), [(5, 9), (9, 5), (5, 5)])
    def test_the_earlier_of_the_two_ends_it(self, cache_lease: int, session_ends: int) -> None:
        """DESIGN §5 "A hit needs both"."""
        cache = Cache()
        cache.renew(0, cache_lease, session_ends)
        cache.put_node("/a", stat(), b"1")
        assert cache.node("/a", 4) is not None
        assert cache.node("/a", 5) is None

    def test_a_lapse_empties_nothing(self) -> None:
        """What the master would have invalidated meanwhile comes before the renewal; the rest is good again."""
        cache = Cache()
        cache.renew(0, 10, 100)
        cache.put_node("/a", stat(), b"1")
        assert cache.node("/a", 10) is None
        cache.renew(20, 10, 100)
        entry = cache.node("/a", 20)
        assert entry is not None and entry.contents == b"1"

    def test_a_late_renewal_moves_nothing_back(self) -> None:
        """The paper §2.8."""
        cache = Cache()
        cache.renew(50, 10, 100)
        cache.renew(0, 20, 100)
        assert cache.live_until == 60

    def test_disabled_it_answers_and_holds_nothing(self) -> None:
        """DESIGN §6: in jeopardy the cache is emptied and off."""
        cache = live_cache()
        cache.put_node("/a", stat(), b"1")
        cache.disable()
        assert len(cache) == 0
        assert cache.live_until == 0
        cache.renew(0, LIVE, LIVE)
        assert cache.live_until == 0
        cache.enable()
        cache.renew(1, LIVE, LIVE)
        assert cache.node("/a", 5) is None
        assert cache.live_until == LIVE

    def test_in_use_means_read_since_the_last_renewal(self) -> None:
        """DESIGN §5: the cache lease is renewed only while the cache is in use."""
        cache = live_cache()
        cache.put_node("/a", stat(), b"1")
        assert not cache.used
        assert cache.node("/b", 1) is None
        assert not cache.used
        cache.node("/a", 1)
        assert cache.used
        cache.renew(2, LIVE, LIVE)
        assert not cache.used
        cache.node("/a", 1)
        cache.renew(2, 0, LIVE)
        assert cache.used, "a renewal of the session lease alone is none of the cache's"


class TestNodes:
    """Content, metadata, absence."""

    def test_metadata_alone_keeps_content_of_the_same_version(self) -> None:
        """A listing brings metadata of a child whose content is known."""
        cache = live_cache()
        cache.put_node("/a", stat(1, 3), b"1")
        cache.put_node("/a", stat(1, 3))
        entry = cache.node("/a", 1)
        assert entry is not None and entry.contents == b"1"

    @pytest.mark.parametrize("newer", [stat(1, 4), stat(2, 3)])
    def test_metadata_of_another_version_forgets_the_content(self, newer: Stat) -> None:
        """Another generation or instance: the content is another one."""
        cache = live_cache()
        cache.put_node("/a", stat(1, 3), b"1")
        cache.put_node("/a", newer)
        entry = cache.node("/a", 1)
        assert entry is not None and entry.contents is None and entry.stat == newer

    def test_absence_is_an_entry(self) -> None:
        """DESIGN §5: absence is cached."""
        cache = live_cache()
        cache.put_absent("/a")
        entry = cache.node("/a", 1)
        assert entry is not None and entry.stat is None
        cache.drop(CacheKey("/a", NODE))
        assert cache.node("/a", 1) is None

    def test_dropping_one_kind_leaves_the_other(self) -> None:
        """NODE covers content, metadata and absence; CHILDREN the names."""
        cache = live_cache()
        cache.put_node("/d", stat(), b"")
        cache.put_children("/d", 1, "", (), False)
        cache.drop(CacheKey("/d", NODE))
        assert cache.node("/d", 1) is None
        assert cache.listing("/d", 1, "", 0, 1) is not None
        cache.drop(CacheKey("/d", CHILDREN))
        assert cache.listing("/d", 1, "", 0, 1) is None


class TestListings:
    """Names, and each child's metadata."""

    def filled(self) -> Cache:
        """A directory of three."""
        cache = live_cache()
        for name in "abc":
            cache.put_node(f"/d/{name}", stat())
        cache.put_children("/d", 7, "", ("a", "b", "c"), False)
        return cache

    def test_a_whole_listing_answers_any_page(self) -> None:
        """Pages are cut as the master would cut them."""
        cache = self.filled()
        whole = cache.listing("/d", 7, "", 0, 1)
        assert whole is not None and [entry.name for entry in whole.entries] == ["a", "b", "c"] and not whole.more
        page = cache.listing("/d", 7, "a", 1, 1)
        assert page is not None and [entry.name for entry in page.entries] == ["b"] and page.more
        last = cache.listing("/d", 7, "b", 5, 1)
        assert last is not None and [entry.name for entry in last.entries] == ["c"] and not last.more

    def test_another_instance_has_other_children(self) -> None:
        """A handle is bound to an instance."""
        assert self.filled().listing("/d", 8, "", 0, 1) is None

    def test_one_child_unknown_is_a_miss(self) -> None:
        """DESIGN §5: the listing shows metadata, and it must be current."""
        cache = self.filled()
        cache.drop(CacheKey("/d/b", NODE))
        assert cache.listing("/d", 7, "", 0, 1) is None
        assert cache.listing("/d", 7, "b", 0, 1) is not None
        cache.put_absent("/d/b")
        assert cache.listing("/d", 7, "", 0, 1) is None

    def test_only_a_whole_listing_counts(self) -> None:
        """Pages add up, in order, without a change of the names in between."""
        cache = live_cache()
        for name in "abc":
            cache.put_node(f"/d/{name}", stat())
        cache.put_children("/d", 7, "", ("a",), True)
        assert cache.listing("/d", 7, "", 0, 1) is None
        cache.put_children("/d", 7, "b", ("c",), False)
        assert cache.listing("/d", 7, "", 0, 1) is None, "a page that does not continue the last one counts for nothing"
        cache.put_children("/d", 7, "a", ("b",), True)
        cache.put_children("/d", 7, "b", ("c",), False)
        whole = cache.listing("/d", 7, "", 0, 1)
        assert whole is not None and len(whole.entries) == 3

    def test_a_change_between_pages_starts_over(self) -> None:
        """What was dropped cannot be continued."""
        cache = live_cache()
        cache.put_children("/d", 7, "", ("a",), True)
        cache.drop(CacheKey("/d", CHILDREN))
        cache.put_children("/d", 7, "a", ("b",), False)
        assert cache.listing("/d", 7, "", 0, 1) is None

    def test_the_root_has_children_too(self) -> None:
        """Its path ends with the separator."""
        cache = live_cache()
        cache.put_node("/a", stat())
        cache.put_children("/", 1, "", ("a",), False)
        assert cache.listing("/", 1, "", 0, 1) is not None


class TestOwnChanges:
    """The writer drops its copies before it sends; older answers do not bring them back."""

    def test_older_answers_do_not_refill_newer_ones_do(self) -> None:
        """DESIGN §5: "its reply refills them only if marked cacheable"."""
        cache = live_cache()
        cache.put_node("/a", stat(), b"1")
        cache.drop_own(5, (CacheKey("/a", NODE),))
        assert cache.node("/a", 1) is None
        assert not cache.permits("/a", 4)
        assert cache.permits("/a", 5)
        assert cache.permits("/a", 6)
        assert cache.permits("/b", 1)

    def test_the_newest_own_change_counts(self) -> None:
        """The answer to the first of two changes is no longer news."""
        cache = live_cache()
        cache.drop_own(5, (CacheKey("/a", NODE),))
        cache.drop_own(8, (CacheKey("/a", NODE),))
        assert not cache.permits("/a", 5)
        cache.settled(4)
        assert not cache.permits("/a", 7)
        cache.settled(7)
        assert cache.permits("/a", 1), "nothing older than 8 is in flight any more"

    def test_memory_goes_when_nothing_older_is_in_flight(self) -> None:
        """A long-lived session does not remember every path it ever wrote."""
        cache = live_cache()
        for number in range(1, 200):
            cache.drop_own(number, (CacheKey(f"/{number}", NODE),))
            cache.settled(number)
        assert len(cache._own_changes) <= 1

    def test_a_prefix_covers_names_not_known_yet(self) -> None:
        """The name of a sequential node is known when it is made; its absence may be on the way to us."""
        cache = live_cache()
        cache.put_absent("/q/item-0000000001")
        cache.put_absent("/q/other")
        cache.drop_own_prefix(5, "/q/item-")
        assert cache.node("/q/item-0000000001", 1) is None
        assert cache.node("/q/other", 1) is not None
        assert not cache.permits("/q/item-0000000002", 4)
        assert cache.permits("/q/item-0000000002", 5)


class TestBound:
    """The cache is bounded; forgetting is always allowed."""

    def test_the_older_half_goes(self) -> None:
        """The newest entry is always there."""
        cache = live_cache(limit=100_000)
        for index in range(1000):
            cache.put_node(f"/{index}", stat(), b"x" * 1000)
            assert cache.node(f"/{index}", 1) is not None or index == 0
            assert cache._size <= 100_000
        assert 0 < len(cache) < 100

    def test_one_entry_beyond_the_bound_is_not_kept(self) -> None:
        """A file larger than the cache is read, and not cached."""
        cache = live_cache(limit=1000)
        cache.put_node("/a", stat(), b"x" * 5000)
        assert cache.node("/a", 1) is None
        assert cache._size == 0

    def test_what_is_counted_adds_up(self) -> None:
        """Filling, overwriting and dropping leave no rest."""
        cache = live_cache()
        cache.put_node("/a", stat(), b"x" * 10)
        cache.put_node("/a", stat(2), b"y" * 500)
        cache.put_children("/d", 1, "", ("a", "b"), True)
        cache.put_children("/d", 1, "b", ("c",), False)
        cache.drop(CacheKey("/a", NODE))
        cache.drop(CacheKey("/a", NODE))
        cache.drop(CacheKey("/d", CHILDREN))
        assert cache._size == 0 and len(cache) == 0
