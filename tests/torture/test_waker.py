"""Clients that sleep over a lock are woken after a while, and nobody else is touched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cells import wait_for
from tests.torture.crew import Client
from tests.torture.waker import Waker

SLEEPER = """
import os, signal, sys
os.kill(os.getpid(), signal.SIGSTOP)
open(sys.argv[1] + ".woken", "w").close()
signal.pause()
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """One that falls asleep at once."""
    made = Client("sets", "sets", (sys.executable, "-c", SLEEPER, "{history}"), tmp_path)
    made.start()
    wait_for(made.asleep, "sleep")
    yield made
    made.kill()


def woken(client: Client) -> bool:
    """Whether it went on."""
    return client.tallies[-1].file.with_name(f"{client.tallies[-1].file.name}.woken").exists()


def test_a_sleeper_is_woken_and_counted(client: Client) -> None:
    """Once."""
    waker = Waker([client], seed=1)
    waker.start()
    wait_for(lambda: woken(client), "the waker")
    wait_for(lambda: not client.asleep(), "its going on")
    waker.stop()
    assert waker.slept == 1
    assert waker.overslept in (0, 1)


def test_who_is_struck_is_left_to_its_striker(client: Client) -> None:
    """A striker stops clients too, for as long as it likes."""
    waker = Waker([client], seed=1)
    with client.busy:
        waker._look(client)
    assert waker.slept == 0 and client.asleep()


def test_a_client_that_ended_by_itself_is_noticed(tmp_path: Path) -> None:
    """Unless somebody is doing something to it."""
    client = Client("files", "files", (sys.executable, "-c", "raise SystemExit(3)"), tmp_path)
    assert client.died() is None, "it was never started"
    client.start()
    wait_for(lambda: client.died() is not None, "its end")
    assert client.died() == 3
    with client.busy:
        assert client.died() is None


def test_each_life_of_a_client_has_a_file_and_a_name(tmp_path: Path) -> None:
    """Who was killed is another client to the checkers from then on."""
    code = "import sys; open(sys.argv[2], 'w').write(sys.argv[1])"
    client = Client("files", "files", (sys.executable, "-c", code, "{name}", "{history}"), tmp_path)
    for number in range(2):
        client.start()
        wait_for(lambda: client.died() == 0, "its end")
        assert (tmp_path / f"files-{number}.jsonl").read_text() == f"files-{number}"
    assert len(client.tallies) == 2


def test_stopping_wakes_first(client: Client) -> None:
    """A process that is stopped hears no SIGTERM."""
    client.stop()
    assert not client.asleep()
    assert isinstance(client.died(), int)
