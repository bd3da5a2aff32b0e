"""What the kernel's page cache holds of each file, as far as we can know. PURE.

The kernel keeps pages per file, whoever reads, and drops them at an open unless the answer says *keep*. It may keep
them exactly when they are of the version that the open is to see. We know that they are when

1. an open was answered without *keep* while we served version v (so the kernel drops what it had, and waits for reads
   that are on their way),
2. a request came through that descriptor (so it has done so: open(2) has returned),
3. and since 1. we have served nothing but v.

Whoever changes what is served calls `changed`, which begins all over. A request of the kernel that we answered before
1. leaves no page behind: the kernel waits for it in 1. and drops what it brought.
"""

from __future__ import annotations

from typing import Final

from fuse_mount.contents import Version

LIMIT: Final = 20_000
"""Files of which we remember anything; the oldest are forgotten, which costs them one read."""


class Pages:
    """See the module. Paths are those of the mount. Not for several threads at once."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._good: dict[str, Version] = {}
        self._hoped: dict[str, tuple[int, Version]] = {}
        self._limit = limit

    def opened(self, path: str, file: int, version: Version | None) -> bool:
        """`file` is being opened and shall see `version` (None: nothing that lasts). Whether the pages may be kept."""
        if version is None:
            return False
        if self._good.get(path) == version:
            return True
        self._good.pop(path, None)
        self._hoped[path] = (file, version)
        self._bound()
        return False

    def used(self, path: str, file: int) -> None:
        """A request came through `file`."""
        hoped = self._hoped.get(path)
        if hoped is not None and hoped[0] == file:
            del self._hoped[path]
            self._good[path] = hoped[1]

    def changed(self, path: str) -> None:
        """Something else is served of `path` from now on."""
        self._good.pop(path, None)
        self._hoped.pop(path, None)

    def clear(self) -> None:
        """Everything may be served otherwise from now on."""
        self._good.clear()
        self._hoped.clear()

    def _bound(self) -> None:
        for table in (self._good, self._hoped):
            if len(table) > self._limit:
                del table[next(iter(table))]
