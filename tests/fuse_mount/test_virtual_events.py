"""The stream of events in `.chubby`: what its readers get, and what tail(1) sees of it."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chubby.types.events import Event, EventKind
from fuse_mount.attributes import View
from fuse_mount.names import Control
from fuse_mount.virtual import (
    BUFFER_BYTES,
    EventFeed,
    EventStream,
    attributes_of_control,
    line_of,
)
from tests.fuse_mount.stats import NOW_NS

VIEW = View(uid=1000, gid=100)
RESYNC = b"9\tRESYNC\n"


def event(number: int, path: str = "/svc/x") -> Event:
    """The content of a node was changed."""
    return Event(EventKind.CONTENTS_MODIFIED, path, revision=number, instance=3, generation=number)


# --------------------------------------------------------------------------------------------------------------- stream


def test_a_stream_begins_empty() -> None:
    """A read at its end is the end of file: `cat` ends, `tail -f` comes again."""
    stream = EventStream()
    assert stream.read(4096) == b""
    assert not stream.readable
    assert not stream.poll(None)


def test_lines_come_in_order_and_once() -> None:
    """What was read is gone: there are no offsets."""
    stream = EventStream()
    stream.put(b"1\n", RESYNC)
    stream.put(b"2\n", RESYNC)
    assert stream.readable
    assert stream.read(4096) == b"1\n2\n"
    assert stream.read(4096) == b""
    assert not stream.readable


def test_a_read_gives_whole_lines() -> None:
    """As long as one fits: who reads with a large buffer needs no buffer of their own."""
    stream = EventStream()
    for line in (b"first\n", b"second\n", b"third\n"):
        stream.put(line, RESYNC)
    assert stream.read(15) == b"first\nsecond\n"
    assert stream.read(15) == b"third\n"


def test_a_line_that_does_not_fit_comes_in_parts() -> None:
    """The shell's `read` takes one byte at a time from what cannot be sought."""
    stream = EventStream()
    stream.put(b"abcdef\n", RESYNC)
    stream.put(b"g\n", RESYNC)
    assert [stream.read(3) for _ in range(6)] == [b"abc", b"def", b"\n", b"g\n", b"", b""]


def test_reading_nothing_takes_nothing() -> None:
    """read(fd, buf, 0)."""
    stream = EventStream()
    stream.put(b"abc\n", RESYNC)
    assert stream.read(0) == b""
    assert stream.read(99) == b"abc\n"


def test_overflow_leaves_one_resync() -> None:
    """All that waits makes way, so that a line after RESYNC is no older than one before it."""
    stream = EventStream(limit=20)
    for number in range(100):
        stream.put(b"line %02d\n" % number, b"%d\tRESYNC\n" % number)
    lines = stream.read(4096).splitlines()
    assert lines[0].endswith(b"RESYNC")
    assert [line for line in lines[1:] if b"RESYNC" in line] == []
    assert lines[-1] in (b"line 99", b"99\tRESYNC")


def test_overflow_tells_up_to_where() -> None:
    """The revision of RESYNC is that of the last change not told; the next line goes on from there."""
    stream = EventStream(limit=20)
    for number in range(1, 5):
        stream.put(b"%d\tx\tyyyy\n" % number, b"%d\tRESYNC\n" % number)
    assert stream.read(4096) == b"3\tRESYNC\n4\tx\tyyyy\n"


def test_overflow_finishes_a_line_that_was_begun() -> None:
    """Half a line followed by RESYNC would be read as one."""
    stream = EventStream(limit=20)
    stream.put(b"0123456789\n", RESYNC)
    assert stream.read(4) == b"0123"
    for _ in range(50):
        stream.put(b"0123456789\n", RESYNC)
    assert stream.read(4096) == b"456789\n"
    assert stream.read(4096).startswith(RESYNC)


def test_a_line_longer_than_the_buffer() -> None:
    """Is not told, and said so."""
    stream = EventStream(limit=4)
    stream.put(b"far too long\n", RESYNC)
    assert stream.read(4096) == RESYNC


