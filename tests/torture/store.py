"""What the locks of the lock-set workload protect: a service that keeps sets, to be read and written as a whole.

It is a process of its own, which nobody stops or kills: a client that sleeps over its lock finds the service awake.
Each kind of set is protected in another way, or not at all:

| kind           | where it is           | who may write                                                               |
|----------------|-----------------------|-----------------------------------------------------------------------------|
| `bare`         | the service's memory  | whoever asks: the lock alone is trusted                                     |
| `fenced`       | the service's memory  | whose sequencer `chubby.fencing.Guard` admits, reading included             |
| `cell_bare`    | a file of the cell    | whoever asks                                                                |
| `cell_fenced`  | a file of the cell    | a transaction guarded by `TokenIs`: whose hold period of the lock lasts     |

The service speaks lines of JSON over a socket in the file system. In the cell it has a session of its own, as any
service has that writes for others, so the session of who sleeps protects nothing.

    python -m tests.torture.store SOCKET ADDRESSES
"""

from __future__ import annotations

import enum
import socket
import socketserver
import sys
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

import chubby
from chubby import fencing
from chubby.client.sequencer import meaning_of
from chubby.errors import ChubbyError, NoNode, SequencerInvalid
from chubby.types.transaction import Create, TokenIs, Write
from tests.torture.recording import OPEN_OUTCOMES
from tests.torture.work import PATIENCE, ROOT_NAME


class SetKind(enum.Enum):
    """How a set is kept."""

    BARE = "bare"
    FENCED = "fenced"
    CELL_BARE = "cell_bare"
    CELL_FENCED = "cell_fenced"

    @property
    def fenced(self) -> bool:
        """Whether a sequencer is looked at."""
        return self in (SetKind.FENCED, SetKind.CELL_FENCED)

    @property
    def in_cell(self) -> bool:
        """Whether a file of the cell holds it."""
        return self in (SetKind.CELL_BARE, SetKind.CELL_FENCED)

    @property
    def lock(self) -> str:
        """The lock that everyone takes before."""
        return f"/set-{self.value}.lock"

    def file(self, number: int) -> str:
        """The file of set `number` in the cell."""
        return f"/set-{self.value}-{number}"


class Request(msgspec.Struct, frozen=True):
    """Read a set (`elements` None) or replace it. `number`: there are several of a kind, one after the other."""

    kind: SetKind
    number: int
    sequencer: bytes
    elements: tuple[str, ...] | None = None


class Reply(msgspec.Struct, frozen=True):
    """`said`: read, written, refused (certainly not written, the lock was lost), failed (not written), or unknown."""

    said: str
    elements: tuple[str, ...] = ()


class Memory:
    """The sets of one kind in memory."""

    def __init__(self, kind: SetKind) -> None:
        self._guard = fencing.Guard(ROOT_NAME + kind.lock) if kind.fenced else None
        self._sets: dict[int, tuple[str, ...]] = {}

    def obey(self, request: Request) -> Reply:
        """Read or write, if the guard lets it."""
        admitted: AbstractContextManager[object] = nullcontext()
        if self._guard is not None:
            admitted = self._guard.admit(request.sequencer)
        try:
            with admitted:
                if request.elements is None:
                    return Reply("read", self._sets.get(request.number, ()))
                self._sets[request.number] = request.elements
                return Reply("written")
        except SequencerInvalid:
            return Reply("refused")

    def dump(self) -> list[tuple[str, ...]]:
        """All of them."""
        return list(self._sets.values())


class Files:
    """The sets of one kind in files of the cell, written by one session after the other."""

    def __init__(self, kind: SetKind, addresses: list[str]) -> None:
        self._kind = kind
        self._addresses = addresses
        self._lock = threading.Lock()
        self._session: chubby.Session | None = None

    def _connected(self) -> chubby.Session:
        with self._lock:
            if self._session is None or self._session.state.final:
                self._session = chubby.connect(
                    ROOT_NAME, addresses=self._addresses, timeout=20, call_timeout=PATIENCE, caching=False
                )
            return self._session

    def obey(self, request: Request) -> Reply:
        """Read or write, in one call."""
        path = ROOT_NAME + self._kind.file(request.number)
        try:
            if request.elements is None:
                return Reply("read", self._read(path))
            guards = [TokenIs(ROOT_NAME + self._kind.lock, _token(request))] if self._kind.fenced else []
            contents = "\n".join(request.elements).encode()
            result = self._connected().transaction(guards, [Create(path, may_exist=True), Write(path, contents)])
            return Reply("written" if result.succeeded else "refused")
        except ChubbyError as error:
            return Reply("unknown" if type(error).__name__ in OPEN_OUTCOMES else "failed")

    def _read(self, path: str) -> tuple[str, ...]:
        try:
            with self._connected().open(path) as handle:
                return tuple(handle.get_contents_and_stat()[0].decode().split())
        except NoNode:
            return ()

    def dump(self) -> list[tuple[str, ...]]:
        """All of them. Raises ChubbyError."""
        found: list[tuple[str, ...]] = []
        while elements := self._read(ROOT_NAME + self._kind.file(len(found))):
            found.append(elements)
        return found


def _token(request: Request) -> int:
    return meaning_of(request.sequencer).token


class Service(socketserver.ThreadingUnixStreamServer):
    """One thread for each client."""

    daemon_threads = True

    def __init__(self, place: Path, addresses: list[str]) -> None:
        super().__init__(str(place), Conversation)
        self.sets: dict[SetKind, Memory | Files] = {
            kind: Files(kind, addresses) if kind.in_cell else Memory(kind) for kind in SetKind
        }


class Conversation(socketserver.StreamRequestHandler):
    """With one client."""

    def handle(self) -> None:
        """A reply for each line. An empty line asks for everything."""
        assert isinstance(self.server, Service), "nobody else makes conversations"
        for line in self.rfile:
            if not line.strip():
                everything = {kind: _union(each.dump()) for kind, each in self.server.sets.items()}
                self.wfile.write(msgspec.json.encode(everything) + b"\n")
                continue
            request = msgspec.json.decode(line, type=Request)
            self.wfile.write(msgspec.json.encode(self.server.sets[request.kind].obey(request)) + b"\n")


def _union(sets: Iterable[Iterable[str]]) -> list[str]:
    """All elements, those that are there twice as well."""
    return [element for elements in sets for element in elements]


class Customer:
    """Talks to the service."""

    def __init__(self, place: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(place))
        self._stream = self._socket.makefile("rwb")

    def ask(self, request: Request) -> Reply:
        """One request."""
        return msgspec.json.decode(self._exchange(msgspec.json.encode(request)), type=Reply)

    def dump(self) -> dict[SetKind, list[str]]:
        """All elements that are there now."""
        return msgspec.json.decode(self._exchange(b""), type=dict[SetKind, list[str]])

    def _exchange(self, line: bytes) -> bytes:
        self._stream.write(line + b"\n")
        self._stream.flush()
        return self._stream.readline()

    def close(self) -> None:
        """Say no more."""
        self._stream.close()
        self._socket.close()


if __name__ == "__main__":
    Service(Path(sys.argv[1]), sys.argv[2].split(",")).serve_forever()
