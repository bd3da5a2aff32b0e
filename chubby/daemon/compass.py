"""Who is master, for front ends that ask or follow (`Door.locate`, `Door.follow`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from chubby.types.status import Location


class Compass:
    """Holds the newest location and wakes those who follow it; a slow follower sees only the newest."""

    def __init__(self, location: Location) -> None:
        """Points to `location` at first."""
        self._location = location
        self._turned = asyncio.Event()

    @property
    def location(self) -> Location:
        """Where it points now."""
        return self._location

    def turn(self, location: Location) -> None:
        """Point elsewhere and tell everyone who follows."""
        if location != self._location:
            self._location = location
            self._turned.set()
            self._turned = asyncio.Event()

    async def follow(self) -> AsyncIterator[Location]:
        """The location now, then each time it has changed."""
        while True:
            turned = self._turned
            location = self._location
            yield location
            if location == self._location:
                await turned.wait()
