"""The files in `.chubby`: what the mount says of itself and its cell. Nothing of it is stored anywhere.

| file      | content, made anew at each open                                                                      |
|-----------|------------------------------------------------------------------------------------------------------|
| `status`  | the cell as its master sees it (another replica, where there is none), for people                    |
| `master`  | the master's address and a newline; empty while there is none                                        |
| `session` | the mount's session: `key: value` lines                                                              |
| `version` | of the program, and a newline                                                                        |
| `events`  | a stream: a line for each change in the cell from the open on, as `chubby watch --recursive` prints  |

Their size is 0, as in /proc, and they are opened with `direct_io`: then a read asks us whatever the size.

**The stream.** A read gives what has come, at least one whole line if it fits, and nothing (end of file) when there is
nothing: so `cat` ends, and who waits uses `poll` or `tail -f`. Offsets mean nothing. Each open file has a bounded
buffer; what does not fit makes way, all at once, for one line that says RESYNC: changes before it are not told, read
again what you rely on. A line that was read in part is finished first.

tail(1) looks once a second whether size or time of a file have changed, and on a network file system (that is what it
takes FUSE for) reads no further than the size. So `events` alone has a size: the bytes of all lines that were told
since the mount began, which is never less than what any one reader has read; and its time is that of the newest.

Events are put in by one thread, read by many: a lock of its own for each stream, held for no call to anybody else.
"""

from __future__ import annotations

import datetime
import stat as posix
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import chubby
from chubby import paths
from chubby.client.statistics import Statistics
from chubby.types.events import Event, EventKind
from chubby.types.status import CellStatus, ReplicaStatus
from chubby.types.time import to_seconds
from chubby.types.words import EVENT_WORDS, MEBIBYTE, usage_text
from fuse_mount.attributes import View
from fuse_mount.filesystem import Attributes
from fuse_mount.names import Control

__all__ = [
    "BUFFER_BYTES",
    "EventFeed",
    "EventStream",
    "attributes_of_cell",
    "attributes_of_control",
    "attributes_of_directory",
    "line_of",
    "master_text",
    "session_text",
    "status_text",
    "version_text",
]

BUFFER_BYTES: Final = 1024 * 1024
"""What one open `events` keeps for a reader that does not come: some ten thousand lines."""

_VIRTUAL_BIT: Final = 1 << 61
"""Sets the inode numbers of what is no node apart from those of nodes."""
_CELL_BITS: Final = 48


# ----------------------------------------------------------------------------------------------------------- attributes


def attributes_of_directory(view: View, now: int) -> Attributes:
    """The fields of `struct stat` of `.chubby`, and of the root of all cells; `now` in ns since 1970."""
    return _attributes(posix.S_IFDIR | 0o555, 0, 0, view, now)


def attributes_of_cell(view: View, now: int) -> Attributes:
    """The fields of `struct stat` of a cell's directory among all cells, without asking the cell.

    A number of its own: find(1) takes a directory with the number of one above it for a loop.
    """
    return _attributes(posix.S_IFDIR | 0o755, 1 + len(Control), 0, view, now)


def attributes_of_control(control: Control, view: View, now: int, size: int = 0) -> Attributes:
    """The fields of `struct stat` of one file; `now` in ns since 1970. For `events`: the feed's `told` and `size`."""
    return _attributes(posix.S_IFREG | 0o444, 1 + list(Control).index(control), size, view, now)


def _attributes(mode: int, number: int, size: int, view: View, now: int) -> Attributes:
    return {
        "st_ino": _VIRTUAL_BIT | view.cell << _CELL_BITS | number,
        "st_mode": mode,
        "st_nlink": 1,
        "st_uid": view.uid,
        "st_gid": view.gid,
        "st_size": size,
        "st_blocks": 0,
        "st_blksize": 4096,
        "st_atime": now,
        "st_mtime": now,
        "st_ctime": now,
    }


# ---------------------------------------------------------------------------------------------------------------- texts


def version_text() -> bytes:
    """The content of `version`."""
    return f"{chubby.__version__}\n".encode()


def master_text(status: CellStatus) -> bytes:
    """The content of `master`."""
    return f"{status.master_address}\n".encode() if status.master and status.master_address else b""


def session_text(statistics: Statistics, cell: str, tenure: int, since_ms: int, locks: int) -> bytes:
    """The content of `session`.

    `tenure` counts the sessions this mount has had, `since_ms` is the wall time at which this one began, `locks` how
    many it holds for programs.
    """
    left = max(0.0, to_seconds(statistics.session_lease_left))
    lines = [
        ("cell", cell),
        ("session", str(statistics.session)),
        ("state", statistics.state.value),
        ("tenure", str(tenure)),
        ("since", _wall_time(since_ms)),
        ("lease left", f"{left:.1f} s"),
        ("epoch", str(statistics.epoch)),
        ("locks", str(locks)),
        ("handles", str(statistics.handles)),
        ("cached", str(statistics.cached)),
    ]
    return "".join(f"{key + ':':<12}{value}\n" for key, value in lines).encode()


