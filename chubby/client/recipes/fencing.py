"""The resource's side of a lock: refuse whoever held it before (paper §2.4; DESIGN §4 Token).

A lock alone cannot stop a former holder that slept: its request may arrive after somebody else was granted the lock.
So each holder sends its sequencer with each request, and the resource remembers the highest token it has seen and
refuses lower ones. `Guard` is that memory; it needs no session and no network.

    guard = fencing.Guard("/ls/local/svc/leader")

    def write(sequencer: bytes, block: bytes) -> None:
        with guard.admit(sequencer):                 # older requests are refused, running ones are waited for
            disk.write(block)

Error handling
--------------
- *A lower token, another lock's, or no sequencer at all*: SequencerInvalid. Pass it on to the caller: it is not the
  holder any more, and must stop.
- *The resource restarts*: the memory must survive. Store `guard.highest` with the data that it protects, in the same
  write, and give it back as `highest`. A guard that forgets lets an old holder in until a newer one comes along.
- *Forged bytes*: only the cell can verify a sequencer's check digits. Where callers are not trusted, ask
  `session.check_sequencer` too: it also knows that a hold period ended though nobody holds the lock now.
- *`check` alone* is a look, not a guard: a newer request may overtake between the look and the deed. `admit` holds the
  deed inside.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from chubby import paths
from chubby.client.sequencer import meaning_of
from chubby.errors import SequencerInvalid
from chubby.types.identity import Token
from chubby.types.nodes import Sequencer

P = ParamSpec("P")
R = TypeVar("R")


class _Gate:
    """The rule, without waiting: who may enter, and who is inside. Invariant: `highest` never decreases."""

    def __init__(self, name: str, highest: Token) -> None:
        self.path = paths.parse(name).path if name.startswith(paths.PREFIX + "/") else paths.validate(name)
        self.highest = highest
        self._inside: dict[Token, int] = {}

    def read(self, sequencer: bytes) -> Sequencer:
        """What a sequencer of this lock says. Raises SequencerInvalid."""
        meaning = meaning_of(sequencer)
        if meaning.path != self.path:
            raise SequencerInvalid(f"a sequencer of {meaning.path}, not of {self.path}")
        return meaning

    def pass_token(self, token: Token) -> None:
        """Remember `token`. Raises SequencerInvalid if a higher one was seen."""
        if token < self.highest:
            raise SequencerInvalid(f"{self.path}: token {token} is older than {self.highest}: the lock was lost")
        self.highest = token

    def must_wait(self, token: Token) -> bool:
        """Whether deeds of older holders are still going on."""
        return any(older < token for older in self._inside)

    def enter(self, token: Token) -> None:
        """A deed begins."""
        self._inside[token] = self._inside.get(token, 0) + 1

    def leave(self, token: Token) -> None:
        """A deed is done."""
        self._inside[token] -= 1
        if not self._inside[token]:
            del self._inside[token]


class Guard:
    """The guard for threads.

    `name` is the lock's full name, or its path inside the cell; `highest` what was seen before.
    """

    def __init__(self, name: str, highest: Token = 0) -> None:
        self._gate = _Gate(name, highest)
        self._changed = threading.Condition()

    @property
    def highest(self) -> Token:
        """The highest token seen."""
        return self._gate.highest

    def check(self, sequencer: bytes) -> Sequencer:
        """What the sequencer says, unless a newer one was seen. Raises SequencerInvalid."""
        meaning = self._gate.read(sequencer)
        with self._changed:
            self._gate.pass_token(meaning.token)
        return meaning

    @contextmanager
    def admit(self, sequencer: bytes) -> Iterator[Sequencer]:
        """Do something as this holder: not before deeds of older holders have ended. Raises SequencerInvalid."""
        meaning = self._gate.read(sequencer)
        with self._changed:
            self._gate.pass_token(meaning.token)
            while self._gate.must_wait(meaning.token):
                self._changed.wait()
                self._gate.pass_token(meaning.token)
            self._gate.enter(meaning.token)
        try:
            yield meaning
        finally:
            with self._changed:
                self._gate.leave(meaning.token)
                self._changed.notify_all()

    def __call__(self, function: Callable[P, R]) -> Callable[Concatenate[bytes, P], R]:
        """Decorate: the function takes a sequencer first, and runs only for the present holder."""

        @functools.wraps(function)
        def guarded(sequencer: bytes, /, *args: P.args, **kwargs: P.kwargs) -> R:
            with self.admit(sequencer):
                return function(*args, **kwargs)

        return guarded


class AsyncGuard:
    """The guard for tasks of one loop."""

    def __init__(self, name: str, highest: Token = 0) -> None:
        self._gate = _Gate(name, highest)
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def highest(self) -> Token:
        """The highest token seen."""
        return self._gate.highest

    def check(self, sequencer: bytes) -> Sequencer:
        """What the sequencer says, unless a newer one was seen. Raises SequencerInvalid."""
        meaning = self._gate.read(sequencer)
        self._gate.pass_token(meaning.token)
        return meaning

    @asynccontextmanager
    async def admit(self, sequencer: bytes) -> AsyncIterator[Sequencer]:
        """Do something as this holder: not before deeds of older holders have ended. Raises SequencerInvalid."""
        meaning = self.check(sequencer)
        while self._gate.must_wait(meaning.token):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
            self._gate.pass_token(meaning.token)
        self._gate.enter(meaning.token)
        try:
            yield meaning
        finally:
            self._gate.leave(meaning.token)
            waiting, self._waiting = self._waiting, []
            for turn in waiting:
                if not turn.done():
                    turn.set_result(None)
