"""Who offers a service, and where: `chubby.ServiceRegistry(session, "/ls/local/services")` (paper §2, naming).

Each instance of a service is an ephemeral node `<root>/<service>/<instance>`: it is there for as long as the session
that registered it. Its address is the node's content; the address and what else one says of an instance are also its
attributes, so that one cached listing answers "who is there, and where".

Error handling
--------------
- *The process dies*: its entry goes when its session lease has run out, seconds later; whoever watches is told.
- *Jeopardy*: entries stay. `instances` waits for a master; clients go on with what they know.
- *Session lost*: so are its entries. Register again with a new session.
- *The name is taken* by an instance of another session, for instance one's own that died moments ago: `register` takes
  the entry over, address and attributes, and from then on both sessions keep it alive.
- *The entry is deleted by somebody*: `registration.lost()` returns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType

import msgspec

from chubby.client.handle import Handle
from chubby.client.session import Session
from chubby.client.sync import Session as SyncSession
from chubby.client.sync_handle import Handle as SyncHandle
from chubby.errors import NoNode, SessionExpired
from chubby.types.calls import Mode
from chubby.types.events import EventKind, EventMask
from chubby.types.nodes import DirEntry, NodeKind

_ADDRESS = "address"


class Instance(msgspec.Struct, frozen=True):
    """One instance of a service, as registered."""

    name: str
    address: str
    attributes: dict[str, bytes]


class AsyncRegistration:
    """An entry of one's own. It lasts until `close`, or until the session ends."""

    def __init__(self, handle: Handle, instance: Instance) -> None:
        self.handle = handle
        self.instance = instance

    async def lost(self) -> str:
        """Wait until the entry is gone for good; why."""
        try:
            async for event in self.handle.events():
                if event.kind is EventKind.HANDLE_INVALID:
                    return f"{self.handle.name} was deleted"
        except SessionExpired as error:
            return str(error)
        return "closed"

    async def update(self, attributes: Mapping[str, bytes]) -> None:
        """Change single attributes; an empty value removes the name."""
        await self.handle.set_attributes(dict(attributes))

    async def close(self) -> None:
        """Take the entry back. Never fails."""
        await self.handle.close()

    async def __aenter__(self) -> AsyncRegistration:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncServiceRegistry:
    """The registry for asyncio. The parent of `root` must exist; the rest is made as needed."""

    def __init__(self, session: Session, root: str) -> None:
        self.root = root
        self._session = session

    async def register(
        self, service: str, name: str, address: str, attributes: Mapping[str, bytes] | None = None
    ) -> AsyncRegistration:
        """Enter an instance; it is visible when this returns."""
        said = {**(attributes or {}), _ADDRESS: address.encode()}
        directory = await self._directory(service)
        try:
            handle = await directory.open(
                name,
                create=True,
                ephemeral=True,
                contents=address.encode(),
                attributes=said,
                events=EventMask.HANDLE_INVALID,
            )
        finally:
            await directory.close()
        if not handle.created:
            try:
                await handle.set_attributes(said)
                await handle.set_contents(address.encode())
            except BaseException:
                await handle.close()  # nobody else would, and it keeps the entry alive
                raise
        return AsyncRegistration(handle, Instance(name, address, said))

    async def _directory(self, service: str) -> Handle:
        async with self._session.open(self.root, create=True, kind=NodeKind.DIRECTORY) as root:
            return await root.open(service, create=True, kind=NodeKind.DIRECTORY, mode=Mode.READ | Mode.WRITE)

    async def instances(self, service: str) -> list[Instance]:
        """Who is there, in name order."""
        try:
            async with self._session.open(f"{self.root}/{service}", mode=Mode.READ) as directory:
                return _instances(await directory.read_dir())
        except NoNode:
            return []

    async def follow(self, service: str) -> AsyncIterator[list[Instance]]:
        """Who is there now, and again whenever that changes: `async for instances in registry.follow("web")`."""
        async with self._session.watch(f"{self.root}/{service}", recursive=True) as watch:
            seen = await self.instances(service)
            yield seen
            async for _ in watch:
                watch._drop_waiting()  # one listing answers for all that is known to have happened before it
                found = await self.instances(service)
                if found != seen:
                    seen = found
                    yield seen


def _instances(entries: list[DirEntry]) -> list[Instance]:
    return [
        Instance(entry.name, entry.stat.attributes[_ADDRESS].decode(errors="replace"), entry.stat.attributes)
        for entry in entries
        if _ADDRESS in entry.stat.attributes
    ]


class Registration:
    """An entry of one's own, for ordinary threads."""

    def __init__(self, session: SyncSession, registration: AsyncRegistration) -> None:
        self.handle = SyncHandle(session, registration.handle)
        self.instance = registration.instance
        self._seam = session._seam
        self._registration = registration

    def lost(self, timeout: float | None = None) -> str | None:
        """Wait until the entry is gone for good; why. None if it lasts longer than `timeout` seconds."""
        return self._seam.wait_within(self._registration.lost, timeout)

    def update(self, attributes: Mapping[str, bytes]) -> None:
        """Change single attributes; an empty value removes the name."""
        self._seam.wait_for(self._registration.update(attributes))

    def close(self) -> None:
        """Take the entry back. Never fails."""
        if not self._seam.closed:
            self._seam.wait_for(self._registration.close())

    def __enter__(self) -> Registration:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seam.ours:
            self.close()


class ServiceRegistry:
    """The registry for ordinary threads."""

    def __init__(self, session: SyncSession, root: str) -> None:
        self.root = root
        self._session = session
        self._seam = session._seam
        self._registry = AsyncServiceRegistry(self._seam.session, root)

    def register(
        self, service: str, name: str, address: str, attributes: Mapping[str, bytes] | None = None
    ) -> Registration:
        """Enter an instance; it is visible when this returns."""
        made = self._seam.wait_for(self._registry.register(service, name, address, attributes))
        return Registration(self._session, made)

    def instances(self, service: str) -> list[Instance]:
        """Who is there, in name order."""
        return self._seam.wait_for(self._registry.instances(service))

    def follow(self, service: str) -> Iterator[list[Instance]]:
        """Who is there now, and again whenever that changes: `for instances in registry.follow("web")`."""
        return self._seam.iterate(self._registry.follow(service))