def test_a_waiter_is_woken_once() -> None:
    """By the next line; and again only if it asks again."""
    stream, woken = EventStream(), [0]

    def wake() -> None:
        woken[0] += 1

    assert not stream.poll(wake)
    assert woken == [0]
    stream.put(b"1\n", RESYNC)
    stream.put(b"2\n", RESYNC)
    assert woken == [1]
    assert stream.poll(wake)
    stream.put(b"3\n", RESYNC)
    assert woken == [2]


def test_a_waiter_takes_the_place_of_an_earlier_one() -> None:
    """The kernel keeps one handle for each open file; asking without one leaves it."""
    stream, woken = EventStream(), []
    stream.poll(lambda: woken.append("first"))
    stream.poll(lambda: woken.append("second"))
    stream.poll(None)
    stream.put(b"1\n", RESYNC)
    assert woken == ["second"]


def test_a_waiter_may_read_at_once() -> None:
    """It is called when the lock is free, in the thread that put the line."""
    stream, got = EventStream(), []
    stream.poll(lambda: got.append(stream.read(4096)))
    stream.put(b"1\n", RESYNC)
    assert got == [b"1\n"]


def test_a_closed_stream_keeps_nothing() -> None:
    """And wakes nobody."""
    stream, woken = EventStream(), []
    stream.put(b"1\n", RESYNC)
    stream.poll(lambda: woken.append(1))
    stream.close()
    stream.put(b"2\n", RESYNC)
    stream.poll(lambda: woken.append(2))
    stream.put(b"3\n", RESYNC)
    stream.close()
    assert not woken
    assert stream.read(4096) == b""


class StreamMachine(RuleBasedStateMachine):
    """A stream against a plain list of lines: put, read and overflow in any order."""

    LIMIT = 60

    def __init__(self) -> None:
        super().__init__()
        self.stream = EventStream(self.LIMIT)
        self.told: list[bytes] = []
        self.read_so_far = b""
        self.put_bytes = 0

    @rule(length=st.integers(0, 30))
    def put(self, length: int) -> None:
        """A line of its own, numbered."""
        line = b"%d %s\n" % (len(self.told), b"x" * length)
        resync = b"%d RESYNC\n" % len(self.told)
        self.told.append(line)
        self.put_bytes += max(len(line), len(resync))
        self.stream.put(line, resync)

    @rule(size=st.integers(0, 50))
    def read(self, size: int) -> None:
        """No more than asked for; something whenever it is readable."""
        readable = self.stream.readable
        got = self.stream.read(size)
        assert len(got) <= size
        assert bool(got) == (readable and size > 0)
        self.read_so_far += got

    @invariant()
    def every_line_is_whole_and_in_order(self) -> None:
        """What was read is lines that were put, numbers growing, with RESYNC wherever one is missing."""
        expected = 0
        for line in self.read_so_far.split(b"\n")[:-1]:
            number = int(line.split()[0])
            if line.endswith(b" RESYNC"):
                assert number >= expected
            else:
                assert number == expected
                assert line + b"\n" == self.told[number]
            expected = number + 1

    @invariant()
    def never_more_is_read_than_the_size_says(self) -> None:
        """What tail(1) relies on: see `EventFeed.size`."""
        assert len(self.read_so_far) <= self.put_bytes


TestStream = StreamMachine.TestCase


# ----------------------------------------------------------------------------------------------------------------- feed


def test_every_stream_is_told() -> None:
    """From its opening on."""
    feed = EventFeed("local", NOW_NS)
    early = feed.open()
    feed.put(event(7), NOW_NS)
    late = feed.open()
    feed.put(event(8), NOW_NS)
    assert early.read(4096) == b"7\tmodified\t/ls/local/svc/x\n8\tmodified\t/ls/local/svc/x\n"
    assert late.read(4096) == b"8\tmodified\t/ls/local/svc/x\n"


def test_what_is_no_news_is_not_told() -> None:
    """Events of handles and locks are for whoever has the handle."""
    feed = EventFeed("local", NOW_NS)
    stream = feed.open()
    feed.put(Event(EventKind.HANDLE_INVALID, "/x", handle=3), NOW_NS + 5)
    assert not stream.readable
    assert (feed.size, feed.told) == (0, NOW_NS)


