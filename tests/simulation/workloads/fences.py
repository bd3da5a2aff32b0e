"""Sequencers: whoever holds a lock hands out what proves it, others ask whether that is still so, and a file takes
writes only from handles that are bound to a hold period which lasts (paper §2.4, DESIGN §4 Token).

Whether a sequencer was told to be valid, or not, at the right times, is judged with the history of its lock.
"""

from __future__ import annotations

from bisect import bisect, insort

from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    CheckSequencer,
    CreateMode,
    GetSequencer,
    Mode,
    Open,
    Release,
    SetContents,
    SetSequencer,
)
from chubby.types.identity import HandleNumber, Revision, Token
from chubby.types.nodes import LockMode
from chubby.types.results import Answer, Done, LockGranted, Opened, SequencerResult, StatResult
from chubby.types.time import SECOND
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.violation import Violation
from tests.simulation.world import World

LOCK = "/q"
DATA = "/q-data"
KEPT = 8
"""So many sequencers of late others ask about."""


class FencingChecker:
    """Writes under exclusive hold periods: in the order of their revisions tokens only grow. So whoever slept through
    the end of its hold period writes nothing after its successor has.
    """

    def __init__(self) -> None:
        self._writes: list[tuple[Revision, Token]] = []

    def wrote(self, who: str, revision: Revision, token: Token) -> None:
        """A write under this token was acknowledged."""
        place = bisect(self._writes, (revision, token))
        before = self._writes[place - 1][1] if place else token
        after = self._writes[place][1] if place < len(self._writes) else token
        if not before <= token <= after:
            raise Violation(f"{who} wrote revision {revision} under token {token}, between {before} and {after}")
        insort(self._writes, (revision, token))


class Fences:
    """The lock, the file, and the sequencers of late."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.checker = FencingChecker()
        self.sequencers: list[bytes] = []
        self.valid = 0
        self.invalid = 0
        self.forged = 0
        """Sequencers that nobody made, and that nobody believed."""
        self.fenced = 0
        """Writes that were refused."""

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Fencer(self, client, tempo)

    def publish(self, sequencer: bytes) -> None:
        """Others may ask about it."""
        self.sequencers = [*self.sequencers, sequencer][-KEPT:]


class Fencer:
    """Holds the lock, with others or alone, writes while it believes that it does, and asks about others."""

    def __init__(self, fences: Fences, client: ClientHost, tempo: Tempo) -> None:
        self._fences = fences
        self._client = client
        self._lock: HandleNumber | None = None
        self._data: HandleNumber | None = None
        self._holds: LockMode | None = None
        self._bound: Token | None = None
        self._serial = 0
        self._turns = Turns(fences.world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        chance, fences = self._client.chance, self._fences
        if self._lock is None or self._data is None:
            self._open()
        elif fences.sequencers and chance.random() < 0.3:
            self._check(chance.choice(fences.sequencers))
        elif fences.sequencers and chance.random() < 0.1:
            self._forge(chance.choice(fences.sequencers))
        elif self._holds is None:
            self._acquire(self._lock)
        elif self._bound is None and self._holds is LockMode.EXCLUSIVE:
            self._bind(self._lock, self._data)
        elif self._bound is not None and chance.random() < 0.6:
            self._write(self._data, self._bound)
        elif self._holds is LockMode.SHARED and chance.random() < 0.5:
            self._prove(self._lock)
        else:
            self._release(self._lock)

    def _forget(self) -> None:
        self._lock = self._data = self._holds = self._bound = None

    def _open(self) -> None:
        path = LOCK if self._lock is None else DATA
        handle = self._client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened) and path == LOCK:
                self._lock = handle
            elif isinstance(answer, Opened):
                self._data = handle
            self._turns.next()

        self._client.call(Open(handle, path, Mode.READ | Mode.WRITE, create=CreateMode.MAY), done, PATIENCE)

    def _acquire(self, lock: HandleNumber) -> None:
        mode = LockMode.SHARED if self._client.chance.random() < 0.4 else LockMode.EXCLUSIVE

        def done(answer: Answer) -> None:
            if isinstance(answer, LockGranted):
                self._holds, self._bound = mode, None
                self._turns.next()
            else:
                self._client.call(CancelAcquire(lock), cancelled, PATIENCE)

        def cancelled(answer: Answer) -> None:
            if isinstance(answer, LockGranted):
                self._holds, self._bound = mode, None
            else:
                self._forget()
            self._turns.next()

        self._client.call(Acquire(lock, mode, lock_delay=self._client.chance.choice((0, SECOND))), done, PATIENCE)

    def _prove(self, lock: HandleNumber) -> None:
        def done(answer: Answer) -> None:
            if isinstance(answer, SequencerResult):
                self._fences.publish(answer.sequencer)
            self._turns.next()

        self._client.call(GetSequencer(lock), done, PATIENCE)

    def _bind(self, lock: HandleNumber, data: HandleNumber) -> None:
        def proven(answer: Answer) -> None:
            if isinstance(answer, SequencerResult):
                self._fences.publish(answer.sequencer)
                token = answer.token
                self._client.call(SetSequencer(data, answer.sequencer), lambda said: bound(said, token), PATIENCE)
            else:
                self._forget()
                self._turns.next()

        def bound(answer: Answer, token: Token) -> None:
            if isinstance(answer, Done):
                self._bound = token
            else:
                self._forget()
            self._turns.next()

        self._client.call(GetSequencer(lock), proven, PATIENCE)

    def _write(self, data: HandleNumber, token: Token) -> None:
        self._serial += 1

        def done(answer: Answer) -> None:
            if isinstance(answer, StatResult):
                self._fences.checker.wrote(self._client.place, answer.revision, token)
            else:
                self._fences.fenced += 1
                self._forget()
            self._turns.next()

        self._client.call(SetContents(data, f"{self._client.place}/{self._serial}".encode()), done, PATIENCE)

    def _check(self, sequencer: bytes) -> None:
        def done(answer: Answer) -> None:
            self._fences.valid += isinstance(answer, SequencerResult)
            self._fences.invalid += not isinstance(answer, SequencerResult)
            self._turns.next()

        self._client.call(CheckSequencer(sequencer), done, PATIENCE)

    def _forge(self, sequencer: bytes) -> None:
        """One bit of it is another: nobody may believe that, however good its hold period is (DESIGN §5 Handles)."""
        place = self._client.chance.randrange(len(sequencer) * 8)
        forged = bytearray(sequencer)
        forged[place // 8] ^= 1 << place % 8

        def done(answer: Answer) -> None:
            if isinstance(answer, SequencerResult):
                raise Violation(f"{self._client.place} was told that a forged sequencer is valid: {answer}")
            self._fences.forged += 1
            self._turns.next()

        self._client.call(CheckSequencer(bytes(forged)), done, PATIENCE)

    def _release(self, lock: HandleNumber) -> None:
        """The data's handle stays bound; the next hold period begins with handles of its own."""
        self._forget()
        self._client.call(Release(lock), lambda answer: self._turns.next(), PATIENCE)
