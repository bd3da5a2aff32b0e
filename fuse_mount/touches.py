"""Letting inotify see what happened on another machine.

The kernel tells watchers of what is done through the mount, and of nothing else. So what a watch of the cell tells is
done once more here, through our own mount, by a process of its own (`hand` says why); the file system recognises its
requests and answers them without doing anything. A watcher sees what it would have seen, had it happened here:

| what happened | what that process does                       | what we answer it     | watchers see        |
|---------------|----------------------------------------------|-----------------------|---------------------|
| created       | open(O_CREAT, O_EXCL), close; or mkdir       | "not there", "made"   | CREATE              |
| modified      | open(O_WRONLY), ftruncate to its size, close | "open", "done"        | MODIFY, CLOSE_WRITE |
| attributes    | utime                                        | "done"                | ATTRIB              |
| deleted       | unlink                                       | "a file", "done"      | DELETE              |

Nothing is done where the kernel knows nothing of the name and its directory: nobody watches there. Nor for changes that
came through this mount: whoever made them has told. Which ones those were is known when the reply is there, hence the
DELAY.

Removing a name for the kernel takes it from whoever has the file open: their fstat is ESTALE from then on. So it shall
be for a node that is gone. But its name may be another's by then, which somebody has open already: then the removal,
and the making after it, wait until that is closed, TRIES times the DELAY at most.

When the mount is taken away there is another directory in its place, with files that are to be neither made nor
removed. So our hand first asks for a number in it that only we can give, and gives up if it is not ours.
"""

from __future__ import annotations

import enum
import errno
import logging
import secrets
import stat as posix
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from chubby.errors import ChubbyError, NodeExists, NoNode
from chubby.types.events import Event, EventKind
from chubby.types.identity import Revision
from fuse_mount.filesystem import Attributes
from fuse_mount.hand import Hand
from fuse_mount.hand_worker import PROOF
from fuse_mount.names import CONTENTS_NAME

logger = logging.getLogger(__name__)

TOUCHED: Final = (1 << 40) - 1
"""The number of the file that our own hand has open: no other ever gets so far."""
DELAY: Final = 0.05
"""Seconds between an event and its touch."""
LIMIT: Final = 10_000
"""Touches that may wait; beyond that the oldest are left out."""
TRIES: Final = 100
"""So often a removal is tried of a name that is in use again."""
OWN: Final = 10_000
"""Revisions that are remembered as made through this mount."""
_PROOF: Final = f"/{PROOF}"
_OVER: Final = frozenset({errno.EROFS, errno.ENOTCONN})
"""What says that nothing more can be touched: the mount is to be read only, or is there no more."""


class Touch(enum.Enum):
    """What is done."""

    CREATE = "create"
    MODIFY = "modify"
    ATTRIBUTES = "attributes"
    DELETE = "delete"


_TOUCHES: Final = {
    EventKind.CREATED: Touch.CREATE,
    EventKind.CONTENTS_MODIFIED: Touch.MODIFY,
    EventKind.ATTRIBUTES_MODIFIED: Touch.ATTRIBUTES,
    EventKind.ACL_MODIFIED: Touch.ATTRIBUTES,
    EventKind.DELETED: Touch.DELETE,
}


class Due(msgspec.Struct, frozen=True):
    """When something is to be touched, in seconds; for a change of which revision; how often that was tried before."""

    when: float
    revision: Revision
    tries: int = 0


class OwnRevisions:
    """Which changes came through this mount. For many threads."""

    def __init__(self, limit: int = OWN) -> None:
        self._limit = limit
        self._guard = threading.Lock()
        self._known: OrderedDict[Revision, None] = OrderedDict()

    def add(self, revision: Revision) -> None:
        """This one did."""
        with self._guard:
            self._known[revision] = None
            if len(self._known) > self._limit:
                self._known.popitem(last=False)

    def __contains__(self, revision: Revision) -> bool:
        with self._guard:
            return revision in self._known