def status_text(status: CellStatus) -> bytes:
    """The content of `status`: a headline, who uses the cell, what it holds, a table of its replicas, warnings."""
    who = f"master is replica {status.master} at {status.master_address}" if status.master else "no master"
    counts = [(status.sessions, "session"), (status.locks, "lock")]
    figures = [f"revision {status.revision}", *(_count(number, thing) for number, thing in counts)]
    if status.lease_left > 0:
        figures.append(f"master lease {to_seconds(status.lease_left):.1f} s left")
    rows = [_HEADER, *(_row(each, status.master) for each in status.replicas)]
    lines = [
        f"cell {status.cell}: {who}, epoch {status.epoch}{_margin(status.margin)}",
        ", ".join(figures),
        usage_text(status.nodes, status.content_bytes, status.nodes_quota, status.bytes_quota, status.content_limit),
        f"as replica {status.replica} sees it, version {status.version}, {status.resident_bytes / MEBIBYTE:.0f} MiB",
        "",
        *_table(rows),
        *(f"warning: {warning}" for warning in status.warnings),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


_HEADER: Final = ("replica", "role", "slots", "lag", "heard", "clients at")


def _row(replica: ReplicaStatus, master: int) -> tuple[str, ...]:
    return (
        f"{replica.replica}{'*' if replica.replica == master else ''}",
        replica.role if replica.connected else f"{replica.role}, away",
        str(replica.chosen) if replica.chosen else "-",
        str(replica.lag) if replica.chosen else "-",
        f"{to_seconds(replica.last_heard):.1f} s" if replica.last_heard is not None else "-",
        replica.client_address,
    )


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _margin(margin: int | None) -> str:
    if margin is None:
        return ""
    if margin < 0:
        return f"; no quorum, {_count(-margin, 'replica')} short"
    return "; no further replica may fail" if margin == 0 else f"; {_count(margin, 'more replica')} may fail"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _wall_time(milliseconds: int) -> str:
    """Wall time in UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --------------------------------------------------------------------------------------------------------------- events


def line_of(event: Event, cell: str) -> bytes:
    """The line of an event, `revision TAB what TAB full name` and a newline; empty: it is not for the stream."""
    if event.kind not in EVENT_WORDS:
        return b""
    name = paths.full_name(cell, event.path) if event.path else ""
    return (f"{event.revision or '-'}\t{EVENT_WORDS[event.kind]}\t{name}".rstrip() + "\n").encode()


class EventStream:
    """One open `events`: lines for its reader. Made by `EventFeed.open`."""

    def __init__(self, limit: int = BUFFER_BYTES) -> None:
        """`limit`: bytes of lines that may wait, besides the rest of one that was read in part."""
        self._limit = limit
        self._guard = threading.Lock()
        self._begun = b""
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._wake: Callable[[], None] | None = None
        self._closed = False

    @property
    def readable(self) -> bool:
        """Whether a read would give anything."""
        return bool(self._begun or self._lines)

    def read(self, size: int) -> bytes:
        """At most `size` bytes of what has come, whole lines as long as one fits; nothing if nothing has come."""
        with self._guard:
            if size > 0 and not self._begun and self._lines and len(self._lines[0]) > size:
                self._begun = self._take()
            if self._begun:
                part, self._begun = self._begun[:size], self._begun[size:]
                return part
            taken: list[bytes] = []
            while self._lines and len(self._lines[0]) <= size:
                taken.append(self._take())
                size -= len(taken[-1])
            return b"".join(taken)

    def _take(self) -> bytes:
        """The first line that waits."""
        line = self._lines.popleft()
        self._size -= len(line)
        return line

    def poll(self, wake: Callable[[], None] | None) -> bool:
        """Whether it is readable; `wake`, which takes the place of an earlier one, is called once when more comes.

        It is called even if there is something to read already: an edge-triggered epoll asks only once. It must not
        raise, nor wait for whoever reads.
        """
        with self._guard:
            if wake is not None and not self._closed:
                self._wake = wake
            return self.readable

    def put(self, line: bytes, resync: bytes) -> None:
        """A line has come; `resync` is the line to put for those that have no room, of the same revision.

        Calls what waits for it, in this thread and after the lock was let go.
        """
        with self._guard:
            if self._closed:
                return
            if self._size + len(line) > self._limit:
                self._lines.clear()
                line = resync
                self._size = 0
            self._lines.append(line)
            self._size += len(line)
            wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def close(self) -> None:
        """Its file was released: it keeps nothing, takes nothing, wakes nobody. Idempotent."""
        with self._guard:
            self._closed = True
            self._lines.clear()
            self._begun, self._size, self._wake = b"", 0, None


class EventFeed:
    """The events of one cell, for whoever has `events` open; `told` and `size` are the file's time and size."""

    def __init__(self, cell: str, now: int, limit: int = BUFFER_BYTES) -> None:
        """`cell` is the name that the lines show, `now` nanoseconds since 1970, `limit` that of each stream."""
        self.cell = cell
        self.told = now
        self.size = 0
        self._limit = limit
        self._guard = threading.Lock()
        self._streams: dict[EventStream, None] = {}

    def open(self) -> EventStream:
        """A stream of what comes from now on."""
        stream = EventStream(self._limit)
        with self._guard:
            self._streams[stream] = None
        return stream

    def close(self, stream: EventStream) -> None:
        """Its file was released. Idempotent."""
        with self._guard:
            self._streams.pop(stream, None)
        stream.close()

    def put(self, event: Event, now: int) -> None:
        """Something has happened; `now` in nanoseconds since 1970. For one thread: the order of events is its order."""
        line = line_of(event, self.cell)
        if not line:
            return
        resync = line_of(Event(EventKind.RESYNC, revision=event.revision), self.cell)
        with self._guard:
            self.size += max(len(line), len(resync))
            self.told = max(now, self.told + 1)
            streams = list(self._streams)
        for stream in streams:
            stream.put(line, resync)
