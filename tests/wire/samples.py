"""Values of every type the wire carries, made from the types themselves: nothing can be forgotten.

`of(kind)` is a hypothesis strategy of arbitrary values; `complete(kind)` a short list of values that leave nothing out:
every optional part is there, every tuple holds each of its alternatives, every alternative of a union occurs.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import cache
from typing import Final

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from chubby.types.nodes import Stat
from chubby.types.results import SessionInfo
from chubby.types.status import CellStatus, ReplicaStatus
from chubby.types.stream import SessionOpened

GREATEST: Final = (1 << 63) - 1
NATURALS = st.integers(0, GREATEST)
INTEGERS = st.integers(-GREATEST - 1, GREATEST)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
BYTES = st.binary(max_size=12)

SPECIAL: Final[dict[tuple[type, str], st.SearchStrategy[object]]] = {
    (Stat, "checksum"): st.integers(0, (1 << 64) - 1),
    (Stat, "created_ms"): INTEGERS,
    (Stat, "modified_ms"): INTEGERS,
    (SessionInfo, "lease_left"): INTEGERS,
    (CellStatus, "lease_left"): INTEGERS,
    (CellStatus, "margin"): st.none() | INTEGERS,
    (ReplicaStatus, "lag"): INTEGERS,
    (SessionOpened, "drift_ppm"): st.integers(0, 999_999),
}
"""Fields that are not simply natural numbers, or not all of them; all other numbers are any."""


def of(kind: object) -> st.SearchStrategy[object]:
    """Arbitrary values of a type or union."""
    return _strategy(inspect.type_info(kind))


def complete(kind: object) -> list[object]:
    """Values of a type or union that together leave nothing out."""
    return _complete(inspect.type_info(kind))


def _strategy(shape: inspect.Type) -> st.SearchStrategy[object]:
    if isinstance(shape, inspect.StructType):
        return _struct(shape.cls)
    if isinstance(shape, inspect.UnionType):
        return st.one_of([_strategy(member) for member in shape.types])
    if isinstance(shape, inspect.EnumType):
        return _members(shape.cls)
    if isinstance(shape, inspect.VarTupleType):
        return st.lists(_strategy(shape.item_type), max_size=3).map(tuple)
    if isinstance(shape, inspect.TupleType):
        return st.tuples(*[_strategy(item) for item in shape.item_types])
    if isinstance(shape, inspect.DictType):
        return st.dictionaries(_strategy(shape.key_type), _strategy(shape.value_type), max_size=3)
    return SCALARS[type(shape)]


@cache
def _struct(kind: type) -> st.SearchStrategy[object]:
    shape = inspect.type_info(kind)
    assert isinstance(shape, inspect.StructType)
    fields = {
        field.name: SPECIAL[kind, field.name] if (kind, field.name) in SPECIAL else _strategy(field.type)
        for field in shape.fields
    }
    return st.builds(kind, **fields)


SCALARS: Final[dict[type, st.SearchStrategy[object]]] = {
    inspect.IntType: NATURALS,
    inspect.StrType: TEXTS,
    inspect.BytesType: BYTES,
    inspect.BoolType: st.booleans(),
    inspect.NoneType: st.none(),
}


def _members(kind: type) -> st.SearchStrategy[object]:
    if issubclass(kind, enum.IntFlag):
        return st.integers(0, sum(flag.value for flag in kind)).map(kind)
    assert issubclass(kind, enum.Enum)
    return st.sampled_from(list(kind))


def _complete(shape: inspect.Type) -> list[object]:
    if isinstance(shape, inspect.StructType):
        return _complete_struct(shape)
    if isinstance(shape, inspect.UnionType):
        return [value for member in shape.types for value in _complete(member) if value is not None]
    if isinstance(shape, inspect.EnumType):
        return [list(shape.cls)[-1]]
    if isinstance(shape, inspect.VarTupleType):
        return [tuple(_complete(shape.item_type))]
    if isinstance(shape, inspect.TupleType):
        return [tuple(_complete(item)[0] for item in shape.item_types)]
    if isinstance(shape, inspect.DictType):
        return [{"b": b"2", "a": b"1"}]
    return [COMPLETE_SCALARS[type(shape)]()]


def _complete_struct(shape: inspect.StructType) -> list[object]:
    alternatives = {field.name: _complete(field.type) for field in shape.fields}
    count = max([1, *(len(values) for values in alternatives.values())])
    return [
        shape.cls(**{name: values[min(index, len(values) - 1)] for name, values in alternatives.items()})
        for index in range(count)
    ]


COMPLETE_SCALARS: Final[dict[type, Callable[[], object]]] = {
    inspect.IntType: lambda: 7,
    inspect.StrType: lambda: "/a/ä",
    inspect.BytesType: lambda: b"\x00\xff",
    inspect.BoolType: lambda: True,
    inspect.NoneType: lambda: None,
}


def structs(kind: object) -> list[type[msgspec.Struct]]:
    """Every struct reachable from a type, each once, in order of first sight."""
    found: dict[type[msgspec.Struct], None] = {}
    waiting = [inspect.type_info(kind)]
    while waiting:
        shape = waiting.pop(0)
        if isinstance(shape, inspect.StructType):
            if shape.cls not in found:
                found[shape.cls] = None
                waiting += [field.type for field in shape.fields]
        elif isinstance(shape, inspect.UnionType):
            waiting += shape.types
        elif isinstance(shape, inspect.VarTupleType):
            waiting.append(shape.item_type)
        elif isinstance(shape, inspect.TupleType):
            waiting += shape.item_types
    return list(found)
