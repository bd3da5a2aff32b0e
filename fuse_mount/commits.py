"""On the way to the cell: what was written to an open node, committed by a thread that nobody can interrupt.

Whoever closes a file may be interrupted or killed while the cell takes its time. A call given up then may have been
carried out or not; and what was appended must neither be lost nor come twice. So a commit that has begun is waited for
to its end, if need be without whoever asked for it: by a thread of its own, which ends with the answer or the session.
Later flushes wait for it; what it came to is told to all who wrote.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread

from chubby import Handle, Mode
from chubby.client.waiting import Patience
from chubby.errors import ChubbyError, GenerationMismatch, HandleInvalid, NoNode
from chubby.types.identity import Revision
from chubby.types.nodes import Stat
from fuse_mount.contents import Commit
from fuse_mount.errnos import errno_of
from fuse_mount.open_nodes import Fate, OpenFile, OpenNode

logger = logging.getLogger(__name__)

READ_WRITE = Mode.READ | Mode.WRITE
"""For what is written to: what is there has to be read again when it is another than one thought."""


class Commits:
    """See the module. For many threads.

    `mutex` guards nodes and contents. `shown` is called under it, `tell` without, when something else is shown of a
    node; `made` is told the revision of each change.
    """

    def __init__(
        self,
        mutex: Lock,
        shown: Callable[[OpenNode], None],
        tell: Callable[[OpenNode], None],
        made: Callable[[Revision], object],
    ) -> None:
        self._mutex = mutex
        self._shown = shown
        self._tell = tell
        self._made = made

    def commit(self, file: OpenFile) -> OSError | None:
        """What was written to the node goes to the cell, if anything of `file` waits. Why it is lost, if it is.

        Every contributor's content knows the failure, too. Raises what ends the thread's waiting (`waiting`): then the
        commit goes on.
        """
        node = self.hold(file)
        with self._mutex:
            due = node.fate is not Fate.REMOVED_HERE and node.content.owes(file.number)
            commit = node.content.plan() if due else None
        if commit is None:
            node.committing.release()
            return None
        outcome: Future[OSError | None] = Future()
        thread = Thread(target=self._run, args=(file, node, commit, outcome), name="chubby-mount-commit", daemon=True)
        try:
            thread.start()
        except BaseException:  # no thread is to be had now
            with self._mutex:
                node.content.returned()
            node.committing.release()
            raise
        return _wait(outcome)

    def hold(self, file: OpenFile) -> OpenNode:
        """The node of `file`, with its `committing` taken."""
        while True:
            node = file.node
            acquire(node.committing)
            if file.node is node:
                return node
            node.committing.release()

    def _run(self, file: OpenFile, node: OpenNode, commit: Commit, outcome: Future[OSError | None]) -> None:
        reason: OSError | None = None
        try:
            self._carry_out(file, node, commit)
        except Exception as error:
            reason = _reason(node, error)
            with self._mutex:
                node.content.failed(reason)
                self._shown(node)
        node.committing.release()
        try:
            self._tell(node)
        except Exception:
            logger.exception("not everybody was told of what was written to %s", node.path)
        outcome.set_result(reason)

    def _carry_out(self, file: OpenFile, node: OpenNode, commit: Commit) -> None:
        """Write to the cell what was gathered, appended to what is there now if that is all that was done."""
        while True:
            with self._mutex:
                path, instance = node.path, node.content.instance
            news: tuple[bytes, Stat] | None = None
            try:
                handle = self._handle(file, path, instance)
                try:
                    stat = handle.set_contents(commit.contents, generation=commit.generation)
                except GenerationMismatch:
                    news = handle.get_contents_and_stat()
            except (HandleInvalid, NoNode):
                with self._mutex:
                    if node.fate is Fate.REMOVED_HERE:
                        node.content.returned()
                        return
                    if node.content.instance == instance:
                        raise
            else:
                if news is None:
                    self._done(node, stat)
                    return
            commit = self._again(node, news)

    def _done(self, node: OpenNode, stat: Stat) -> None:
        self._made(stat.modified)
        with self._mutex:
            node.content.done(stat.content_generation)
            self._shown(node)

    def _again(self, node: OpenNode, news: tuple[bytes, Stat] | None) -> Commit:
        """What to write instead: to what is there now, or to the node that it has become."""
        with self._mutex:
            node.content.returned()
            if news is not None:
                node.content.adopt(news[0], news[1].content_generation)
                self._shown(node)
            commit = node.content.plan()
        assert commit is not None, "it was returned"
        return commit

    def _handle(self, file: OpenFile, path: str, instance: int) -> Handle:
        """The handle to write through. Raises HandleInvalid, NoNode if the node is another by now."""
        handle = file.handle
        if handle is not None and handle.instance == instance:
            return handle
        made = file.tenure.session.open(file.tenure.reader.name(path), mode=READ_WRITE)
        if made.instance != instance:
            file.tenure.reader.dismiss(made)
            raise HandleInvalid(f"{path} was deleted and made again")
        if handle is not None:
            file.tenure.reader.dismiss(handle)
        file.handle = made
        return made


def acquire(lock: Lock) -> None:
    """Take a lock that is held across calls; ended by what ends the thread's calls."""
    patience = Patience()
    while not lock.acquire(timeout=patience.slice):
        patience.look_up()


def _wait(outcome: Future[OSError | None]) -> OSError | None:
    patience = Patience()
    while True:
        try:
            return outcome.result(patience.slice)
        except TimeoutError:
            patience.look_up()


def _reason(node: OpenNode, error: Exception) -> OSError:
    """What those who wrote are told."""
    if isinstance(error, HandleInvalid | NoNode):
        return OSError(errno.ESTALE, f"{node.path} was deleted")
    if not isinstance(error, ChubbyError | OSError):
        logger.error("unexpected in a commit to %s", node.path, exc_info=error)
    return OSError(errno_of(error), str(error))
