"""Client processes. `Program` starts one and talks to it; run as a module, this file *is* one.

Lines of JSON in both directions: each line it is sent is one thing to do, and each line it says is an answer. Instants
are CLOCK_BOOTTIME in nanoseconds, which all processes of a machine read alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

import chubby
import chubby.aio
from chubby.errors import ChubbyError
from tests.integration.cells import PATIENCE, ROOT, bound, bound_to_us

Json = dict[str, int | str]


class Program:
    """A running client process."""

    def __init__(self, *arguments: str) -> None:
        """Run this file with `arguments`: the first names one of its programs. `-m`: any module; `--`: any command."""
        self.arguments = arguments
        match arguments[0]:
            case "--":
                command = bound(*arguments[1:])
            case "-m":
                command = bound_to_us(*arguments)
            case _:
                command = bound_to_us("-m", "tests.integration.programs", *arguments)
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said: list[str] = []
        """Everything it has said so far."""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Program:
        """Nothing beyond construction."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, if it still runs."""
        self.end()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    def tell(self, line: str) -> None:
        """Send it a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self, patience: float = PATIENCE) -> str:
        """The next line it says; fails the test if it says nothing in time, or ends instead."""
        try:
            line = self._lines.get(timeout=patience)
        except queue.Empty:
            raise AssertionError(f"{self.process.args!r} said nothing for {patience} s; before: {self.said}") from None
        assert line is not None, f"{self.process.args!r} ended, having said {self.said}"
        return line

    def answer(self, patience: float = PATIENCE) -> Json:
        """The next line that is an answer; others, as the warnings of libraries, are passed over."""
        while not (line := self.hear(patience)).startswith("{"):
            pass
        found: Json = json.loads(line)
        return found

    def ask(self, line: str) -> Json:
        """`tell`, then `answer`."""
        self.tell(line)
        return self.answer()

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit code, once it has ended and all it said is in `said`."""
        code = self.process.wait(patience)
        self._listener.join(patience)
        return code

    def end(self) -> None:
        """Kill it and forget it."""
        self.process.kill()
        self.process.wait()
        self._listener.join(PATIENCE)
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


Starter = Callable[..., Program]


def cli(start: Starter, *arguments: str) -> Program:
    """A `chubby` command."""
    return start("-m", "chubby.cli", *arguments)


# -------------------------------------------------------------------------------------------------- the programs


def now() -> int:
    """This instant."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def say(**what: int | str) -> None:
    """One line of JSON."""
    print(json.dumps(what), flush=True)


def hold(addresses: list[str], path: str) -> None:
    """Take the lock of `path`; then, for each line read, write it into the file and say how that went."""
    with chubby.connect("/ls/test", addresses=addresses) as session, session.open(path, create=True) as handle:
        token = handle.acquire(lock_delay=1.0).token
        say(token=token, sequencer=bytes(handle.get_sequencer()).hex())
        for line in sys.stdin:
            try:
                handle.set_contents(line.strip().encode())
                say(outcome="written")
            except ChubbyError as error:
                say(outcome=type(error).__name__, message=str(error))


def cache(addresses: list[str], path: str) -> None:
    """Keep `path` in the cache: read it over and over, gently."""
    pause = threading.Event()
    with chubby.connect("/ls/test", addresses=addresses) as session, session.open(path) as handle:
        handle.get_contents_and_stat()
        say(session=session.id)
        while not pause.wait(0.005):
            handle.get_contents_and_stat()


def read(addresses: list[str], path: str, count: str) -> None:
    """Read the files `path`-0, -1, ... in a tight loop until SIGTERM.

    Then say of each value of each file when the last read began that returned it, and of all how many reads there were
    and how many of them the cache answered.
    """
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with chubby.connect("/ls/test", addresses=addresses) as session, contextlib.ExitStack() as stack:
        handles = [stack.enter_context(session.open(f"{path}-{number}")) for number in range(int(count))]
        last: list[dict[bytes, int]] = [{} for _ in handles]
        reads = hits = 0
        say(ready=1)
        while not ended.is_set():
            for handle, seen in zip(handles, last, strict=True):
                began = now()
                contents, _ = handle.get_contents_and_stat()
                hits += now() - began < 100_000
                reads += 1
                seen[contents] = began
        for number, seen in enumerate(last):
            for contents, began in seen.items():
                say(file=number, value=int(contents), began=began)
        say(reads=reads, hits=hits)


def write(addresses: list[str], path: str, count: str, times: str) -> None:
    """Write 1, 2, ... into the files `path`-0, -1, ..., all at once; say when each write was acknowledged."""

    async def one(session: chubby.aio.Session, number: int) -> None:
        async with session.open(f"{path}-{number}") as handle:
            for value in range(1, int(times) + 1):
                await handle.set_contents(str(value).encode())
                say(file=number, value=value, acknowledged=now())

    async def main() -> None:
        async with chubby.aio.connect("/ls/test", addresses=addresses) as session:
            await asyncio.gather(*(one(session, number) for number in range(int(count))))
        say(done=1)

    asyncio.run(main())


def lead(addresses: list[str], path: str, value: str) -> None:
    """Stand for election with `value`; say when elected, then lead until killed."""
    with chubby.connect("/ls/test", addresses=addresses) as session:
        say(standing=1)
        with chubby.Election(session, path, value.encode(), lock_delay=1.0) as leadership:
            say(token=leadership.token)
            leadership.lost()


def own(addresses: list[str], path: str) -> None:
    """Take the lock of `path` by its recipe, say so, and keep it until killed."""
    with chubby.connect("/ls/test", addresses=addresses) as session, chubby.Lock(session, path, lock_delay=1.0) as held:
        say(token=held.token)
        sys.stdin.read()


def provide(addresses: list[str], root: str, service: str, name: str, address: str) -> None:
    """Be an instance of `service` until killed."""
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(chubby.connect("/ls/test", addresses=addresses))
        registration = stack.enter_context(chubby.ServiceRegistry(session, root).register(service, name, address))
        say(registered=1)
        registration.lost()


def meet(addresses: list[str], path: str, party: str, parties: str) -> None:
    """Be a party of a barrier: say when all are in; leave with the next line read, and say when all are out."""
    with chubby.connect("/ls/test", addresses=addresses) as session:
        say(waiting=1)
        with chubby.Barrier(session, path, party, int(parties)):
            say(inside=1)
            sys.stdin.readline()
        say(outside=1)


PROGRAMS: dict[str, Callable[..., None]] = {
    "hold": hold,
    "cache": cache,
    "read": read,
    "write": write,
    "lead": lead,
    "own": own,
    "provide": provide,
    "meet": meet,
}


def answers(program: Program, last: str) -> Iterator[Json]:
    """What the program says, up to and with the answer that has the key `last`."""
    while True:
        answer = program.answer()
        yield answer
        if last in answer:
            return


if __name__ == "__main__":
    name, targets, *rest = sys.argv[1:]
    PROGRAMS[name](targets.split(","), *rest)
