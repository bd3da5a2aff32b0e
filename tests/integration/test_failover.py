"""What clients see of the death of a master (DESIGN §5 Fail-over, Invalidate first; §6)."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

import chubby
from chubby import Event, EventKind
from chubby.client.state import SessionState
from chubby.types.events import Event as Happening
from tests.integration.cells import Cell, wait_for
from tests.integration.programs import Starter, answers

FILES = 8
WRITES = 400
"""Of each file."""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_session_survives_its_master(cell: Cell, number: signal.Signals) -> None:
    """kill -9 or SIGTERM of the master: writes go on, files are cached again, the lock and the ephemeral file are still
    there, no event is lost and the fail-over is told once (DESIGN §5 Events, Fail-over; paper §2.9).
    """
    name = f"/ls/test/survives-{number}"
    with cell.connect() as session, cell.connect() as writer:
        events = {Event.CONTENTS_MODIFIED, Event.MASTER_FAILED_OVER, Event.HANDLE_INVALID}
        watched = session.open(name, create=True, contents=b"0", events=events)
        locked = session.open(f"{name}-lock", create=True)
        token = locked.acquire(lock_delay=10.0).token
        session.open(f"{name}-here", create=True, ephemeral=True)
        changed = writer.open(name)
        states: list[SessionState] = []
        session.on_state(states.append)
        for value in range(1, 6):
            changed.set_contents(str(value).encode())
            assert watched.get_contents_and_stat()[0] == str(value).encode()
        master = cell.wait_master()
        cell.kill(master, number=number)
        for value in range(6, 11):
            changed.set_contents(str(value).encode())
            assert watched.get_contents_and_stat()[0] == str(value).encode()
        cell.wait_master(unlike=master)
        assert locked.get_sequencer().token == token, "the lock was held all the time"
        assert not writer.open(f"{name}-lock").get_lock_info().delayed
        assert writer.open(f"{name}-here").get_stat().ephemeral
        wait_for(lambda: session.statistics().cached > 0, "a cache in use again")
        happened = Counter(event.kind for event in drain(watched, until=changed.get_stat().content_generation))
        assert happened[EventKind.MASTER_FAILED_OVER] == 1
        assert happened[EventKind.HANDLE_INVALID] == 0
        assert not {SessionState.EXPIRED, SessionState.CLOSED} & set(states), states
        assert session.state in (SessionState.NORMAL, SessionState.SAFE)


def drain(handle: chubby.Handle, until: int) -> list[Happening]:
    """Events up to the one that tells of the content generation `until`; contents only ever grow newer."""
    events = handle.events()
    found: list[Happening] = []
    newest = 0
    while newest < until:
        event = events.get(timeout=60)
        assert event is not None, f"no word of generation {until}; told so far: {found}"
        found.append(event)
        if event.kind is EventKind.CONTENTS_MODIFIED:
            assert event.generation >= newest, "events come in the order in which things happened"
            newest = event.generation
    return found


def test_no_read_returns_what_was_overwritten_before_it_began(cell: Cell, start: Starter) -> None:
    """One process reads cached files in a tight loop while another writes them, and the master is killed in between:
    no read that began after a write was acknowledged returns the older value (DESIGN §5 Invalidate first; §6).
    """
    path = "/ls/test/raced"
    addresses = ",".join(cell.addresses)
    with cell.connect(caching=False) as session:
        for number in range(FILES):
            session.open(f"{path}-{number}", create=True, contents=b"0")
    reader = start("read", addresses, path, str(FILES))
    reader.answer()
    writer = start("write", addresses, path, str(FILES), str(WRITES))
    acknowledged: dict[tuple[int, int], int] = {}
    for count, answer in enumerate(answers(writer, "done")):
        if count == FILES * WRITES // 2:
            cell.kill(cell.wait_master())
        if "value" in answer:
            acknowledged[int(answer["file"]), int(answer["value"])] = int(answer["acknowledged"])
    assert len(acknowledged) == FILES * WRITES
    reader.signal(signal.SIGTERM)
    *seen, summary = answers(reader, "reads")
    assert int(summary["hits"]) > int(summary["reads"]) // 2 > 1000, f"the cache answered most reads: {summary}"
    assert len(seen) > FILES * 10, "the reader saw many values"
    stale = [
        answer
        for answer in seen
        if int(answer["began"]) > acknowledged.get((int(answer["file"]), int(answer["value"]) + 1), 1 << 63)
    ]
    assert not stale, "read after its successor was acknowledged"
