"""What a mount costs, measured: `python -m bench.mount`.

| what                     | beside what, in the same run                                                             |
|--------------------------|------------------------------------------------------------------------------------------|
| open + read + close      | a file system in memory on mfusepy (`plain_files`) whose names and attributes the kernel |
|                          | asks for each time, as it has to ask us; and one that it trusts for a second, by default |
| stat                     | the former                                                                               |
| write + close            | `set_contents` of the client                                                             |
| flock + unlock           | `try_acquire` and `release` of the client                                                |
| `ls -l` of 1,000 entries | the yardstick's; and calls to the master, counted on the wire (`relay`)                  |
| 1,000 reads              | calls to the master                                                                      |

Both sides of a comparison take turns, batch by batch. A figure is the median of its best batch: what else the machine
does meanwhile can only add to it. What takes microseconds is measured with all who take part on one processor: on
several, how the kernel happens to spread them is worth more than all they do; that is shown too. The exit code is 1 if
a target was missed, 69 if nothing can be mounted here.
"""

from __future__ import annotations

import fcntl
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import chubby
from bench.figures import Figure, seconds, show
from bench.plain_files import ASKED_EACH_TIME, plain
from bench.relay import Relay, relay
from chubby import Create, Remove
from chubby.types.limits import TRANSACTION_LIMIT
from fuse_mount.library import unavailable
from tests.integration.cells import Cell, running_cell
from tests.integration.mounts import Mount, mounts

BATCHES = 40
READ_TARGET = 1.2
"""Times what the yardstick takes."""
READS = 1_000
ENTRIES = 1_000
CONTENT = b"10.0.0.7:8080\n" * 8
Act = Callable[[], object]


class Compared:
    """Two things that took turns: of each the median of its best batch, in seconds."""

    def __init__(self, ours: Act, theirs: Act, repeats: int, batches: int = BATCHES) -> None:
        """Do it."""
        pairs = [(_median(ours, repeats), _median(theirs, repeats)) for _ in range(batches)]
        self.ours, self.theirs = (min(batch) for batch in zip(*pairs, strict=True))
        self.ratio = self.ours / self.theirs

    def figure(self, name: str, beside: str, target: float | None) -> Figure:
        """As a line of the table."""
        wanted = "" if target is None else f"; target: {target} ×"
        compared = f"{beside}: {micro(self.theirs)}{wanted}"
        met = None if target is None else self.ratio <= target
        return Figure(name, micro(self.ours), f"{self.ratio:.2f} ×", compared, met)


