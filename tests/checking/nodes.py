"""One node as clients see it: made, read, written, deleted, and made again as another instance (DESIGN §4 Node).

Of the numbers a client is shown, content generations can be foreseen (1 at first, one more with each write); the
instance cannot, other than that it is above every earlier one's. Ephemeral nodes may go by themselves: whoever records
a history with some adds one `Vanish` of unknown outcome for each creation of one.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

import msgspec

from tests.checking.history import UNKNOWN, Unknown


class Look(msgspec.Struct, frozen=True, gc=False):
    """Open, stat or read: answered with a `View` or ABSENT."""


class Create(msgspec.Struct, frozen=True, gc=False):
    """Make the node: answered with `Made`, or, if one was there, EXISTS; with `may_exist` a `View` of that one."""

    contents: bytes = b""
    may_exist: bool = False
    ephemeral: bool = False


class Write(msgspec.Struct, frozen=True, gc=False):
    """Replace the contents of an instance (None: of whichever is there); with `expected`, only those of that one.

    Answered with `Wrote`, MISMATCH or GONE.
    """

    instance: int | None
    contents: bytes
    expected: int | None = None


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Delete an instance: answered with DELETED or GONE."""

    instance: int


class Vanish(msgspec.Struct, frozen=True, gc=False):
    """An ephemeral node goes by itself. Nobody is told when."""


class Mark(msgspec.Struct, frozen=True, gc=False):
    """Set the one attribute of an instance: answered with MARKED or GONE."""

    instance: int
    mark: bytes


class Restrict(msgspec.Struct, frozen=True, gc=False):
    """Replace the ACL names of an instance; with `expected`, only those of that generation. Answered with `Restricted`,
    MISMATCH or GONE.
    """

    instance: int
    names: str
    expected: int | None = None


NodeCall = Look | Create | Write | Delete | Vanish | Mark | Restrict


class View(msgspec.Struct, frozen=True, gc=False):
    """A node that is there. What is None was not looked at.

    `acl` are the names of its ACLs and their generation, but for names that no `Restrict` of the history set.
    """

    instance: int | None
    generation: int
    contents: bytes | None = None
    mark: bytes | None = None
    acl: tuple[str, int] | None = None


class Made(msgspec.Struct, frozen=True, gc=False):
    """The node was not there and is now."""

    instance: int


class Wrote(msgspec.Struct, frozen=True, gc=False):
    """The contents are those, as of this generation."""

    generation: int


class Restricted(msgspec.Struct, frozen=True, gc=False):
    """The ACL names are those, as of this generation."""

    generation: int


class Said(enum.Enum):
    """Answers without a number."""

    ABSENT = "absent"
    EXISTS = "exists"
    MISMATCH = "mismatch"
    GONE = "gone"
    DELETED = "deleted"
    MARKED = "marked"

    def __repr__(self) -> str:
        return self.value


NodeResult = View | Made | Wrote | Restricted | Said


BORN = ("", 1)
"""The ACL of a new node: names that were inherited, in their first generation."""


class NodeState(NamedTuple):
    """`generation` 0: there is no node. `instance` is that of the node, or of the last one there was; not `exact`: it
    is greater than that.
    """

    instance: int = 0
    generation: int = 0
    contents: bytes = b""
    ephemeral: bool = False
    exact: bool = True
    mark: bytes = b""
    acl: tuple[str, int] = BORN


class NodeModel:
    """One name, at which nodes come and go."""

    def initial(self) -> NodeState:
        """No node, and never one."""
        return NodeState()

    def step(self, state: NodeState, call: NodeCall, result: NodeResult | Unknown) -> NodeState | None:
        """See `Model`."""
        match call:
            case Look():
                return state if result is UNKNOWN else _look(state, result)
            case Write():
                return _write(state, call, result)
            case Create():
                return _create(state, call, result)
            case Delete():
                return _delete(state, call, result)
            case Mark():
                return _mark(state, call, result)
            case Restrict():
                return _restrict(state, call, result)
            case Vanish():
                return _without(state) if state.generation and state.ephemeral else None

    def observes(self, call: NodeCall, result: NodeResult) -> bool:
        """See `Model`."""
        return not isinstance(result, Made | Wrote | Restricted) and result not in (Said.DELETED, Said.MARKED)

    def show(self, state: NodeState) -> str:
        """See `Model`."""
        above = "" if state.exact else "above "
        if state.generation == 0:
            return f"no node, the last was instance {above}{state.instance}"
        kind = "ephemeral, " if state.ephemeral else ""
        extra = (f", mark {state.mark!r}" if state.mark else "") + (f", acl {state.acl}" if state.acl != BORN else "")
        return f"{kind}instance {above}{state.instance}, generation {state.generation}, {state.contents!r}{extra}"


