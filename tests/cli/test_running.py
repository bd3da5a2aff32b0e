"""Signals end a command in good order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from chubby.cli.running import ENDING, Signals, run


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_cancels_and_the_clean_up_runs(number: signal.Signals) -> None:
    """Exit code 128 + n, after the clean-up."""
    cleaned = []

    async def main(_signals: Signals) -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)
        return 0

    assert run(main) == 128 + number
    assert cleaned == [True]


def test_signals_can_be_routed_and_come_back() -> None:
    """Within a block they are somebody else's, also nested; afterwards they end the command again."""
    seen: list[tuple[str, signal.Signals]] = []

    async def main(signals: Signals) -> int:
        with signals.routed_to(lambda number: seen.append(("outer", number))):
            with signals.routed_to(lambda number: seen.append(("inner", number))):
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
        return 0

    assert run(main) == 128 + signal.SIGTERM
    assert seen == [("inner", signal.SIGTERM), ("outer", signal.SIGUSR1)]


def test_other_cancellations_are_not_signals() -> None:
    """They pass."""

    async def main(_signals: Signals) -> int:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(main)


def test_ignored_signals_stay_ignored() -> None:
    """Under nohup SIGHUP is nothing."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        async def main(_signals: Signals) -> int:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.01)
            return 7

        assert run(main) == 7
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_ends_a_clean_up_that_hangs() -> None:
    """Impatience is respected."""
    script = """
import asyncio, os, signal
from chubby.cli.running import run
async def main(signals):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
run(main)
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert ended.returncode == -signal.SIGTERM
