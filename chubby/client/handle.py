"""The asyncio face of a handle; its calls bear the paper's names (DESIGN §6; paper §2.6)."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from chubby.client import operations
from chubby.client.opening import OpenOptions
from chubby.client.ready import Ready
from chubby.client.sequencer import SequencerBytes
from chubby.client.streams import EventStream
from chubby.types.calls import Close, Mode
from chubby.types.events import Event
from chubby.types.identity import HandleNumber, Revision
from chubby.types.nodes import AclNames, DirEntry, LockInfo, LockMode, Stat
from chubby.types.results import LockGranted, Opened

if TYPE_CHECKING:
    from chubby.client.session import Session


class Handle:
    """An open node: bound to the instance that was opened, whatever later bears its name.

    Every call raises HandleInvalid once the node was deleted or the handle closed, HandlePoisoned after `poison`,
    SessionExpired once the session is lost; NoQuorum, DeadlineExceeded or OutcomeUnknown when its `timeout` (seconds)
    passes, the last only if the call may yet take effect. Reads are answered from the cache when it can.

    `name` is the full name, `path` that inside the cell; `created` says whether the open made the node.
    """

    def __init__(self, session: Session, number: HandleNumber, mode: Mode, opened: Opened) -> None:
        self.session = session
        self.number = number
        self.mode = mode
        self.path = opened.path
        self.name = session._names.full(opened.path)
        self.created = opened.created
        self.instance = opened.stat.instance
        self._driver = session._driver
        self._near = session._driver.near

    def __repr__(self) -> str:
        return f"<Handle {self.number} of {self.name}>"

    async def __aenter__(self) -> Handle:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -------------------------------------------------------------------------------------------------------- life

    async def close(self) -> None:
        """Close the handle; a lock that it holds or waits for is let go. Never fails."""
        self._driver.check_process()
        mailbox = self._driver.handle_mail.pop(self.number, None)
        if mailbox is not None:
            mailbox.close()
        await self._driver.call(Close(self.number))

    def poison(self) -> None:
        """Make outstanding and later calls on the handle fail with HandlePoisoned, without closing it."""
        self._driver.poison(self.number)

    def open(self, name: str, **options: Unpack[OpenOptions]) -> Ready[Handle]:
        """Open a node relative to this one; everything else as in `Session.open`."""
        return self.session._open_below(self.path, name, options)

    # ------------------------------------------------------------------------------------------------------- reads

    async def get_contents_and_stat(self, *, timeout: float | None = None) -> tuple[bytes, Stat]:
        """The whole content and the metadata, of one instant."""
        known = self._near(self.number)
        if known is not None and known.contents is not None and known.stat is not None:
            return known.contents, known.stat
        return await self.session._run(operations.get_contents_and_stat(self.number), timeout)

    async def get_stat(self, *, timeout: float | None = None) -> Stat:
        """The metadata."""
        known = self._near(self.number)
        if known is not None and known.stat is not None:
            return known.stat
        return await self.session._run(operations.get_stat(self.number), timeout)

    async def read_dir(self, *, timeout: float | None = None) -> list[DirEntry]:
        """All children with their metadata, in name order."""
        return await self.session._run(operations.read_dir(self.number), timeout)

    async def read_dir_page(
        self, after: str = "", limit: int = 0, *, timeout: float | None = None
    ) -> tuple[list[DirEntry], bool]:
        """One page of children, those after the name `after`, and whether more follow; limit 0: the greatest page."""
        return await self.session._run(operations.read_dir_page(self.number, after, limit), timeout)

    async def get_lock_info(self, *, timeout: float | None = None) -> LockInfo:
        """The state of the node's lock as of now; never cached."""
        return await self.session._run(operations.get_lock_info(self.number), timeout)

    # ----------------------------------------------------------------------------------------------------- changes

    async def set_contents(
        self, contents: bytes, *, generation: int | None = None, timeout: float | None = None
    ) -> Stat:
        """Replace the whole content; the metadata afterwards.

        With `generation`, only if the content generation is that one, else GenerationMismatch: compare-and-set.
        """
        return await self.session._run(operations.set_contents(self.number, contents, generation), timeout)

    async def set_acl(self, acl: AclNames, *, generation: int | None = None, timeout: float | None = None) -> Stat:
        """Replace the names of the access-control lists; with `generation`, only if the ACL generation is that one."""
        return await self.session._run(operations.set_acl(self.number, acl, generation), timeout)

    async def set_attributes(self, attributes: dict[str, bytes], *, timeout: float | None = None) -> Stat:
        """Change single attributes; an empty value removes the name."""
        return await self.session._run(operations.set_attributes(self.number, attributes), timeout)

    async def delete(self, *, timeout: float | None = None) -> Revision:
        """Delete the node. Raises NotEmpty if it has children."""
        return await self.session._run(operations.delete(self.number), timeout)

    # -------------------------------------------------------------------------------------------------------- lock

    async def acquire(
        self, mode: LockMode = LockMode.EXCLUSIVE, *, timeout: float | None = None, lock_delay: float = 0.0
    ) -> LockGranted:
        """Take the node's lock, waiting for it in line. `.token` of the result is the fencing number.

        `timeout` passed without the lock: DeadlineExceeded, and the place in the queue is given up; cancelled, the
        same; None waits for as long as it takes. `lock_delay` (seconds, at most 60) keeps the lock closed that long if
        this session dies holding it.
        """
        return await self.session._run(operations.acquire(self.number, mode, True, lock_delay), timeout, patient=True)

    async def try_acquire(
        self, mode: LockMode = LockMode.EXCLUSIVE, *, timeout: float | None = None, lock_delay: float = 0.0
    ) -> LockGranted:
        """Take the node's lock if it is free and nobody waits for it, else LockConflict at once."""
        return await self.session._run(operations.acquire(self.number, mode, False, lock_delay), timeout)

    async def release(self, *, timeout: float | None = None) -> None:
        """Give the lock back. Raises LockNotHeld if this handle does not hold it."""
        await self.session._run(operations.release(self.number), timeout)

    async def get_sequencer(self, *, timeout: float | None = None) -> SequencerBytes:
        """The sequencer of the lock held: bytes to send with every request to what the lock protects."""
        return await self.session._run(operations.get_sequencer(self.number), timeout)

    async def set_sequencer(self, sequencer: bytes, *, timeout: float | None = None) -> None:
        """Bind a sequencer to the handle: its later calls fail with SequencerInvalid once that is no longer valid."""
        await self.session._run(operations.set_sequencer(self.number, sequencer), timeout)

    async def check_sequencer(self, sequencer: bytes, *, timeout: float | None = None) -> SequencerBytes:
        """What `sequencer` means if its hold period lasts, else SequencerInvalid."""
        return await self.session._run(operations.check_sequencer(sequencer), timeout)

    # ------------------------------------------------------------------------------------------------------ events

    def events(self) -> EventStream[Event]:
        """The events chosen at `open`, from the first one on: `async for event in handle.events()`."""
        return EventStream(self._driver.mailbox(self.number, self.path))

    def on_event(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Have `callback` called with each event, in a thread of its own and in order; gives what ends that."""
        return self._driver.worker.deliver(self._driver.mailbox(self.number, self.path), callback)
