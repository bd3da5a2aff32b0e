"""What must hold whatever goes wrong. Each checker raises `Violation` the moment it is broken."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chubby.paxos.messages import Value
from chubby.types.identity import ReplicaId, Slot, Token
from chubby.types.time import Instant
from tests.simulation.hosts import ReplicaHost


class Violation(AssertionError):
    """A safety rule was broken."""


class LogChecker:
    """One chosen value per slot, on every replica, for ever; equal digests at equal slots (DESIGN §3)."""

    def __init__(self) -> None:
        self._chosen: dict[Slot, Value] = {}
        self._seen: dict[ReplicaId, tuple[int, Slot]] = {}
        self._digests: dict[Slot, int] = {}

    def observe(self, host: ReplicaHost) -> None:
        """Look at what a replica has applied since it was last looked at."""
        replica = host.replica
        if replica is None or replica.machine is None:
            return
        applied = replica.machine.applied
        life, seen = self._seen.get(host.number, (0, 0))
        if life != host.life:
            seen = applied - 1
        if seen == applied:
            return
        self._seen[host.number] = host.life, applied
        digest = replica.machine.digest()
        known = self._digests.setdefault(applied, digest)
        if known != digest:
            raise Violation(f"{host.place} has another state than others had at slot {applied}")
        for slot in range(seen + 1, applied + 1):
            entry = replica.entry(slot)
            if entry is None:
                continue
            if self._chosen.setdefault(slot, entry.value) != entry.value:
                raise Violation(f"slot {slot} was chosen with two values; {host.place} has the second one")


class MasterChecker:
    """At any instant at most one replica counts on its master lease, each by its own clock (DESIGN §3 Master lease)."""

    def __init__(self, hosts: list[ReplicaHost]) -> None:
        self._hosts = hosts

    def observe(self, host: ReplicaHost) -> None:
        """Something happened at `host`: if it believes now, nobody else may."""
        if host.believes and (others := [other.place for other in self._hosts if other is not host and other.believes]):
            raise Violation(f"{host.place} and {', '.join(others)} count on a master lease at one time")


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


class LockChecker:
    """Mutual exclusion in real time, and tokens that only grow (DESIGN §4, §6).

    A holder *acts* upon its lock only while it is awake and its own session lease runs; one that sleeps, or knows
    of its jeopardy, may lose the lock to somebody else.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._holder: str | None = None
        self._acts: Callable[[], bool] = lambda: False
        self._token: Token = 0

    def acquired(self, client: str, token: Token, acts: Callable[[], bool]) -> None:
        """`client` was told that it holds the lock; `acts` tells at any time whether it acts upon that."""
        if self._holder not in (None, client) and self._acts():
            raise Violation(f"{client} got {self._path} with token {token} while {self._holder} acts upon holding it")
        if token < self._token:
            raise Violation(f"token {token} of {self._path} after {self._token}")
        if self._holder is None and token == self._token:
            raise Violation(f"token {token} of {self._path} for a second hold period")
        self._holder, self._token, self._acts = client, token, acts

    def kept(self, client: str) -> None:
        """`client` was told that it lost nothing in its jeopardy, and had held the lock."""
        if self._holder != client:
            raise Violation(f"{client} is told that it kept {self._path}, which {self._holder} holds")

    def left(self, client: str) -> None:
        """`client` no longer believes to hold it: it asked to release, or is dead."""
        if self._holder == client:
            self._holder = None
