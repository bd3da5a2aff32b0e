"""The machine accepts any command that can be decoded, and never raises (DESIGN §4).

A command that made it raise would make every replica raise, at the same slot, again after each restart.
"""

from __future__ import annotations

import enum
import types
import typing

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chubby.namespace.commands import Command, decode, encode
from chubby.namespace.machine import Machine
from chubby.namespace.snapshot import UnknownVersion
from tests.namespace.cell import GENESIS
from tests.namespace.test_digest import a_full_cell, from_scratch

_INTEGERS = st.sampled_from([-(1 << 63), -1, 0, 1, 2, 3, 4, 5, 1 << 62, (1 << 64) - 1]) | st.integers(
    -(1 << 63), (1 << 64) - 1
)
_TEXTS = st.sampled_from(["/a", "/a/e", "/", "/acl", "/a/s-", "anyone", "ann", "/.chubby", ""]) | st.text(max_size=20)
_BYTES = st.binary(max_size=80)


def anything(kind: object) -> SearchStrategy[object]:
    """Any value of a type that commands are made of, however senseless."""
    if kind is bool:
        return st.booleans()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{name: anything(hints[name]) for name in kind.__struct_fields__})
    if kind in (int, str, bytes, type(None)):
        return {int: _INTEGERS, str: _TEXTS, bytes: _BYTES, type(None): st.none()}[kind]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(list(kind))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([anything(argument) for argument in arguments])
    if origin is dict:
        return st.dictionaries(_TEXTS, _BYTES, max_size=3)
    assert origin is tuple and arguments[1:] == (...,), kind
    return st.lists(anything(arguments[0]), max_size=4).map(tuple)


_COMMANDS = st.builds(
    Command, st.just(1) | _INTEGERS, _INTEGERS, _INTEGERS, anything(typing.get_type_hints(Command)["body"])
)
_FULL = list(a_full_cell().machine.snapshot().slices(1 << 20))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(commands=st.lists(_COMMANDS, min_size=1, max_size=8))
def test_no_command_raises(commands: list[Command]) -> None:
    """Any sequence, in an empty cell and in a full one; afterwards the machine is as sound as before."""
    for machine in (Machine.genesis(GENESIS), Machine.restore(_FULL)):
        for command in commands:
            machine.apply(machine.applied + 1, decode(encode(msgspec.structs.replace(command, epoch=machine.epoch))))
            machine.apply(machine.applied, command)
        assert machine.digest() == from_scratch(machine)
        slices = machine.snapshot().slices(1 << 20)
        if machine.understood:
            assert Machine.restore(slices).digest() == machine.digest()
        else:
            with pytest.raises(UnknownVersion):
                Machine.restore(slices)


@settings(max_examples=100)
@given(command=_COMMANDS)
def test_commands_survive_the_log(command: Command) -> None:
    """Encoded and decoded they are the same."""
    assert decode(encode(command)) == command
