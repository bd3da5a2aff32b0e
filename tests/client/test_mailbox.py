"""Where events wait: bounded, in order, never a silent gap (DESIGN §5 Events, §6)."""

from __future__ import annotations

import logging
import threading

import pytest

from chubby.client.mailbox import CallbackWorker, Mailbox, event_mailbox
from chubby.errors import SessionExpired
from chubby.types.events import Event, EventKind


def event(revision: int) -> Event:
    """Something that happened."""
    return Event(EventKind.CONTENTS_MODIFIED, "/a", revision, handle=1)


def test_first_in_first_out() -> None:
    """In the order in which they happened."""
    mailbox = event_mailbox("/a", handle=1)
    for revision in range(5):
        mailbox.put(event(revision))
    assert [mailbox.take() for _ in range(6)] == [*(event(revision) for revision in range(5)), None]


def test_an_overflow_becomes_resync() -> None:
    """pains: watch starvation, lost events, memory."""
    resync = Event(EventKind.RESYNC, "/a", handle=1)
    mailbox = Mailbox(resync, limit=3)
    for revision in range(3):
        mailbox.put(event(revision))
    mailbox.put(event(3))
    assert [mailbox.take() for _ in range(3)] == [resync, event(3), None]
    for revision in range(100):
        mailbox.put(event(revision))
        assert len(mailbox) <= 3
    assert mailbox.take() == resync


def test_without_a_stand_in_the_oldest_go() -> None:
    """States: the newest is what matters."""
    mailbox: Mailbox[int] = Mailbox(limit=2)
    for number in range(5):
        mailbox.put(number)
    assert [mailbox.take(), mailbox.take(), mailbox.take()] == [3, 4, None]


def test_closed_it_takes_nothing_and_gives_the_rest() -> None:
    """The first reason stays."""
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(1)
    error = SessionExpired("gone")
    mailbox.close(error)
    mailbox.close()
    mailbox.put(2)
    assert mailbox.error is error
    assert [mailbox.take(), mailbox.take()] == [1, None]


def test_whoever_subscribes_is_woken() -> None:
    """At once if something waits already; no more once undone."""
    mailbox: Mailbox[int] = Mailbox()
    woken: list[str] = []
    undo = mailbox.subscribe(lambda: woken.append("early"))
    mailbox.put(1)
    mailbox.subscribe(lambda: woken.append("late"))
    undo()
    undo()
    mailbox.put(2)
    mailbox.close()
    assert woken == ["early", "late", "late", "late"]


class Ending:
    """Waits until the callbacks before it have run."""

    def __init__(self, worker: CallbackWorker) -> None:
        self.done = threading.Event()
        mailbox: Mailbox[int] = Mailbox()
        worker.deliver(mailbox, lambda _: self.done.set())
        mailbox.put(1)

    def wait(self) -> None:
        """Generously."""
        assert self.done.wait(30)


def test_callbacks_run_in_order_in_one_other_thread() -> None:
    """DESIGN §6: callbacks never run on the loop. Order holds between mailboxes too."""
    worker = CallbackWorker()
    first, second = event_mailbox("/a", handle=1), event_mailbox("/b", handle=2)
    first.put(event(0))
    seen: list[tuple[str, int, str]] = []
    worker.deliver(first, lambda each: seen.append(("first", each.revision, threading.current_thread().name)))
    worker.deliver(second, lambda each: seen.append(("second", each.revision, threading.current_thread().name)))
    for revision in range(1, 10):
        (first if revision % 2 else second).put(event(revision))
    Ending(worker).wait()
    worker.close()
    assert [revision for _, revision, _ in seen] == list(range(10))
    assert {name for _, _, name in seen} == {"chubby-callbacks"}
    assert [which for which, _, _ in seen][:3] == ["first", "first", "second"]


def test_a_slow_callback_delays_only_callbacks_and_stays_bounded() -> None:
    """What waits for it is bounded by the mailbox, jobs included; the gap is told."""
    worker = CallbackWorker()
    resync = Event(EventKind.RESYNC, "/a", handle=1)
    mailbox = Mailbox(resync, limit=10)
    begun, going, seen = threading.Event(), threading.Event(), list[Event]()

    def slow(each: Event) -> None:
        begun.set()
        going.wait(30)
        seen.append(each)

    worker.deliver(mailbox, slow)
    mailbox.put(event(0))
    assert begun.wait(30)
    for revision in range(1, 1000):
        mailbox.put(event(revision))
    assert worker._queue.qsize() <= 11
    going.set()
    Ending(worker).wait()
    worker.close()
    assert seen[0] == event(0)
    assert resync in seen
    assert seen[-1] == event(999)


def test_a_failing_callback_is_logged_and_the_next_one_called(caplog: pytest.LogCaptureFixture) -> None:
    """The paper §4: applications crash on an event; others must not."""
    worker = CallbackWorker()
    mailbox: Mailbox[int] = Mailbox()
    seen: list[int] = []

    def fails(number: int) -> None:
        seen.append(number)
        if number == 1:
            raise ValueError("a bug in the application")

    worker.deliver(mailbox, fails)
    with caplog.at_level(logging.ERROR):
        mailbox.put(1)
        mailbox.put(2)
        Ending(worker).wait()
    worker.close()
    worker.close()
    assert seen == [1, 2]
    assert "a bug in the application" in caplog.text


def test_undone_it_is_called_no_more() -> None:
    """The function that `deliver` gives."""
    worker = CallbackWorker()
    mailbox: Mailbox[int] = Mailbox()
    seen: list[int] = []
    undo = worker.deliver(mailbox, seen.append)
    mailbox.put(1)
    Ending(worker).wait()
    undo()
    mailbox.put(2)
    Ending(worker).wait()
    worker.close()
    assert seen == [1]
