"""The JSON form of a transaction for `chubby txn`, and of its result.

::

    {"guards":    [{"type": "generation", "path": "/ls/local/svc/addr", "generation": 3}],
     "then":      [{"type": "write", "path": "/ls/local/svc/addr", "text": "10.0.0.8:80"}],
     "otherwise": [{"type": "read", "path": "/ls/local/svc/addr"}]}

The types and fields are those of `chubby.types.transaction`. Bytes (`contents`, values of `attributes`) are base64;
`text` instead of `contents` is taken as it is. Unknown fields are errors: a misspelled guard must not vanish.
"""

from __future__ import annotations

import base64
from typing import Final, TypeVar

import msgspec

from chubby.cli.txn_format import PathRule
from chubby.errors import BadArgument
from chubby.types.calls import Transact
from chubby.types.decoding import MALFORMED
from chubby.types.transaction import Create, Guard, Operation

_KEYS: Final = frozenset({"guards", "then", "otherwise"})
_T = TypeVar("_T", Guard, Operation)


def parse(text: str, path_of: PathRule) -> Transact:
    """The transaction that the JSON `text` writes. Raises BadArgument or BadPath."""
    try:
        raw = msgspec.json.decode(text, type=dict[str, list[dict[str, object]]])
        if unknown := raw.keys() - _KEYS:
            raise BadArgument(f"unknown field {min(unknown)!r}; the fields are guards, then, otherwise")
        guards: list[Guard] = [msgspec.convert(_checked(each), Guard) for each in raw.get("guards", [])]
        then = [_operation(each) for each in raw.get("then", [])]
        otherwise = [_operation(each) for each in raw.get("otherwise", [])]
    except MALFORMED as error:
        raise BadArgument(f"not the JSON of a transaction: {error}") from None
    return Transact(
        tuple(_inside(guard, path_of) for guard in guards),
        tuple(_inside(operation, path_of) for operation in then),
        tuple(_inside(operation, path_of) for operation in otherwise),
    )


def render(transact: Transact) -> bytes:
    """The JSON form, with paths inside the cell: the inverse of `parse`."""
    fields = {"guards": transact.guards, "then": transact.then, "otherwise": transact.otherwise}
    return msgspec.json.encode(fields)


def _operation(raw: dict[str, object]) -> Operation:
    operation: Operation = msgspec.convert(_checked(raw), Operation)
    if isinstance(operation, Create) and operation.ephemeral:
        raise BadArgument(
            f"{operation.path}: an ephemeral node would go with the session of this command; "
            "use: chubby put --ephemeral"
        )
    return operation


def _checked(raw: dict[str, object]) -> dict[str, object]:
    """`raw` with `text` turned into `contents`, and no field that its type does not have."""
    fields = dict(raw)
    if isinstance(text := fields.pop("text", None), str):
        if "contents" in fields:
            raise BadArgument("give text or contents, not both")
        fields["contents"] = base64.b64encode(text.encode()).decode()
    elif text is not None:
        raise BadArgument("text is a string")
    known = _FIELDS.get(str(fields.get("type")))
    if known is not None and (unknown := fields.keys() - known):
        raise BadArgument(f"{fields['type']} has no field {min(unknown)!r}; it has {', '.join(sorted(known))}")
    return fields


def _fields() -> dict[str, frozenset[str]]:
    """For each type of guard and operation, its fields in JSON."""
    found = {}
    for kind in (*Guard.__args__, *Operation.__args__):
        tag = str(kind.__struct_config__.tag)
        found[tag] = frozenset({"type", *(field.encode_name for field in msgspec.structs.fields(kind))})
    return found


_FIELDS: Final = _fields()


def _inside(thing: _T, path_of: PathRule) -> _T:
    return msgspec.structs.replace(thing, path=path_of(thing.path))
