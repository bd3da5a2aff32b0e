"""What strangers did at the doors, in one line a minute each.

Anybody who can reach a port may connect a thousand times a second and say nonsense. Each is counted; the first of its
kind on the replicas' port has a line of its own, with its address; all others are in here. So a log tells that it
happens, and how often, and is not filled by it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from chubby.frontends.native.statistics import Statistics
from chubby.transport.statistics import Tidings

logger = logging.getLogger(__name__)

PERIOD: Final = 60.0
"""Seconds between two issues."""

_WORDS: Final[dict[str, str]] = {
    "bad_packets": "packets or requests that broke the protocol",
    "silent": "streams that said nothing",
    "turned_away": "calls beyond a limit",
    "congested": "clients that did not read",
}
"""What is worth telling of `Statistics`, all of it counted since the start."""


class Gazette:
    """Tells what was counted since its last issue."""

    def __init__(self, links: Callable[[], tuple[Tidings, ...]], clients: Callable[[], Statistics]) -> None:
        """`links` tells of the port for replicas (`Mesh.tidings`), `clients` of the one for clients."""
        self._links = links
        self._clients = clients
        self._told = dict.fromkeys(_WORDS, 0)

    async def run(self) -> None:
        """An issue in every period, until cancelled; then a last one."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                self.publish()
        finally:
            self.publish()

    def publish(self) -> None:
        """Log what there is to tell, if anything."""
        for line in self.issue():
            logger.warning("%s", line)

    def issue(self) -> list[str]:
        """A line for each port at which something happened since the last issue."""
        lines = []
        links = self._links()
        if links:
            kinds = "; ".join(
                f"{each.count} by {'peer' if each.by_peer else 'us'}: {each.reason.name}, {each.total} in all"
                for each in links
            )
            lines.append(f"at the port for replicas {sum(each.count for each in links)} more links ended: {kinds}")
        statistics: dict[str, int] = msgspec.structs.asdict(self._clients())
        counts = {field: statistics[field] for field in _WORDS}
        news = [
            f"{count - self._told[field]} {_WORDS[field]}, {count} in all"
            for field, count in counts.items()
            if count > self._told[field]
        ]
        self._told = counts
        if news:
            lines.append(f"at the port for clients: {'; '.join(news)}")
        return lines
