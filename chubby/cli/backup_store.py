"""Where backups go and come from: any fsspec URL (a local path, s3://, gs://, memory:// ...)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from chubby.errors import BadArgument, StorageFailed

PORTION = 256 * 1024
SUFFIX = ".chubby"
_STAMP = re.compile(r"^(?P<cell>.+)-(?P<stamp>\d{8}T\d{6}Z)\.chubby$")


class Store:
    """The place a URL names."""

    def __init__(self, url: str) -> None:
        """Raises BadArgument for a URL that no installed driver understands."""
        self.url = url
        try:
            fs, self._path = url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise BadArgument(f"{url} cannot be opened: {error}") from error
        self._fs: Any = fs

    def write(self, portions: Iterable[bytes]) -> int:
        """Write them all; returns how many bytes. An interrupted backup leaves no file of that name behind."""
        part = f"{self._path}.part"
        written = 0
        try:
            with self._errors("writing"):
                parent = self._fs._parent(self._path)
                if parent:
                    self._fs.makedirs(parent, exist_ok=True)
                with self._fs.open(part, "wb") as file:
                    for portion in portions:
                        file.write(portion)
                        written += len(portion)
                self._fs.mv(part, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                if self._fs.exists(part):
                    self._fs.rm(part)
            raise
        return written

    def read(self) -> Iterator[bytes]:
        """Its bytes in portions."""
        with self._errors("reading"), self._fs.open(self._path, "rb") as file:
            while portion := file.read(PORTION):
                yield portion

    def size(self) -> int | None:
        """Its size, if the store tells."""
        with contextlib.suppress(OSError):
            size = self._fs.size(self._path)
            return int(size) if size is not None else None
        return None

    def below(self, name: str) -> Store:
        """`name` in the folder that this URL names."""
        return Store(f"{self.url.rstrip('/')}/{name}")

    def backups(self, cell: str) -> list[str]:
        """The names of the scheduled backups of `cell` in this folder, oldest first."""
        with self._errors("listing"):
            if not self._fs.exists(self._path):
                return []
            names = [str(entry).rpartition("/")[2] for entry in self._fs.ls(self._path, detail=False)]
        return sorted(name for name in names if (match := _STAMP.match(name)) and match["cell"] == cell)

    def remove(self) -> None:
        """Delete it."""
        with self._errors("removing"):
            self._fs.rm(self._path)

    @contextlib.contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageFailed(f"{doing} {self.url}: {error.strerror or error}") from error


def drivers() -> list[str]:
    """The kinds of URL that fsspec knows, whether or not their packages are installed."""
    return sorted(fsspec.available_protocols())
