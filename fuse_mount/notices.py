"""News from the cell, on their way to the kernel and to whoever reads `.chubby/events`.

A change reaches us twice. *Before* it is made the master asks all who may cache the old value to drop it, and waits:
`before` has the kernel drop its pages too, so that after the change no descriptor reads what only the kernel still
kept. *After* it was made a watch tells: `Follower` fetches what is open here, shows it, and has the kernel drop
whatever was read of the old in between.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from chubby.errors import ChubbyError, NoNode
from chubby.paths import ROOT
from chubby.types.events import Event, EventKind
from chubby.types.stream import CacheKey, CacheKind
from fuse_mount.files import Files
from fuse_mount.kernel import Kernel
from fuse_mount.names import ContentsOf, path_of
from fuse_mount.tenure import Tenure

logger = logging.getLogger(__name__)

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

    def __init__(self, tenure: Tenure, files: Files, tell: Callable[[Event], None]) -> None:
        """`tell` is told each event, after what it brought is shown."""
        self._tenure = tenure
        self._files = files
        self._tell = tell
        self._thread = threading.Thread(target=self._run, name="chubby-mount-follower", daemon=True)

    def start(self) -> None:
        """Begin. It ends with the session."""
        self._thread.start()

    def _run(self) -> None:
        try:
            session = self._tenure.session
            with session.watch(self._tenure.reader.name(ROOT), recursive=True) as watch:
                for event in watch:
                    self._take(event)
        except ChubbyError as error:
            logger.info("no more news through session %d: %s", self._tenure.session.id, error)

    def _take(self, event: Event) -> None:
        if event.kind in _CONTENTS:
            self._show(event.path)
        elif event.kind is EventKind.RESYNC:
            for path in self._files.paths(self._tenure):
                self._show(path)
        self._tell(event)

    def _show(self, path: str) -> None:
        """What is open here is to be seen as it is now."""
        if not self._files.is_open(self._tenure, path):
            return
        try:
            contents, stat = self._tenure.reader.contents(path)
        except NoNode:
            return  # removed again: that will be told, too
        self._files.adopt(self._tenure, path, contents, stat)
