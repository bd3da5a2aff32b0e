"""The objects that histories are made with, written without a look at the models; and what clients ask of them."""

from __future__ import annotations

import random

from tests.checking.atomic import Effect
from tests.checking.locks import (
    Acquire,
    Confirm,
    Granted,
    Hold,
    LockCall,
    LockResult,
    LockSaid,
    Release,
    TryAcquire,
    Validate,
)
from tests.checking.nodes import (
    BORN,
    Create,
    Delete,
    Look,
    Made,
    Mark,
    NodeCall,
    NodeResult,
    Restrict,
    Restricted,
    Said,
    Vanish,
    View,
    Write,
    Wrote,
)
from tests.checking.registers import (
    NIL,
    Append,
    Get,
    ReadRegister,
    RegisterCall,
    RegisterResult,
    StringCall,
    Swap,
    WriteRegister,
)


class Register:
    """A number."""

    def __init__(self) -> None:
        self.value = NIL

    def apply(self, call: RegisterCall) -> Effect[RegisterResult]:
        """Take effect now."""
        if isinstance(call, ReadRegister):
            return Effect(self.value)
        if isinstance(call, Swap) and self.value != call.old:
            return Effect(False)
        self.value = call.new if isinstance(call, Swap) else call.value
        return Effect(True)

    @staticmethod
    def next_call(chance: random.Random, client: str) -> RegisterCall:
        """Few values, so that they come again."""
        value = chance.randrange(4)
        return chance.choice((ReadRegister(), WriteRegister(value), Swap(value, chance.randrange(4))))


class Text:
    """A string."""

    def __init__(self) -> None:
        self.value = ""
        self.count = 0

    def apply(self, call: StringCall) -> Effect[str]:
        """Take effect now."""
        if isinstance(call, Get):
            return Effect(self.value)
        self.value = self.value + call.value if isinstance(call, Append) else call.value
        return Effect("")

    def next_call(self, chance: random.Random, client: str) -> StringCall:
        """Each append is unlike all others."""
        self.count += 1
        return chance.choice((Get(), Append(f"{client}.{self.count} ")))


class Node:
    """A name at which a node comes and goes. Instances and revisions are shared with others, so they leap."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.instance = 0
        self.latest = 10
        self.generation = 0
        self.contents = b""
        self.mark = b""
        self.acl = BORN
        self.revision = self.modified = 100
        self.count = 0

    def apply(self, call: NodeCall) -> Effect[NodeResult]:
        """Take effect now."""
        there = self.instance > 0
        match call:
            case Look():
                return self._seen() if there else Effect(Said.ABSENT)
            case Create(contents, may_exist):
                if there:
                    return self._seen() if may_exist else Effect(Said.EXISTS)
                self.latest += self.chance.randrange(1, 4)
                self.instance, self.generation, self.contents = self.latest, 1, contents
                self.mark, self.acl = b"", BORN
                return Effect(Made(self.instance), made=self._next_revision())
            case Write(instance, contents, expected):
                if instance != self.instance:
                    return Effect(Said.GONE)
                if expected not in (None, self.generation):
                    return Effect(Said.MISMATCH)
                self.generation, self.contents = self.generation + 1, contents
                return Effect(Wrote(self.generation), made=self._next_revision())
            case Delete(instance):
                if instance != self.instance:
                    return Effect(Said.GONE)
                self.instance, self.contents = 0, b""
                return Effect(Said.DELETED, made=self._next_revision())
            case Mark() | Restrict():
                return self._described(call)
            case Vanish():
                raise AssertionError("no client asks for that")

    def _described(self, call: Mark | Restrict) -> Effect[NodeResult]:
        if call.instance != self.instance:
            return Effect(Said.GONE)
        if isinstance(call, Mark):
            self.mark = call.mark
            return Effect(Said.MARKED, made=self._next_revision())
        if call.expected not in (None, self.acl[1]):
            return Effect(Said.MISMATCH)
        self.acl = (call.names, self.acl[1] + 1)
        return Effect(Restricted(self.acl[1]), made=self._next_revision())

    def _seen(self) -> Effect[NodeResult]:
        read, stat = self.chance.random() < 0.7, self.chance.random() < 0.7
        contents = self.contents if read else None
        mark, acl = (self.mark, self.acl) if stat else (None, None)
        return Effect(View(self.instance, self.generation, contents, mark, acl), saw=self.modified)

    def _next_revision(self) -> int:
        self.revision += self.chance.randrange(1, 4)
        self.modified = self.revision
        return self.modified

    def next_call(self, chance: random.Random, client: str) -> NodeCall:
        """Contents that no other write has; instances that are there, or were a moment ago."""
        self.count += 1
        draw = chance.random()
        contents = b"%d" % self.count
        instance = max(self.instance or self.latest, 11)
        if draw < 0.4:
            return Look()
        if draw < 0.55:
            return Create(contents, may_exist=chance.random() < 0.5)
        if draw < 0.65:
            return Delete(instance)
        if draw < 0.72:
            return Mark(instance, contents)
        if draw < 0.78:
            known = None if chance.random() < 0.5 else max(self.acl[1] - chance.randrange(2), 1)
            return Restrict(instance, f"list {self.count}", known)
        expected = None if chance.random() < 0.5 else max(self.generation - chance.randrange(2), 1)
        return Write(instance, contents, expected)


class Lock:
    """A lock without a queue: what cannot be had at once is a conflict."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.holders: dict[str, Hold] = {}
        self.token = 5

    def apply(self, call: LockCall) -> Effect[LockResult]:
        """Take effect now."""
        match call:
            case TryAcquire(owner, hold) | Acquire(owner, hold):
                if owner in self.holders:
                    hold = self.holders[owner]
                elif self.holders and {hold, *self.holders.values()} != {Hold.SHARED}:
                    return Effect(LockSaid.CONFLICT)
                if not self.holders:
                    self.token += self.chance.randrange(1, 3)
                self.holders[owner] = hold
                return Effect(Granted(self.token))
            case Confirm(owner):
                return Effect(Granted(self.token) if owner in self.holders else LockSaid.NOT_HELD)
            case Release(owner):
                return Effect(LockSaid.RELEASED if self.holders.pop(owner, None) else LockSaid.NOT_HELD)
            case Validate(token):
                return Effect(LockSaid.VALID if self.holders and token == self.token else LockSaid.INVALID)

    def next_call(self, chance: random.Random, client: str) -> LockCall:
        """An owner keeps to one mode."""
        hold = Hold.SHARED if client in ("c0", "c1", "c2") else Hold.EXCLUSIVE
        draw = chance.randrange(6)
        if draw < 2:
            return TryAcquire(client, hold)
        return (Confirm(client), Release(client), Release(client), Validate(self.token))[draw - 2]
