"""Reading nodes by name through one session: from its cache, else through handles that are kept open for a while.

A node that the cache knows costs no call and no handle: a listing of a thousand names brings the metadata of all, and a
`stat` of each is answered from it. What the cache does not know is asked through a handle, which is the client's way to
have it cached. The handle of an ephemeral node is closed at once: kept open it would keep the node alive. Any other is
kept until it is among the longest unused of too many, and closed when nobody reads through it any more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
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


class _Used:
    """A handle that is kept, or that somebody reads through."""

    __slots__ = ("handle", "kept", "readers")

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.kept = False
        self.readers = 1


class Reader:
    """See the module. For many threads."""

    def __init__(self, session: Session, handles: int = HANDLES) -> None:
        self._session = session
        self._limit = handles
        self._handles: OrderedDict[str, _Used] = OrderedDict()
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
            with suppress(HandleInvalid), self._handle(path) as handle:  # invalid: the node was made again
                return read(handle)
        raise NoNode(f"{path} is deleted and made again and again")

    # ----------------------------------------------------------------------------------------------------- handles

    @contextmanager
    def _handle(self, path: str) -> Iterator[Handle]:
        """A handle to read through, which stays open meanwhile; one that turns out to be invalid is kept no longer."""
        used = self._kept(path) or _Used(self._session.open(self.name(path), mode=Mode.READ))
        try:
            if not used.kept and not used.handle.get_stat().ephemeral:
                self._keep(path, used)
            yield used.handle
        except HandleInvalid:
            self._forget(path, used)
            raise
        finally:
            self._give_back(used)

    def _kept(self, path: str) -> _Used | None:
        with self._mutex:
            used = self._handles.get(path)
            if used is not None:
                self._handles.move_to_end(path)
                used.readers += 1
            return used

    def _keep(self, path: str, used: _Used) -> None:
        surplus: list[_Used] = []
        with self._mutex:
            used.kept = self._handles.setdefault(path, used) is used
            while len(self._handles) > self._limit:
                _, oldest = self._handles.popitem(last=False)
                oldest.kept = False
                if not oldest.readers:
                    surplus.append(oldest)
        for each in surplus:
            self.dismiss(each.handle)

    def _forget(self, path: str, used: _Used) -> None:
        with self._mutex:
            if self._handles.get(path) is used:
                del self._handles[path]
            used.kept = False

    def _give_back(self, used: _Used) -> None:
        with self._mutex:
            used.readers -= 1
            idle = not used.kept and not used.readers
        if idle:
            self.dismiss(used.handle)

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
