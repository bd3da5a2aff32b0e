"""A `Choice`: a oneof of a message and the union of structs it carries, as one literal table.

Each row names the struct, the oneof's field, the part of the message behind that field, and the two functions that
translate between them. Encoding looks the row up by the struct's type, decoding by the name of the field that is set:
one dictionary access each, and no dispatch by attribute name. The table checks itself when it is made: every
member of the union and every field of the oneof stands in exactly one row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import UnionType
from typing import Generic, NamedTuple, TypeVar, cast, get_args

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from chubby.errors import BadArgument

M = TypeVar("M", bound=Message)
"""The message that has the oneof."""
P = TypeVar("P", bound=Message)
"""The message behind one of its fields."""
S = TypeVar("S")
"""The struct one row translates."""
U = TypeVar("U")
"""The union of them all."""


class Row(NamedTuple, Generic[M]):
    """One line of a table, the types of its part and its struct forgotten; made by `row`."""

    kind: type
    field: str
    part: Callable[[M], Message]
    put: Callable[[Message, object], None]
    take: Callable[[Message], object]


def row(
    kind: type[S], field: str, part: Callable[[M], P], put: Callable[[P, S], None], take: Callable[[P], S]
) -> Row[M]:
    """The line for `kind` ↔ `field`: `put` fills the part from a struct, `take` makes a struct of it.

    The casts only forget what this signature has checked: the functions of one line fit each other.
    """
    return Row(
        kind,
        field,
        part,
        cast("Callable[[Message, object], None]", put),
        cast("Callable[[Message], object]", take),
    )


def nothing(part: Message, value: object) -> None:
    """The `put` of a struct without fields."""


class Choice(Generic[M, U]):
    """The whole table of one oneof."""

    def __init__(self, descriptor: Descriptor, oneof: str, members: UnionType, rows: Sequence[Row[M]]) -> None:
        """Make the table for `oneof` of the message described by `descriptor`, carrying the union `members`."""
        self.name = f"{descriptor.name}.{oneof}"
        self._oneof = oneof
        self._encoders = {line.kind: (line.part, line.put) for line in rows}
        self._decoders = {line.field: (line.part, cast("Callable[[Message], U]", line.take)) for line in rows}
        fields = {field.name for field in descriptor.oneofs_by_name[oneof].fields}
        assert len(self._encoders) == len(self._decoders) == len(rows), f"{self.name}: a row twice"
        assert set(self._encoders) == set(get_args(members)), f"{self.name}: not the members of the union"
        assert set(self._decoders) == fields, f"{self.name}: not the fields of the oneof"

    @property
    def kinds(self) -> frozenset[type]:
        """The structs it carries: the members of the union."""
        return frozenset(self._encoders)

    def put(self, message: M, value: U) -> None:
        """Set the oneof of `message` to `value`; raises BadArgument if it is not of the union."""
        encoder = self._encoders.get(type(value))
        if encoder is None:
            raise BadArgument(f"{self.name} cannot carry a {type(value).__name__}")
        part = encoder[0](message)
        part.SetInParent()
        encoder[1](part, value)

    def take(self, message: M) -> U:
        """What the oneof of `message` holds; raises BadArgument if it is empty or unknown to this release."""
        field = message.WhichOneof(self._oneof)
        if field is None:
            raise BadArgument(f"{self.name} is empty, or holds what this release does not know")
        decoder = self._decoders[field]
        return decoder[1](decoder[0](message))
