"""What is done for watchers takes nothing from those who use what bears the name by then."""

from __future__ import annotations

import errno

import pytest

from chubby.types.events import EventKind
from tests.client.test_sync import until
from tests.fuse_mount.touching import DIRECTORY, FILE, WORKER, Bench, bench

__all__ = ["bench"]


def test_a_directory_that_somebody_has_seen_is_not_made_for_the_kernel(bench: Bench) -> None:
    """Whoever works in it would be nowhere."""
    bench.truth |= {"/d": DIRECTORY, "/e": DIRECTORY}
    bench.known.add("/d")
    bench.tell("/d", EventKind.CREATED)
    bench.tell("/e", EventKind.CREATED)
    assert bench.done(1) == [("mkdir", "e")]


def test_what_was_made_again_and_is_open_is_not_removed(bench: Bench) -> None:
    """It waits until it is closed, and what was made is told after that; others do not wait for it."""
    bench.truth |= {"/f": FILE, "/g": FILE}
    bench.used.add("/f")
    bench.tell("/f", EventKind.DELETED)
    bench.tell("/f", EventKind.CREATED)
    bench.tell("/g", EventKind.CONTENTS_MODIFIED)
    assert bench.done(1) == [("modify", "g")]
    bench.used.clear()
    assert bench.done(3)[1:] == [("unlink", "f"), ("create", "f")]


def test_what_is_opened_while_it_is_removed(bench: Bench) -> None:
    """The answer to our own hand says so, and it is tried again."""
    noted: list[object] = []

    def unlink() -> None:
        bench.asker = WORKER
        if not noted:
            bench.used.add("/f")
            noted.append(bench.toucher.getattr("/f"))
            with pytest.raises(OSError, match="open") as caught:
                bench.toucher.done("/f")
            noted.append(caught.value.errno)
            bench.used.clear()
            bench.hand.failures = [caught.value]
        else:
            noted.append(bench.toucher.done("/f"))
        bench.asker = 0

    bench.hand.inside = {"unlink": unlink}
    bench.truth["/f"] = FILE
    bench.tell("/f", EventKind.DELETED)
    until(lambda: len(noted) == 3)
    assert noted == [FILE, errno.EBUSY, True], "and the kernel is not told of another file in its place"


def test_what_stays_open_is_given_up(bench: Bench) -> None:
    """After a while whoever watches is told of the making alone."""
    bench.truth["/f"] = FILE
    bench.used.add("/f")
    bench.tell("/f", EventKind.DELETED)
    assert bench.done(1) == [("create", "f")]
    assert not bench.toucher._due
