"""What wakes the main thread: signals, bytes from other threads, the end of whoever reads a pipe, and time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from fuse_mount.wake import ENDING_SIGNALS, Wake

PATIENCE = 30.0


@pytest.fixture
def wake() -> Iterator[Wake]:
    """One that is closed in the end."""
    made = Wake()
    yield made
    made.close()


def test_bytes_come_in_their_order(wake: Wake) -> None:
    """From whatever thread."""

    def tell() -> None:
        for byte in (7, 200, 255, 0):
            wake.tell(byte)

    telling = threading.Thread(target=tell)
    telling.start()
    assert [wake.next(PATIENCE) for _ in range(4)] == [7, 200, 255, 0]
    telling.join()


def test_nothing_comes(wake: Wake) -> None:
    """Patience ends, be there any or not."""
    assert wake.next(0.0) is None
    assert wake.next(0.01) is None


def test_what_has_come_needs_no_patience(wake: Wake) -> None:
    """What was seen with what came before is not lost."""
    wake.tell(1)
    wake.tell(2)
    assert wake.next() == 1
    assert wake.next(0.0) == 2


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_signals_come_as_their_numbers(wake: Wake, number: signal.Signals) -> None:
    """Within the block; to the main thread, whichever one they struck."""
    with wake.listening():
        os.kill(os.getpid(), number)
        assert wake.next(PATIENCE) == number
        striking = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), number))
        striking.start()
        assert wake.next(PATIENCE) == number
        striking.join()


def test_handlers_return() -> None:
    """Whatever they were: one of ours, the default, or none at all."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        wake = Wake()
        with wake.listening():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            assert wake.next(PATIENCE) == signal.SIGTERM
        wake.close()
        os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGHUP, ignored)


def test_the_end_of_a_reader_comes_once(wake: Wake) -> None:
    """However often one looks."""
    reading, writing = os.pipe()
    try:
        wake.watch(writing, 202)
        assert wake.next(0.0) is None
        os.close(reading)
        assert wake.next(PATIENCE) == 202
        assert wake.next(0.01) is None
        wake.forget(writing)
    finally:
        os.close(writing)


def test_a_reader_who_is_forgotten_ends_unseen(wake: Wake) -> None:
    """Its descriptor may be closed then, and be another's."""
    reading, writing = os.pipe()
    wake.watch(writing, 202)
    wake.forget(writing)
    os.close(reading)
    os.close(writing)
    wake.tell(1)
    assert [wake.next(0.1), wake.next(0.01)] == [1, None]
