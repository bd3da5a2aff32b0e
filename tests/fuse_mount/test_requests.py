"""What every request has in common, without FUSE: errors, interest, patience, the end, callers."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chubby.errors import LockConflict, NoNode
from fuse_mount import callers, requests
from fuse_mount.adapter_files import Waker
from fuse_mount.library import Library
from fuse_mount.life import Life
from fuse_mount.requests import LAST_CALL, PATIENCE, Requests
from tests.fuse_mount.served import DEADLINE


class Still(Library):
    """A libfuse that does what it is told."""

    def __init__(self) -> None:
        self.asking_ended = False
        self.session_ended = False
        self.woken: list[int] = []
        self.freed: list[int] = []
        self.interrupted = lambda: int(self.asking_ended)
        self.exited = lambda _session: int(self.session_ended)
        self.wake_poll = self.wake
        self.free_poll = self.freed.append

    def wake(self, handle: int) -> int:
        """fuse_notify_poll."""
        self.woken.append(handle)
        return 0


@pytest.fixture
def library() -> Still:
    """One of its own for each test."""
    return Still()


@pytest.fixture
def life(library: Still) -> Life:
    """Of a mount that serves."""
    begun = Life(library)
    begun.begin(1)
    return begun


class Heeded:
    """What the present thread was told to heed."""

    def __init__(self) -> None:
        self.check: Callable[[], object] = lambda: None

    def heed(self, check: Callable[[], object]) -> None:
        """As `waiting.heed`."""
        self.check = check


@pytest.fixture
def heeded() -> Heeded:
    """Nothing yet."""
    return Heeded()


@pytest.fixture
def begun(library: Still, life: Life, heeded: Heeded) -> Requests:
    """Requests of a mount that serves."""
    return Requests(library, life, heeded.heed)


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.EXDEV, "other"), errno.EXDEV),
        (InterruptedError(), errno.EINTR),
        (NoNode("/ls/x"), errno.ENOENT),
        (LockConflict("held"), errno.EAGAIN),
        (OSError("without a number"), errno.EIO),
    ],
)
def test_errors_become_negative_numbers_without_a_word(
    begun: Requests, error: Exception, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    """OSError and ChubbyError are answers like any other."""

    def failing(*_: object) -> int:
        raise error

    assert begun.answering("open", failing)() == -number
    assert not caplog.records


def test_an_answer_passes(begun: Requests) -> None:
    """With its arguments."""
    assert begun.answering("write", lambda first, second: first + second)(3, 4) == 7


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), SystemExit(3), KeyboardInterrupt()])
def test_a_mistake_is_told_once_with_its_place(
    begun: Requests, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """And is EIO each time. Nothing may escape into C."""

    def failing(*_: object) -> int:
        raise error

    callback = begun.answering("open", failing)
    assert [callback() for _ in range(3)] == [-errno.EIO] * 3
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None and record.exc_info[1] is error
    assert begun.answering("read", failing)() == -errno.EIO
    assert len(caplog.records) == 2


# ------------------------------------------------------------------------------------------------------------ interest


def test_who_waits_is_left_alone_while_somebody_cares(begun: Requests, heeded: Heeded) -> None:
    """The hook finds nothing."""
    begun.begin()
    heeded.check()
    begun.begin_patiently()
    heeded.check()


def test_an_interruption_ends_the_wait(begun: Requests, heeded: Heeded, library: Still) -> None:
    """As EINTR."""
    begun.begin()
    library.asking_ended = True
    with pytest.raises(InterruptedError) as caught:
        heeded.check()
    assert caught.value.errno == errno.EINTR


@pytest.mark.parametrize("by", ["us", "the kernel"])
def test_the_end_of_the_mount_ends_the_wait(
    begun: Requests, heeded: Heeded, library: Still, life: Life, by: str
) -> None:
    """Whoever ends it; and it is told as what it is, interrupted or not."""
    begun.begin()
    if by == "us":
        life.close()
    else:
        library.session_ended = True
    library.asking_ended = True
    with pytest.raises(OSError, match="the mount ends") as caught:
        heeded.check()
    assert caught.value.errno == errno.ENOTCONN


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Like `time.monotonic`."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What `requests` takes for the time."""
    made = Clock()
    monkeypatch.setattr(requests, "time", made)
    return made


