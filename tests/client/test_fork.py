"""A forked child is told, never left hanging (DESIGN §6; `ForkedProcess`).

Each scenario is a program of its own, over real gRPC: what a fork does to gRPC's threads cannot be imitated.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from tests.client.fake_cell import FakeCell
from tests.client.fake_door import served

PRELUDE = """
import os, sys
import chubby

session = chubby.connect("/ls/local", addresses=[sys.argv[1]])
handle = session.open("/a", create=True)
handle.set_contents(b"parent")
handle.get_contents_and_stat()

def refused(action):
    try:
        action()
    except chubby.ForkedProcess as error:
        return str(error)
    os._exit(17)
"""


@pytest.fixture
def address() -> Iterator[str]:
    """A replica in a thread of this process."""
    ready, stop = threading.Event(), threading.Event()
    where: list[str] = []

    async def run() -> None:
        async with served(FakeCell()) as server:
            where.append(server.door.address)
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(30)
    yield where[0]
    stop.set()
    thread.join()


def run(program: str, address: str) -> str:
    """Run a scenario; its output. A child that hangs is a failure, not a wait."""
    text = PRELUDE + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text, address], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_use_in_a_child_is_refused_and_the_parent_goes_on(address: str) -> None:
    """Cached reads, calls, opening, closing: each with a clear text."""
    said = run(
        """
        actions = [
            handle.get_contents_and_stat, handle.get_stat, handle.acquire, handle.close, handle.poison,
            lambda: session.open("/b"), session.statistics, session.close, lambda: next(session.states()),
            lambda: handle.set_contents(b"child"),
        ]
        child = os.fork()
        if child == 0:
            texts = {refused(action) for action in actions}
            os.write(1, "\\n".join(sorted(texts)).encode())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert handle.get_contents_and_stat()[0] == b"parent"
        session.close()
        """,
        address,
    )
    assert "this is a fork of it: open a session of your own" in said


def test_a_child_that_ends_normally_does_not_hang_and_harms_nobody(address: str) -> None:
    """What runs at its exit leaves the parent's session and locks alone."""
    run(
        """
        handle.acquire()
        children = []
        for _ in range(5):
            child = os.fork()
            if child == 0:
                sys.exit(0)
            children.append(child)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        assert handle.get_sequencer().token > 0
        session.close()
        """,
        address,
    )


def test_a_child_may_leave_what_its_parent_entered(address: str) -> None:
    """It uses the session, is told in plain words, and ends by `sys.exit` through all the `with` blocks around it.

    Its exit code is its own; the parent goes on with its locks held and its nodes there.
    """
    said = run(
        """
        session.close()
        def child_of(level):
            child = os.fork()
            if child == 0:
                os.write(1, refused(level).encode() + b"\\n")
                sys.exit(23)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 23

        with chubby.connect("/ls/local", addresses=[sys.argv[1]]) as session:
            session.open("/services", create=True).close()
            registry = chubby.ServiceRegistry(session, "/services")
            with (
                session.open("/h", create=True) as handle,
                session.watch("/h") as watch,
                chubby.Lock(session, "/lock") as held,
                chubby.Election(session, "/leader", b"parent") as leadership,
                chubby.Barrier(session, "/barrier", "parent", 1),
                chubby.ConfigWatcher(session, "/h") as watcher,
                registry.register("web", "parent", "x:1") as registration,
            ):
                for use in (
                    lambda: handle.set_contents(b"child"), lambda: next(watch), held.handle.get_lock_info,
                    lambda: leadership.announce(b"child"), watcher.read, lambda: registration.update({}),
                    lambda: session.transaction(), session.locks,
                ):
                    child_of(use)
                held.ensure()
                leadership.announce(b"still the parent")
                assert session.check_sequencer(held.sequencer).token == held.token
                assert [each.name for each in registry.instances("web")] == ["parent"]
                assert next(watcher) == b""
                handle.set_contents(b"after")
                assert next(watch).path == "/h"
                assert next(watcher) == b"after"
        """,
        address,
    )
    texts = said.splitlines()
    assert len(texts) == 8
    assert set(texts) == {texts[0]} and "this is a fork of it: open a session of your own" in texts[0]


def test_connecting_in_a_child_of_a_process_that_uses_grpc_is_refused(address: str) -> None:
    """It would hang: gRPC's threads do not survive a fork."""
    said = run(
        """
        child = os.fork()
        if child == 0:
            text = refused(lambda: chubby.connect("/ls/local", addresses=[sys.argv[1]], timeout=5))
            os.write(1, text.encode())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        session.close()
        """,
        address,
    )
    assert "spawn or exec" in said


def test_forking_from_another_thread(address: str) -> None:
    """A lock that some thread held at that moment is never given back in the child."""
    run(
        """
        import threading

        def fork():
            child = os.fork()
            if child == 0:
                refused(handle.acquire)
                refused(session.close)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0

        for _ in range(20):
            thread = threading.Thread(target=fork)
            thread.start()
            handle.set_contents(b"meanwhile")
            thread.join()
        session.close()
        """,
        address,
    )


def test_multiprocessing_by_spawn_works(address: str) -> None:
    """What the error recommends."""
    run(
        """
        import subprocess
        program = "import chubby, sys; chubby.connect('/ls/local', addresses=[sys.argv[1]]).open('/a').get_stat()"
        subprocess.run([sys.executable, "-c", program, sys.argv[1]], check=True, timeout=50)
        session.close()
        """,
        address,
    )


def test_a_process_that_forgets_to_close_releases_its_locks_at_once(address: str) -> None:
    """At exit, not when the lease runs out: the next one gets the lock in no time."""
    run("handle.acquire()", address)
    run("handle.acquire(timeout=5)\nsession.close()", address)