class Toucher:
    """See the module."""

    def __init__(
        self,
        requester: Callable[[], int],
        knows: Callable[[str], bool],
        truth: Callable[[str], Attributes],
        own: OwnRevisions,
        in_use: Callable[[str], bool],
    ) -> None:
        """`requester`: the thread that made the present request; `knows`: whether the kernel knows a name; `truth`: the
        attributes of what the mount shows as that; `in_use`: whether somebody has that open.
        """
        self._in_use = in_use
        self._requester = requester
        self._knows = knows
        self._truth = truth
        self._own = own
        self._directory = ""
        self._proof = secrets.randbits(60)
        self._changed = threading.Condition()
        self._due: OrderedDict[tuple[str, Touch], Due] = OrderedDict()
        self._ended = False
        self._hand = Hand()
        self.name = ""
        """What is touched now, or was last."""
        self._touch: Touch | None = None
        self._thread = threading.Thread(target=self._run, name="chubby-mount-toucher", daemon=True)

    def start(self, directory: str) -> None:
        """Begin. `directory` is where this cell is mounted."""
        self._directory = directory
        self._thread.start()

    def end(self) -> None:
        """Touch nothing more. Idempotent."""
        with self._changed:
            self._ended = True
            self._due.clear()
            self._changed.notify()
        self._hand.close()

    def put(self, name: str, event: Event) -> None:
        """Something has happened to what the mount shows as `name`."""
        touch = _TOUCHES.get(event.kind)
        if touch is None:
            return
        with self._changed:
            if self._ended:
                return
            self._due.pop((name, touch), None)
            self._due[name, touch] = Due(time.monotonic() + DELAY, event.revision)
            if len(self._due) > LIMIT:
                self._due.popitem(last=False)
            self._changed.notify()

    # ----------------------------------------------------------------------------------------------------- answers

    def touches(self, name: str) -> Touch | None:
        """What our own hand is about, if the present request about `name` is its own."""
        return self._touch if name == self.name and self._is_ours() else None

    def _is_ours(self) -> bool:
        return self._touch is not None and self._requester() == self._hand.process

    def getattr(self, name: str) -> Attributes | None:
        """What to answer our own hand for as long as it shall believe it; None: the truth."""
        if name == _PROOF and self._is_ours():
            return {"st_mode": posix.S_IFDIR | 0o555, "st_ino": 1, "st_nlink": 1, "st_size": self._proof}
        touch = self.touches(name)
        if touch is Touch.CREATE:
            raise OSError(errno.ENOENT, "so that it may be made")
        if touch is Touch.DELETE:
            with suppress(NoNode):  # the kernel takes the answer for that of whoever has it open, too
                return self._truth(name)
            return {"st_mode": posix.S_IFREG | 0o644, "st_ino": 1, "st_nlink": 1}
        return None

    def done(self, name: str) -> bool:
        """Whether the present request is the touch itself: then it is answered, and the truth from now on.

        Raises OSError EBUSY if it is a removal, and the name is in use again.
        """
        touch = self.touches(name)
        if touch is None:
            return False
        self._touch = None
        if touch is Touch.DELETE:
            self._check_unused(name)
        return True

    # ------------------------------------------------------------------------------------------------------ thread

    def _run(self) -> None:
        while (due := self._next()) is not None:
            name, touch, change = due
            if change.revision in self._own or not self._watched(name):
                continue
            try:
                act = self._act(name, touch)
                self.name, self._touch = name, touch
                self._hand.do(act, name[1:] or ".", self._directory, self._proof)
            except ChubbyError as error:
                logger.debug("%s of %s is not told to watchers: %s", touch.value, name, error)
            except OSError as error:
                if error.errno in _OVER:
                    break
                if touch is Touch.DELETE and error.errno == errno.EBUSY:
                    self._put_off(name, change)
                logger.debug("%s of %s is not told to watchers: %s", touch.value, name, error)
            except Exception:  # a mistake of ours, which shall cost this piece of news and no other
                logger.exception("%s of %s is not told to watchers", touch.value, name)
            finally:
                self._touch = None
        self.end()

    def _watched(self, name: str) -> bool:
        """Whether somebody may watch it, or the directory in which it is."""
        above, _, last = name.rpartition("/")
        return self._knows(name) or (last != CONTENTS_NAME and self._knows(above or "/"))

    def _act(self, name: str, touch: Touch) -> str:
        """What to do. Raises NoNode if what was made is gone again.

        What was removed and made again is removed for the kernel all the same: who has the old one open must not take
        it for the new one. But not if that is a directory, in which somebody may be at work by now. Raises OSError
        EBUSY if somebody has the new one open.
        """
        if touch is Touch.DELETE and self._is_directory(name):
            raise NodeExists(f"{name} was made again")
        if touch is Touch.DELETE:
            self._check_unused(name)
        if touch is Touch.CREATE and posix.S_ISDIR(self._truth(name)["st_mode"]):
            if self._knows(name):  # for who is in it already it would vanish: getcwd(3) fails then
                raise NodeExists(f"somebody has seen {name} already")
            return "mkdir"
        return _ACTS[touch]

    def _is_directory(self, name: str) -> bool:
        with suppress(NoNode, NotADirectoryError):
            return posix.S_ISDIR(self._truth(name)["st_mode"])
        return False

    def _check_unused(self, name: str) -> None:
        if self._in_use(name):
            raise OSError(errno.EBUSY, f"{name} was made again, and somebody has that open")

    def _put_off(self, name: str, removal: Due) -> None:
        """Try again later, and tell of what was made in its place after that; unless it was removed once more."""
        with self._changed:
            if self._ended or (name, Touch.DELETE) in self._due or removal.tries >= TRIES:
                return
            when = time.monotonic() + DELAY
            making = self._due.pop((name, Touch.CREATE), removal)
            self._due[name, Touch.DELETE] = Due(when, removal.revision, removal.tries + 1)
            self._due[name, Touch.CREATE] = Due(when, making.revision)

    def _next(self) -> tuple[str, Touch, Due] | None:
        with self._changed:
            while not self._ended:
                if not self._due:
                    self._changed.wait()
                    continue
                (name, touch), due = next(iter(self._due.items()))
                left = due.when - time.monotonic()
                if left <= 0:
                    del self._due[name, touch]
                    return name, touch, due
                self._changed.wait(left)
            return None


_ACTS: Final = {
    Touch.CREATE: "create",
    Touch.MODIFY: "modify",
    Touch.ATTRIBUTES: "utime",
    Touch.DELETE: "unlink",
}
"""In the words of `hand_worker`."""
