"""Reading nodes by name through one session: from its cache, else through handles that are kept open for a while.

A node that the cache knows costs no call and no handle: a listing of a thousand names brings the metadata of all, and a
`stat` of each is answered from it. What the cache does not know is asked through a handle, which is the client's way to
have it cached. The handle of an ephemeral node is closed at once: kept open it would keep the node alive.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Final, TypeVar

from chubby import Handle, Mode, Session
from chubby.errors import ChubbyError, HandleInvalid, NoNode
from chubby.paths import full_name
from chubby.types.nodes import DirEntry, Stat

R = TypeVar("R")

HANDLES: Final = 1024
"""Handles that are kept open for reading."""
_ATTEMPTS: Final = 8
"""A node may be deleted and made again between two of our calls, but hardly that often."""


class Reader:
    """See the module. For many threads."""

    def __init__(self, session: Session, handles: int = HANDLES) -> None:
        self._session = session
        self._limit = handles
        self._handles: OrderedDict[str, Handle] = OrderedDict()
        self._mutex = Lock()
        self._closer = ThreadPoolExecutor(1, "chubby-mount-closer")

    def name(self, path: str) -> str:
        """The full name of the node at `path`."""
        return full_name(self._session.cell, path)

    # ----------------------------------------------------------------------------------------------------- reading

    def stat(self, path: str) -> Stat:
        """The metadata of a node. Raises NoNode."""
        known = self._session.cached(self.name(path))
        if known is None:
            return self._through(path, Handle.get_stat)
        if known.stat is None:
            raise NoNode(f"{path} is not there")
        return known.stat

    def contents(self, path: str) -> tuple[bytes, Stat]:
        """The content and the metadata of a node. Raises NoNode."""
        known = self._session.cached(self.name(path))
        if known is None or known.contents is None or known.stat is None:
            if known is not None and known.stat is None:
                raise NoNode(f"{path} is not there")
            return self._through(path, Handle.get_contents_and_stat)
        return known.contents, known.stat

    def listing(self, path: str) -> list[DirEntry]:
        """The children of a node with their metadata. Raises NoNode."""
        return self._through(path, Handle.read_dir)

    def _through(self, path: str, read: Callable[[Handle], R]) -> R:
        for _ in range(_ATTEMPTS):
            with suppress(HandleInvalid):  # the node was made again, or another thread closed the handle
                return self._once(path, read)
        raise NoNode(f"{path} is deleted and made again and again")

    def _once(self, path: str, read: Callable[[Handle], R]) -> R:
        kept = self._kept(path)
        handle = kept or self._session.open(self.name(path), mode=Mode.READ)
        try:
            if kept is None and not handle.get_stat().ephemeral:
                self._keep(path, handle)
            return read(handle)
        except HandleInvalid:
            self._drop(path, handle)
            raise
        finally:
            if not self._keeps(path, handle):
                self.dismiss(handle)

    # ----------------------------------------------------------------------------------------------------- handles

    def _kept(self, path: str) -> Handle | None:
        with self._mutex:
            handle = self._handles.get(path)
            if handle is not None:
                self._handles.move_to_end(path)
            return handle

    def _keeps(self, path: str, handle: Handle) -> bool:
        with self._mutex:
            return self._handles.get(path) is handle

    def _keep(self, path: str, handle: Handle) -> None:
        surplus: list[Handle] = []
        with self._mutex:
            self._handles.setdefault(path, handle)
            while len(self._handles) > self._limit:
                surplus.append(self._handles.popitem(last=False)[1])
        for each in surplus:
            self.dismiss(each)

    def _drop(self, path: str, handle: Handle) -> None:
        """Keep it no longer; who has used it dismisses it."""
        with self._mutex:
            if self._handles.get(path) is handle:
                del self._handles[path]

    def dismiss(self, handle: Handle) -> None:
        """Close a handle, of this session, without waiting for it."""
        try:
            self._closer.submit(_close, handle)
        except RuntimeError:  # closed: the session takes its handles along
            return

    def close(self) -> None:
        """The session is over."""
        self._closer.shutdown(wait=False, cancel_futures=True)


def _close(handle: Handle) -> None:
    with suppress(ChubbyError):  # the session is over, and the handle with it
        handle.close()