def _median(act: Act, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def micro(value: float) -> str:
    """A short time for humans."""
    return f"{value * 1e6:.0f} µs" if value < 0.001 else seconds(value)


# -------------------------------------------------------------------------------------------------------------- acts


def read_once(path: Path) -> None:
    """open, read, close."""
    file = os.open(path, os.O_RDONLY)
    os.read(file, 4096)
    os.close(file)


def write_once(path: Path) -> None:
    """open and empty, write, close."""
    file = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(file, CONTENT)
    os.close(file)


def lock_once(file: int) -> None:
    """flock and unlock."""
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(file, fcntl.LOCK_UN)


def acquire_once(handle: chubby.Handle) -> None:
    """The same by the client."""
    handle.try_acquire()
    handle.release()


def list_all(directory: Path) -> float:
    """Seconds that `ls -l` takes."""
    began = time.perf_counter()
    done = subprocess.run(["ls", "-l", str(directory)], capture_output=True, check=True)
    taken = time.perf_counter() - began
    assert done.stdout.count(b"\n") == ENTRIES + 1
    return taken


# ------------------------------------------------------------------------------------------------------- measurements


def reading(here: Mount, asked: Path, trusted: Path, processes: Sequence[int]) -> list[Figure]:
    """Of a file that is cached, and of its name."""
    mine, theirs, trusting = (place / "file" for place in (here.directory, asked, trusted))
    for path in (mine, theirs, trusting):
        path.write_bytes(CONTENT)
    name, beside = "open + read + close of a cached file", "plain, asked each time"

    def read(other: Path) -> Compared:
        return Compared(lambda: read_once(mine), lambda: read_once(other), 200)

    spread = read(theirs)
    with on_one_processor([*processes, os.getpid()]):
        return [
            read(theirs).figure(name, beside, READ_TARGET),
            spread.figure("the same on all processors", beside, None),
            read(trusting).figure(name, "plain, trusted for 1 s", None),
            Compared(lambda: os.stat(mine), lambda: os.stat(theirs), 200).figure("stat", beside, READ_TARGET),
        ]


@contextmanager
def on_one_processor(processes: Sequence[int]) -> Iterator[None]:
    """All threads of these processes share one processor."""
    before = os.sched_getaffinity(0)
    try:
        _put(processes, {max(before)})
        yield
    finally:
        _put(processes, before)


def _put(processes: Sequence[int], processors: set[int]) -> None:
    for process in processes:
        for thread in os.listdir(f"/proc/{process}/task"):
            os.sched_setaffinity(int(thread), processors)


def writing(here: Path, session: chubby.Session) -> list[Figure]:
    """A content, and a lock: each one way through the kernel and the other without."""
    (here / "written").touch()
    (here / "locked").touch()
    with ExitStack() as stack:
        other = stack.enter_context(session.open("/ls/test/written by the client", create=True))
        wrote = Compared(lambda: write_once(here / "written"), lambda: other.set_contents(CONTENT), 20, 10)
        handle = stack.enter_context(session.open("/ls/test/locked by the client", create=True))
        file = os.open(here / "locked", os.O_RDWR)
        stack.callback(os.close, file)
        locked = Compared(lambda: lock_once(file), lambda: acquire_once(handle), 20, 10)
    return [
        wrote.figure("write + close", "set_contents of the client", None),
        locked.figure("flock + unlock", "try_acquire + release of the client", None),
    ]


def listing(here: Path, counted: Path, wire: Relay, plainly: Path, session: chubby.Session) -> list[Figure]:
    """`ls -l` of a directory: by who never looked into it, after a change elsewhere, and again: seconds, calls."""
    names = [f"/many/{number:04}" for number in range(ENTRIES)]
    session.transaction(then=[Create("/many", kind=chubby.NodeKind.DIRECTORY)])
    for first in range(0, ENTRIES, TRANSACTION_LIMIT):
        session.transaction(then=[Create(name, contents=CONTENT) for name in names[first : first + TRANSACTION_LIMIT]])
    for number in range(ENTRIES - len(os.listdir(plainly))):
        (plainly / f"{number:04}").touch()
    calls = calls_of(wire, lambda: list_all(counted / "many"))
    session.transaction(then=[Remove("/many/0007")])
    session.transaction(then=[Create("/many/0007")])
    later = calls_of(wire, lambda: list_all(counted / "many"))
    first_time = list_all(here / "many")
    again = Compared(lambda: list_all(here / "many"), lambda: list_all(plainly), 1, 10)
    name = f"ls -l of {ENTRIES:,} entries"
    return [
        Figure(f"{name}, the first time", seconds(first_time), "", ""),
        again.figure(f"{name}, again", "plain, asked each time", None),
        calls_figure(f"calls to the master for {name}, the first time", calls, {"open": 1, "read_dir": 1}),
        calls_figure("the same after a change on another machine", later, {"read_dir": 1}),
    ]


def unchanged(counted: Path, wire: Relay) -> Figure:
    """Reads of what nobody changes."""
    path = counted / "read again and again"
    path.write_bytes(CONTENT)
    read_once(path)

    def read_all() -> None:
        for _ in range(READS):
            read_once(path)

    return calls_figure(f"calls to the master for {READS:,} reads of a file", calls_of(wire, read_all), {})


def calls_of(wire: Relay, act: Act) -> Counter[str]:
    """What an act asked of the master."""
    before = Counter(wire.calls)
    act()
    return wire.calls - before


def calls_figure(name: str, calls: Counter[str], wanted: dict[str, int]) -> Figure:
    """Calls against the most that are wanted."""
    detail = ", ".join(f"{number} {kind}" for kind, number in sorted(calls.items())) or "none"
    return Figure(name, str(calls.total()), detail, f"target: {sum(wanted.values())}", calls <= Counter(wanted))


def measure(directory: Path) -> list[Figure]:
    """All of it, on a cell of one replica: what the mount adds is the same with five."""
    with ExitStack() as stack:
        cell: Cell = stack.enter_context(running_cell(directory / "cell", replicas=1, extra=""))
        (here,) = stack.enter_context(mounts(cell, directory / "here"))
        wire = stack.enter_context(relay(cell.addresses[0]))
        counted = Mount(directory / "counted", "--cell", "test", "--address", wire.address)
        stack.callback(counted.clear)
        counted.start()
        stack.callback(counted.stop)
        asked, trusted = directory / "asked", directory / "trusted"
        processes = [
            here.pid,
            stack.enter_context(plain(asked, *ASKED_EACH_TIME)),
            stack.enter_context(plain(trusted)),
        ]
        session = stack.enter_context(cell.connect())
        return [
            *reading(here, asked, trusted, processes),
            *writing(here.directory, session),
            unchanged(counted.directory, wire),
            *listing(here.directory, counted.directory, wire, asked, session),
        ]


def main() -> int:
    """Measure, print the table, return an exit code."""
    reason = unavailable(helper=True)
    if reason is not None:
        print(reason, file=sys.stderr)
        return 69
    with tempfile.TemporaryDirectory(prefix="chubby-bench-") as folder:
        figures = measure(Path(folder))
    show(figures)
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
