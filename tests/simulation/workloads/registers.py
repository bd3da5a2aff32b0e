"""Reads and writes of a few files: each of them is a register, and reads from the cache are reads like others."""

from __future__ import annotations

import msgspec

from chubby.types.calls import CreateMode, GetContentsAndStat, Mode, Open, SetContents
from chubby.types.identity import HandleNumber
from chubby.types.results import Answer, Contents, Opened, StatResult
from chubby.types.time import Instant
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.violation import Violation
from tests.simulation.world import World

PATHS = ("/a", "/b")


class Access(msgspec.Struct, frozen=True):
    """One read or write of a node as its client saw it: true times, and the content generation it read or made."""

    client: str
    begun: Instant
    ended: Instant
    generation: int
    contents: bytes
    wrote: bool


class RegisterChecker:
    """Linearizability of one node, by content generation: every answer says which generation it is about, so real
    time and generations must agree.

    An access that begins after another ended is never about an older generation; two writes are never about the same
    one; all that speak of one generation see the same content. For a single register this is all of linearizability. It
    covers cached reads as well: they promise the same (DESIGN §5).
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._ended: list[tuple[Instant, int]] = []
        self._contents: dict[int, bytes] = {}
        self._written: set[int] = set()

    def floor(self, begun: Instant) -> int:
        """The newest generation that an access which ended before `begun` was about."""
        newest = 0
        for ended, generation in reversed(self._ended):
            if ended < begun:
                newest = generation
                break
        return newest

    def add(self, access: Access) -> None:
        """Judge one access; they come in order of their ends."""
        floor = self.floor(access.begun)
        least = floor + 1 if access.wrote else floor
        if access.generation < least:
            kind = "write" if access.wrote else "read"
            seen = f"generation {access.generation} after {floor} was known"
            raise Violation(f"stale {kind} of {self._path} by {access.client}: {seen}")
        if access.wrote:
            if access.generation in self._written:
                raise Violation(f"two writes of {self._path} made generation {access.generation}")
            self._written.add(access.generation)
        contents = self._contents.setdefault(access.generation, access.contents)
        if contents != access.contents:
            raise Violation(f"generation {access.generation} of {self._path} has two contents")
        newest = max(access.generation, self._ended[-1][1] if self._ended else 0)
        self._ended.append((access.ended, newest))


class Registers:
    """The files, and what all clients know of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.checkers = {path: RegisterChecker(path) for path in PATHS}

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Reader(self, client, tempo)


class Reader:
    """Reads and now and then writes, one file at a time."""

    def __init__(self, registers: Registers, client: ClientHost, tempo: Tempo) -> None:
        self._registers = registers
        self._world = registers.world
        self._client = client
        self._handles: dict[str, HandleNumber] = {}
        self._serial = 0
        self._turns = Turns(self._world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        path = self._client.chance.choice(PATHS)
        if path not in self._handles:
            self._open(path)
        elif self._client.chance.random() < 0.7:
            self._read(path)
        else:
            self._write(path)

    def _open(self, path: str) -> None:
        handle = self._client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._handles[path] = handle
            self._turns.next()

        self._client.call(Open(handle, path, Mode.READ | Mode.WRITE, create=CreateMode.MAY), done, PATIENCE)

    def _read(self, path: str) -> None:
        begun = self._world.now

        def done(answer: Answer) -> None:
            if isinstance(answer, Contents):
                self._note(path, begun, answer.stat.content_generation, answer.contents, wrote=False)
            else:
                self._handles.pop(path, None)
            self._turns.next()

        self._client.call(GetContentsAndStat(self._handles[path]), done, PATIENCE)

    def _write(self, path: str) -> None:
        begun = self._world.now
        self._serial += 1
        contents = f"{self._client.place}/{self._serial}".encode()

        def done(answer: Answer) -> None:
            if isinstance(answer, StatResult):
                self._note(path, begun, answer.stat.content_generation, contents, wrote=True)
            else:
                self._handles.pop(path, None)
            self._turns.next()

        self._client.call(SetContents(self._handles[path], contents), done, PATIENCE)

    def _note(self, path: str, begun: Instant, generation: int, contents: bytes, wrote: bool) -> None:
        if not (wrote or self._world.bounded):
            return
        access = Access(self._client.place, begun, self._world.now, generation, contents, wrote)
        self._registers.checkers[path].add(access)