def test_a_close_goes_on_for_a_while_though_its_process_was_killed(
    begun: Requests, heeded: Heeded, library: Still, clock: Clock
) -> None:
    """What it wrote should still go out; but nobody waits for ever for somebody who is gone."""
    begun.begin_patiently()
    library.asking_ended = True
    clock.now += PATIENCE
    heeded.check()
    clock.now += 0.01
    with pytest.raises(InterruptedError):
        heeded.check()


def test_a_close_waits_as_long_as_its_process_does(begun: Requests, heeded: Heeded, clock: Clock) -> None:
    """Patience bounds only what nobody asks for any more."""
    begun.begin_patiently()
    clock.now += 1000 * PATIENCE
    heeded.check()


def test_a_close_has_little_time_left_when_the_mount_ends(
    begun: Requests, heeded: Heeded, life: Life, clock: Clock
) -> None:
    """Less than the second within which all is to be over."""
    assert LAST_CALL < 1
    begun.begin_patiently()
    life.close()
    clock.now += LAST_CALL
    heeded.check()
    clock.now += 0.01
    with pytest.raises(OSError, match="the mount ends"):
        heeded.check()


def test_each_close_has_a_patience_of_its_own(begun: Requests, heeded: Heeded, library: Still, clock: Clock) -> None:
    """It counts from its own beginning."""
    begun.begin_patiently()
    clock.now += 2 * PATIENCE
    begun.begin_patiently()
    library.asking_ended = True
    heeded.check()


# ------------------------------------------------------------------------------------------------------------- the end


def test_nobody_enters_after_the_end_and_all_are_waited_for(life: Life) -> None:
    """What is within libfuse is not freed under its feet."""
    assert life.enter()
    life.close()
    assert not life.enter()
    assert not life.wait_left(0.0)
    gone = threading.Event()

    def end() -> None:
        if life.wait_left(DEADLINE):
            gone.set()

    ending = threading.Thread(target=end)
    ending.start()
    assert not gone.is_set()
    life.leave()
    ending.join()
    assert gone.is_set()


def test_a_signal_may_strike_within(life: Life) -> None:
    """Its handler closes the door that this very thread is opening."""
    with life._condition:
        assert life.close_within()
    assert life.over()


def test_only_the_first_who_ends_it_is_within(life: Life) -> None:
    """It still needs libfuse, to tell it; whoever comes later has nothing to tell."""
    assert life.enter()
    assert life.close_within()
    assert not life.close_within()
    assert not life.wait_left(0.0, others=1)
    life.leave()
    assert life.wait_left(0.0, others=1)
    assert not life.wait_left(0.0)
    life.leave()
    assert life.wait_left(0.0)


# ---------------------------------------------------------------------------------------------------------------- poll


def test_a_poll_is_woken_once(library: Still, life: Life) -> None:
    """And libfuse's handle freed once, though the waker may be called again, and ends."""
    waker = Waker(library, life, 7)
    waker()
    waker()
    del waker
    assert (library.woken, library.freed) == ([7], [7])


def test_a_poll_that_nobody_wakes_is_freed(library: Still, life: Life) -> None:
    """With the last who knew of it."""
    waker = Waker(library, life, 7)
    del waker
    assert (library.woken, library.freed) == ([], [7])


def test_a_poll_is_not_woken_after_the_end(library: Still, life: Life) -> None:
    """There is no libfuse any more that could be told; memory is memory."""
    waker = Waker(library, life, 7)
    life.close()
    waker()
    assert (library.woken, library.freed) == ([], [7])
    assert life.wait_left(0.0)


# ------------------------------------------------------------------------------------------------------------- callers


def test_a_process_is_known_by_its_first_thread() -> None:
    """And that needs no file."""
    assert callers.process_of(os.getpid(), Path("/nowhere")) == os.getpid()


def test_a_process_is_known_by_any_thread() -> None:
    """As /proc says."""
    found: list[tuple[int, int]] = []

    def ask() -> None:
        thread = threading.get_native_id()
        found.append((thread, callers.process_of(thread)))

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    ((thread, process),) = found
    assert thread != process == os.getpid()


@pytest.mark.parametrize("thread", [0, -1, 2**30])
def test_who_is_out_of_sight_is_nobody(thread: int) -> None:
    """As from another container, or gone."""
    assert callers.process_of(thread) == 0


def test_a_c_library_without_tgkill_costs_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """musl has none."""
    monkeypatch.setattr(callers, "_tgkill", None)
    assert callers.process_of(os.getpid()) == os.getpid()
