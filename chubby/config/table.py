"""Reading one table of a TOML file key by key, so that every complaint names file, key and remedy.

A `Table` hands each value to a reader (a function that returns the value meant or raises ValueError with the trouble
and its remedy) and remembers which keys were asked for; `close` refuses the rest, naming the nearest known key. So
the list of known keys cannot drift from the keys that are read.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from chubby.errors import ConfigError

T = TypeVar("T")

Reader = Callable[[object], T]
"""Returns what a value means, or raises ValueError."""


def complaint(source: str, where: str, trouble: str) -> ConfigError:
    """The error that says: in file `source`, at `where`, there is this trouble (which includes its remedy)."""
    return ConfigError(f"{source}: {where}: {trouble}" if where else f"{source}: {trouble}")


class Table:
    """One table of the file `source`; `where` is how messages call it, for instance `[timing]`."""

    def __init__(self, source: str, where: str, values: object) -> None:
        if not isinstance(values, Mapping):
            raise complaint(source, where, "is not a table: write key = value lines below a [header]")
        self._source = source
        self._where = where
        self._values: Mapping[str, object] = values
        self._asked: dict[str, None] = {}

    def optional(self, key: str, read: Reader[T], default: T) -> T:
        """What `key` says, or `default` if it is absent. Raises ConfigError."""
        self._asked[key] = None
        return self._read(key, read) if key in self._values else default

    def required(self, key: str, read: Reader[T]) -> T:
        """What `key` says; raises ConfigError, also if it is absent."""
        self._asked[key] = None
        if key not in self._values:
            raise self.complaint(key, f"is missing: add {key} = ...")
        return self._read(key, read)

    def table(self, key: str) -> Table:
        """The table below `key`; empty if it is absent."""
        self._asked[key] = None
        return Table(self._source, f"{self._where} {key}" if self._where else f"[{key}]", self._values.get(key, {}))

    def tables(self, key: str) -> Sequence[Table]:
        """The array of tables below `key`; raises ConfigError, also if it is absent."""
        values = self.required(key, _read_list)
        return [Table(self._source, f"{self._where} {key}[{index}]", value) for index, value in enumerate(values)]

    def close(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                near = difflib.get_close_matches(key, list(self._asked), n=1)
                hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(self._asked)}"
                raise self.complaint(key, f"is no known key; {hint}")

    def complaint(self, key: str, trouble: str) -> ConfigError:
        """The error that says: at `key` of this table there is this trouble."""
        shown = key if key.isprintable() else ascii(key)
        return complaint(self._source, f"{self._where} {shown}".strip(), trouble)

    def _read(self, key: str, read: Reader[T]) -> T:
        try:
            return read(self._values[key])
        except ValueError as error:
            raise self.complaint(key, str(error)) from None


def _read_list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("is not a list: write [ ... ]")
    return value