def test_a_resync_of_the_cell_is_passed_on() -> None:
    """The history was gone, or the session another one."""
    feed = EventFeed("local", NOW_NS)
    stream = feed.open()
    feed.put(Event(EventKind.RESYNC, revision=12), NOW_NS)
    feed.put(Event(EventKind.RESYNC), NOW_NS)
    assert stream.read(4096) == b"12\tRESYNC\n-\tRESYNC\n"


def test_each_stream_overflows_for_itself() -> None:
    """One who does not read costs the others nothing."""
    feed = EventFeed("local", NOW_NS, limit=200)
    idle, busy = feed.open(), feed.open()
    told = b""
    for number in range(1, 101):
        feed.put(event(number), NOW_NS)
        told += busy.read(4096)
    assert told == b"".join(line_of(event(number), "local") for number in range(1, 101))
    lines = idle.read(4096).splitlines(keepends=True)
    assert lines[0].endswith(b"\tRESYNC\n")
    first = int(lines[0].split(b"\t")[0]) + 1
    assert lines[1:] == [line_of(event(number), "local") for number in range(first, 101)]


def test_a_released_stream_is_told_nothing() -> None:
    """And can be released twice."""
    feed = EventFeed("local", NOW_NS)
    stream, other = feed.open(), feed.open()
    feed.close(stream)
    feed.close(stream)
    feed.put(event(7), NOW_NS)
    assert not stream.readable
    assert other.readable


def test_tail_sees_that_something_came() -> None:
    """It asks for size and time: both grow with each line, even within one tick of the clock, or if that goes back."""
    feed = EventFeed("local", NOW_NS)
    seen = [(feed.size, feed.told)]
    for now in (NOW_NS, NOW_NS, NOW_NS + 10, NOW_NS - 10):
        feed.put(event(7), now)
        seen.append((feed.size, feed.told))
    assert [size for size, _ in seen] == sorted({size for size, _ in seen})
    assert [told for _, told in seen] == sorted({told for _, told in seen})


@given(st.lists(st.integers(0, 10**6), max_size=30), st.integers(1, 300), st.integers(1, 60))
def test_tail_reads_all_there_is(revisions: list[int], limit: int, size: int) -> None:
    """It reads no further than the size, on a network file system: no reader has ever read more than that."""
    feed = EventFeed("local", NOW_NS, limit)
    streams = [feed.open() for _ in range(2)]
    read = [0, 0]
    for number, revision in enumerate(revisions):
        feed.put(event(revision), NOW_NS)
        if number % 3 == 0:
            read[0] += len(streams[0].read(size))
    for index, stream in enumerate(streams):
        while part := stream.read(size):
            read[index] += len(part)
    assert max(read) <= feed.size


def test_the_file_shows_the_feed() -> None:
    """Size and time of `events`."""
    feed = EventFeed("local", NOW_NS)
    feed.put(event(7), NOW_NS + 3)
    shown = attributes_of_control(Control.EVENTS, VIEW, feed.told, feed.size)
    assert shown["st_size"] == len(line_of(event(7), "local"))
    assert shown["st_mtime"] == NOW_NS + 3


def test_a_reader_in_another_thread_gets_every_line_once() -> None:
    """Put in by one thread, read and opened and closed by others."""
    count, feed = 3000, EventFeed("local", NOW_NS)
    stream = feed.open()
    got: list[bytes] = []
    came = threading.Event()
    done = threading.Event()

    def read() -> None:
        while True:
            came.clear()
            over = done.is_set()
            if stream.poll(came.set):
                got.append(stream.read(100))
            elif over:
                return
            else:
                came.wait(5.0)

    def churn() -> None:
        while not done.is_set():
            feed.close(feed.open())

    threads = [threading.Thread(target=read), threading.Thread(target=churn)]
    for thread in threads:
        thread.start()
    for number in range(count):
        feed.put(event(number), NOW_NS)
    done.set()
    came.set()
    for thread in threads:
        thread.join(30.0)
        assert not thread.is_alive()
    assert b"".join(got) == b"".join(line_of(event(number), "local") for number in range(count))


def test_a_buffer_holds_enough_for_a_second() -> None:
    """`tail -f` comes once a second: a cell that changes ten thousand times in it loses nobody."""
    assert 10_000 * len(line_of(event(10**9, "/svc/a/name/of/usual/length/that/changes"), "local")) <= BUFFER_BYTES
