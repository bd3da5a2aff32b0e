"""Work in a thread is told of a signal, and is never struck by one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from chubby.cli.running import ENDING
from chubby.cli.stopping import Ended, Stop, until_signalled
from chubby.errors import NoQuorum


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("awaiting", [False, True])
def test_a_signal_ends_what_the_work_waits_for(number: signal.Signals, awaiting: bool) -> None:
    """A pause as well as something awaited; the clean-up runs to its end before `Ended` comes."""
    before = [signal.getsignal(each) for each in ENDING]
    cleaned = []

    def work(stop: Stop) -> None:
        try:
            os.kill(os.getpid(), number)
            if awaiting:
                with asyncio.Runner() as runner:
                    stop.run(runner, asyncio.Event().wait())
            stop.pause(60)
        finally:
            cleaned.append(threading.current_thread())

    with pytest.raises(Ended) as ended:
        until_signalled(work)
    assert ended.value.number is number and [thread.name for thread in cleaned] != ["MainThread"]
    assert [signal.getsignal(each) for each in ENDING] == before


def test_what_is_awaited_after_a_signal_ends_at_once() -> None:
    """And a check raises; what does not look goes on to its end."""
    stop = Stop()
    stop.check()
    stop.ask(signal.SIGTERM)
    with asyncio.Runner() as runner, pytest.raises(Ended):
        stop.run(runner, asyncio.Event().wait())
    with pytest.raises(Ended):
        stop.check()
    with pytest.raises(Ended):
        stop.pause(60)


def test_the_work_is_not_struck_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while a lock is held leaves the lock to its holder: here was a deadlock."""
    lock = threading.Lock()
    asked = threading.Event()

    monkeypatch.setattr(Stop, "ask", lambda *_: asked.set())

    def work(_stop: Stop) -> bool:
        with lock:
            os.kill(os.getpid(), signal.SIGINT)
            assert asked.wait(60)
        return lock.acquire(timeout=60)

    assert until_signalled(work)


def test_the_work_has_its_say() -> None:
    """What it returns, also when it was finished as the signal came, and what it raises."""
    assert until_signalled(lambda _stop: 7) == 7

    def fails(_stop: Stop) -> None:
        raise NoQuorum("nobody")

    with pytest.raises(NoQuorum, match="nobody"):
        until_signalled(fails)


def test_a_second_signal_ends_the_process_at_once() -> None:
    """Work that does not end is no prison."""
    script = """
import os, signal, threading
from chubby.cli.stopping import until_signalled
def work(stop):
    os.kill(os.getpid(), signal.SIGINT)
    try:
        stop.pause(60)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait()
until_signalled(work)
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert ended.returncode == -signal.SIGTERM


def test_ignored_signals_stay_ignored() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        until_signalled(lambda _stop: os.kill(os.getpid(), signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)
