"""News from the cell, on their way to the kernel and to whoever reads `.chubby/events`.

A change reaches us twice. *Before* it is made the master asks all who may cache the old value to drop it, and waits:
`before` has the kernel drop its pages too, so that after the change no descriptor reads what only the kernel still
kept. *After* it was made a watch tells: `Follower` fetches what is open here, shows it, and has the kernel drop
whatever was read of the old in between. On its way it also learns how long a content may become in this cell.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from chubby.errors import ChubbyError, NoNode, SessionError
from chubby.paths import ROOT
from chubby.types.events import Event, EventKind
from chubby.types.stream import CacheKey, CacheKind
from fuse_mount.files import Files
from fuse_mount.janitor import Janitor
from fuse_mount.kernel import Kernel
from fuse_mount.names import ContentsOf, path_of
from fuse_mount.tenure import Tenure

logger = logging.getLogger(__name__)

LIMIT_FRESH: Final = 60.0
"""Seconds after which the cell is asked again how long a content may become, if anything happens in it."""
_CONTENTS = frozenset({EventKind.CREATED, EventKind.CONTENTS_MODIFIED})


def names_of(path: str) -> tuple[str, str]:
    """What the mount may show the content of a node as."""
    return path, path_of(ContentsOf(path))


def before(keys: tuple[CacheKey, ...] | None, files: Files, kernel: Kernel) -> None:
    """Something is about to change (None: anything may have): no descriptor shall read what the kernel keeps of it."""
    opened = files.names()
    if keys is None:
        doomed = opened
    else:
        changing = {name for key in keys if key.kind is CacheKind.NODE for name in names_of(key.path)}
        doomed = [name for name in opened if name in changing]
    for name in doomed:
        kernel.drop(name)


class Follower:
    """Follows what happens in the cell through one tenure, in a thread of its own."""

    def __init__(
        self,
        tenure: Tenure,
        files: Files,
        tell: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tell` is told each event, after what it brought is shown. `clock` gives seconds."""
        self._tenure = tenure
        self._files = files
        self._tell = tell
        self._clock = clock
        self._limit_due = clock()
        self._janitor = Janitor()
        self._thread = threading.Thread(target=self._run, name="chubby-mount-follower", daemon=True)

    def start(self) -> None:
        """Begin. It ends with the session."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            session = self._tenure.session
            with session.watch(self._tenure.reader.name(ROOT), recursive=True) as watch:
                self._show_all()  # what was opened before the watch began has missed what happened since
                self._ask_limit()
                for event in watch:
                    self._take(event)
                    self._ask_limit()
        except ChubbyError as error:
            logger.info("no more news through session %d: %s", self._tenure.session.id, error)

    def _take(self, event: Event) -> None:
        """Show what it brought. One node that cannot be read is no reason to follow the others no longer."""
        if event.kind in _CONTENTS:
            self._show(event.path)
        elif event.kind is EventKind.DELETED:
            self._files.gone(self._tenure, event.path, event.instance)
        elif event.kind is EventKind.RESYNC:
            self._show_all()
        try:
            self._tell(event)
        except Exception:
            logger.exception("nobody was told of %s", event)

    def _show_all(self) -> None:
        for path in self._files.paths(self._tenure):
            self._show(path)

    def _show(self, path: str) -> None:
        """What is open here is to be seen as it is now. Raises SessionError."""
        instance = self._files.instance(self._tenure, path)
        if instance is None:
            return
        try:
            contents, stat = self._tenure.reader.contents(path)
            self._files.adopt(self._tenure, path, contents, stat)
        except NoNode:
            self._files.gone(self._tenure, path, instance)
        except SessionError:
            raise
        except Exception as error:
            logger.warning("what is new in %s is not shown: %s", path, error)

    def _ask_limit(self) -> None:
        """Now and then, without waiting for it: how long may a content become?"""
        if self._clock() >= self._limit_due:
            self._limit_due = self._clock() + LIMIT_FRESH
            self._janitor.entrust(self._learn_limit)

    def _learn_limit(self) -> None:
        try:
            self._files.learn_limit(self._tenure.session.status().content_limit)
        except ChubbyError as error:
            logger.info("how long a content may become is not known: %s", error)
