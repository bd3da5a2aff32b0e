"""The synchronous face of a handle; what its calls mean is said in `chubby.client.handle`."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from chubby.client import operations
from chubby.client.handle import Handle as AsyncHandle
from chubby.client.opening import OpenOptions
from chubby.client.sequencer import SequencerBytes
from chubby.client.sync_events import Events
from chubby.types.events import Event
from chubby.types.identity import Revision
from chubby.types.nodes import AclNames, DirEntry, LockInfo, LockMode, Stat
from chubby.types.results import LockGranted

if TYPE_CHECKING:
    from chubby.client.sync import Session


class Handle:
    """An open node, for ordinary threads: see `chubby.aio.Handle`, which this is in every other respect."""

    def __init__(self, session: Session, handle: AsyncHandle) -> None:
        self.session = session
        self.number = handle.number
        self.mode = handle.mode
        self.path = handle.path
        self.name = handle.name
        self.created = handle.created
        self.instance = handle.instance
        self._handle = handle
        self._seam = session._seam
        self._near = self._seam.driver.near

    def __repr__(self) -> str:
        return f"<Handle {self.number} of {self.name}>"

    def __enter__(self) -> Handle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seam.ours:
            self.close()

    def close(self) -> None:
        """Close the handle; a lock that it holds or waits for is let go. Never fails."""
        if not self._seam.closed:
            self._seam.wait_for(self._handle.close())

    def poison(self) -> None:
        """Make outstanding and later calls on the handle fail with HandlePoisoned, without closing it."""
        self._seam.on_loop(self._handle.poison)

    def open(self, name: str, **options: Unpack[OpenOptions]) -> Handle:
        """Open a node relative to this one; everything else as in `Session.open`."""
        return self.session._open_below(self.path, name, options)

    # ------------------------------------------------------------------------------------------------------- reads

    def get_contents_and_stat(self, *, timeout: float | None = None) -> tuple[bytes, Stat]:
        """The whole content and the metadata, of one instant."""
        known = self._near(self.number)
        if known is not None and known.contents is not None and known.stat is not None:
            return known.contents, known.stat
        return self._seam.run(operations.get_contents_and_stat(self.number), timeout)

    def get_stat(self, *, timeout: float | None = None) -> Stat:
        """The metadata."""
        known = self._near(self.number)
        if known is not None and known.stat is not None:
            return known.stat
        return self._seam.run(operations.get_stat(self.number), timeout)

    def read_dir(self, *, timeout: float | None = None) -> list[DirEntry]:
        """All children with their metadata, in name order."""
        return self._seam.run(operations.read_dir(self.number), timeout)

    def read_dir_page(
        self, after: str = "", limit: int = 0, *, timeout: float | None = None
    ) -> tuple[list[DirEntry], bool]:
        """One page of children, those after the name `after`, and whether more follow; limit 0: the greatest page."""
        return self._seam.run(operations.read_dir_page(self.number, after, limit), timeout)

    def get_lock_info(self, *, timeout: float | None = None) -> LockInfo:
        """The state of the node's lock as of now; never cached."""
        return self._seam.run(operations.get_lock_info(self.number), timeout)

    # ----------------------------------------------------------------------------------------------------- changes

    def set_contents(self, contents: bytes, *, generation: int | None = None, timeout: float | None = None) -> Stat:
        """Replace the whole content; with `generation`, only if the content generation is that one."""
        return self._seam.run(operations.set_contents(self.number, contents, generation), timeout)

    def set_acl(self, acl: AclNames, *, generation: int | None = None, timeout: float | None = None) -> Stat:
        """Replace the names of the access-control lists; with `generation`, only if the ACL generation is that one."""
        return self._seam.run(operations.set_acl(self.number, acl, generation), timeout)

    def set_attributes(self, attributes: dict[str, bytes], *, timeout: float | None = None) -> Stat:
        """Change single attributes; an empty value removes the name."""
        return self._seam.run(operations.set_attributes(self.number, attributes), timeout)

    def delete(self, *, timeout: float | None = None) -> Revision:
        """Delete the node. Raises NotEmpty if it has children."""
        return self._seam.run(operations.delete(self.number), timeout)

    # -------------------------------------------------------------------------------------------------------- lock

    def acquire(
        self, mode: LockMode = LockMode.EXCLUSIVE, *, timeout: float | None = None, lock_delay: float = 0.0
    ) -> LockGranted:
        """Take the node's lock, waiting for it in line; DeadlineExceeded when `timeout` passes without it."""
        return self._seam.run(operations.acquire(self.number, mode, True, lock_delay), timeout, patient=True)

    def try_acquire(
        self, mode: LockMode = LockMode.EXCLUSIVE, *, timeout: float | None = None, lock_delay: float = 0.0
    ) -> LockGranted:
        """Take the node's lock if it is free and nobody waits for it, else LockConflict at once."""
        return self._seam.run(operations.acquire(self.number, mode, False, lock_delay), timeout)

    def release(self, *, timeout: float | None = None) -> None:
        """Give the lock back. Raises LockNotHeld if this handle does not hold it."""
        self._seam.run(operations.release(self.number), timeout)

    def get_sequencer(self, *, timeout: float | None = None) -> SequencerBytes:
        """The sequencer of the lock held: bytes to send with every request to what the lock protects."""
        return self._seam.run(operations.get_sequencer(self.number), timeout)

    def set_sequencer(self, sequencer: bytes, *, timeout: float | None = None) -> None:
        """Bind a sequencer to the handle: its later calls fail with SequencerInvalid once that is no longer valid."""
        self._seam.run(operations.set_sequencer(self.number, sequencer), timeout)

    def check_sequencer(self, sequencer: bytes, *, timeout: float | None = None) -> SequencerBytes:
        """What `sequencer` means if its hold period lasts, else SequencerInvalid."""
        return self._seam.run(operations.check_sequencer(sequencer), timeout)

    # ------------------------------------------------------------------------------------------------------ events

    def events(self) -> Events[Event]:
        """The events chosen at `open`, from the first one on: `for event in handle.events()`."""
        driver = self._seam.driver
        return Events(self._seam, lambda: driver.mailbox(self.number, self.path))

    def on_event(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Have `callback` called with each event, in a thread of its own and in order; gives what ends that."""
        return self._seam.on_loop_undoable(lambda: self._handle.on_event(callback))
