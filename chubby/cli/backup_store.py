"""Where backups go and come from: any fsspec URL (a local path, s3://, gs://, memory:// ...)."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from chubby.errors import BadArgument, ChubbyError, StorageFailed

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
        """Write them all, durably; returns how many bytes. An interrupted backup leaves no file of that name behind.

        Raises BadArgument if this is a folder, StorageFailed, and whatever `portions` raises.
        """
        with self._errors("writing"):
            if self._fs.isdir(self._path):
                raise BadArgument(f"{self.url} is a folder: name the file in it that is to be written")
            parent = self._fs._parent(self._path)
            if parent:
                self._fs.makedirs(parent, exist_ok=True)
        part = f"{self._path}.part"
        try:
            written = self._write_part(part, portions)
            with self._errors("writing"):
                self._fs.mv(part, self._path)
                if isinstance(self._fs, LocalFileSystem):
                    _sync_folder(Path(self._path).parent)
        except BaseException:
            with contextlib.suppress(Exception):
                if self._fs.exists(part):
                    self._fs.rm(part)
            raise
        return written

    def _write_part(self, part: str, portions: Iterable[bytes]) -> int:
        written = 0
        with self._errors("writing"):
            file = self._fs.open(part, "wb")
        try:
            for portion in portions:
                with self._errors("writing"):
                    file.write(portion)
                written += len(portion)
            if isinstance(self._fs, LocalFileSystem):
                with self._errors("writing"):
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(Exception):
                file.close()
            raise
        with self._errors("writing"):
            file.close()
        return written

    def read(self) -> Iterator[bytes]:
        """Its bytes in portions. Raises StorageFailed."""
        with self._errors("reading"), self._fs.open(self._path, "rb") as file:
            while portion := file.read(PORTION):
                yield portion

    def size(self) -> int | None:
        """Its size, if the store tells."""
        with contextlib.suppress(Exception):
            size = self._fs.size(self._path)
            return int(size) if size is not None else None
        return None

    def refuse_file(self) -> None:
        """Raises BadArgument if there is a file where a folder is meant. One that is not there yet is fine."""
        with self._errors("looking at"):
            if self._fs.isfile(self._path):
                raise BadArgument(f"{self.url} is a file: name a folder, which is made if it is not there")

    def below(self, name: str) -> Store:
        """`name` in the folder that this URL names."""
        return Store(f"{self.url.rstrip('/')}/{name}")

    def backups(self, cell: str) -> list[str]:
        """The names of the scheduled backups of `cell` in this folder, oldest first. Raises StorageFailed."""
        with self._errors("listing"):
            if not self._fs.exists(self._path):
                return []
            names = [str(entry).rpartition("/")[2] for entry in self._fs.ls(self._path, detail=False)]
        return sorted(name for name in names if (match := _STAMP.match(name)) and match["cell"] == cell)

    def remove(self) -> None:
        """Delete it. Raises StorageFailed."""
        with self._errors("removing"):
            self._fs.rm(self._path)

    @contextlib.contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Drivers of object stores raise what they like: all of it is the store refusing."""
        try:
            yield
        except ChubbyError:
            raise
        except Exception as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise StorageFailed(f"{doing} {self.url}: {reason}") from error


def _sync_folder(folder: Path) -> None:
    """Make the name durable that a file in `folder` was given."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