def _known_as(state: NodeState, instance: int | None) -> NodeState | None:
    """The state, if its node can be that instance: from then on exactly that. Any node can be None."""
    if state.generation == 0:
        return None
    if instance is None:
        return state
    if state.exact:
        return state if state.instance == instance else None
    return state._replace(instance=instance, exact=True) if instance > state.instance else None


def _without(state: NodeState) -> NodeState:
    return NodeState(instance=state.instance, exact=state.exact)


def _look(state: NodeState, result: NodeResult) -> NodeState | None:
    if result is Said.ABSENT:
        return state if state.generation == 0 else None
    if not isinstance(result, View):
        return None
    if result.generation != state.generation or result.contents not in (None, state.contents):
        return None
    if result.mark not in (None, state.mark) or (result.acl is not None and result.acl != state.acl):
        return None
    return _known_as(state, result.instance)


def _mark(state: NodeState, call: Mark, result: NodeResult | Unknown) -> NodeState | None:
    if result is Said.MARKED or result is UNKNOWN:
        here = _known_as(state, call.instance)
        return None if here is None else here._replace(mark=call.mark)
    return state if result is Said.GONE and not _certainly(state, call.instance) else None


def _restrict(state: NodeState, call: Restrict, result: NodeResult | Unknown) -> NodeState | None:
    here = _known_as(state, call.instance)
    fits = here is not None and call.expected in (None, here.acl[1])
    if isinstance(result, Restricted) or result is UNKNOWN:
        if here is None or not fits:
            return None
        after = here._replace(acl=(call.names, here.acl[1] + 1))
        return after if result is UNKNOWN or result.generation == after.acl[1] else None
    if result is Said.MISMATCH:
        return None if fits else here
    return state if result is Said.GONE and not _certainly(state, call.instance) else None


def _create(state: NodeState, call: Create, result: NodeResult | Unknown) -> NodeState | None:
    if state.generation == 0:
        if result is UNKNOWN:
            return NodeState(state.instance, 1, call.contents, call.ephemeral, exact=False)
        if isinstance(result, Made) and result.instance > state.instance:
            return NodeState(result.instance, 1, call.contents, call.ephemeral)
        return None
    if result is UNKNOWN:
        return state
    if call.may_exist:
        return _look(state, result) if isinstance(result, View) else None
    return state if result is Said.EXISTS else None


def _write(state: NodeState, call: Write, result: NodeResult | Unknown) -> NodeState | None:
    here = _known_as(state, call.instance)
    fits = here is not None and call.expected in (None, here.generation)
    if isinstance(result, Wrote) or result is UNKNOWN:
        if here is None or not fits:
            return None
        after = here._replace(generation=here.generation + 1, contents=call.contents)
        return after if result is UNKNOWN or result.generation == after.generation else None
    if result is Said.MISMATCH:
        return None if fits else here
    return state if result is Said.GONE and not _certainly(state, call.instance) else None


def _delete(state: NodeState, call: Delete, result: NodeResult | Unknown) -> NodeState | None:
    if result is Said.DELETED or result is UNKNOWN:
        here = _known_as(state, call.instance)
        return None if here is None else _without(here)
    return state if result is Said.GONE and not _certainly(state, call.instance) else None


def _certainly(state: NodeState, instance: int | None) -> bool:
    """Whether the node is that instance, whatever the state leaves open."""
    return state.generation > 0 and (instance is None or (state.exact and state.instance == instance))
