"""Every field of every row counts: a replica that differs in any of them is found by its digest, and memory that rots
by the scrub (DESIGN §3 Digest).

At the end of a run each kind of row that there is gets each of its fields changed, behind the machine's back; its mark
must then be wrong. Rows that contradict themselves (contents and their checksum) are found as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec

from chubby.namespace.machine import Machine
from chubby.namespace.table import Table
from tests.simulation.violation import Violation

ROWS = 2
"""Of each table so many are tried, those that were put there last."""


def check(machine: Machine) -> int:
    """Raises Violation for a field that is not seen; tells how many were tried. Leaves the machine as it was."""
    tried = 0
    for table in cast("tuple[Table[object, object], ...]", machine._state.tables):
        rows = table.rows
        for key in list(rows)[-ROWS:]:
            row = rows[key]
            for field, changed in _variants(row):
                rows[key] = changed
                if table.is_sound(key):
                    raise Violation(f"the digest does not see {field} of table {table.name}: {row}")
                tried += 1
            rows[key] = row
    return tried


def _variants(row: object) -> Iterator[tuple[str, object]]:
    """The row with one field changed, for each field that can be changed plainly, also of what is inside of it."""
    if not isinstance(row, msgspec.Struct):
        return
    for field in row.__struct_fields__:
        value = getattr(row, field)
        if isinstance(value, msgspec.Struct):
            for inner, changed in _variants(value):
                yield f"{field}.{inner}", msgspec.structs.replace(row, **{field: changed})
        elif type(value) is int:
            yield field, msgspec.structs.replace(row, **{field: value + 1})
        elif type(value) is bool:
            yield field, msgspec.structs.replace(row, **{field: not value})
        elif isinstance(value, str | bytes):
            longer = value + "x" if isinstance(value, str) else value + b"x"
            yield field, msgspec.structs.replace(row, **{field: longer})
