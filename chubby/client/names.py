"""What users call nodes, and what the cell calls them (paper §2.3).

| the user writes                | the cell sees                                                              |
|--------------------------------|----------------------------------------------------------------------------|
| `/ls/<cell>/a/b`               | `/a/b`; the cell is the session's, by its name or as `local`               |
| `/a/b`                         | `/a/b`: the path that events, results and `handle.path` carry              |
| `a/b`, through a handle        | below the handle's node                                                    |
| `a/b`, through the session     | below what the session was connected to (`/ls/local/svc`), else the root   |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from chubby import paths
from chubby.errors import BadPath
from chubby.types.transaction import Guard, Operation

Named = TypeVar("Named", Guard, Operation)


class Names:
    """The names of one session: `cell` is the cell's own, `asked` what the user called it, `base` where it starts."""

    def __init__(self, target: str) -> None:
        self.asked, self.base = paths.parse(target)
        self.cell = self.asked

    def path(self, name: str, base: str | None = None) -> str:
        """The path inside the cell that `name` means; relative to `base`, or the session's own. Raises BadPath."""
        if name == paths.PREFIX or name.startswith(paths.PREFIX + "/"):
            cell, path = paths.parse(name)
            if cell not in (self.cell, self.asked, paths.LOCAL_CELL):
                raise BadPath(f"{name!r}: this session is of the cell {self.cell!r}")
            return path
        if name.startswith("/"):
            return paths.validate(name)
        start = self.base if base is None else base
        return paths.join(start, name) if name else start

    def full(self, path: str) -> str:
        """The full name of a path inside the cell."""
        return paths.full_name(self.cell, path)

    def resolve(self, parts: Sequence[Named]) -> tuple[Named, ...]:
        """Guards or operations as the user named their nodes, as the cell names them."""
        return tuple(
            part if (path := self.path(part.path)) == part.path else msgspec.structs.replace(part, path=path)
            for part in parts
        )
