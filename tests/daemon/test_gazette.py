"""A log that tells of strangers and is not filled by them."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest

from chubby.daemon import gazette
from chubby.daemon.gazette import Gazette
from chubby.frontends.native.statistics import Statistics
from chubby.transport.greetings import Reason
from chubby.transport.statistics import Ledger

QUIET = msgspec.convert(dict.fromkeys(Statistics.__struct_fields__, 0), Statistics)


class Doors:
    """Both ports, for the gazette to ask."""

    def __init__(self) -> None:
        """Nothing happened."""
        self.ledger = Ledger()
        self.statistics = QUIET
        self.gazette = Gazette(self.ledger.tidings, lambda: self.statistics)

    def knock(self, count: int, reason: Reason, by_peer: bool = False) -> None:
        """Links that end."""
        for _ in range(count):
            self.ledger.part(reason, by_peer)


def test_where_nothing_happens_nothing_is_told() -> None:
    """A healthy replica's log is quiet."""
    doors = Doors()
    assert doors.gazette.issue() == []
    doors.knock(1, Reason.FRAME)
    assert doors.gazette.issue() == [], "the first has its own line"


def test_any_number_of_strangers_is_one_line() -> None:
    """With how often, why, by whom, and how many there were in all."""
    doors = Doors()
    doors.knock(1001, Reason.FRAME)
    doors.knock(3, Reason.VERSION, by_peer=True)
    assert doors.gazette.issue() == [
        "at the port for replicas 1002 more links ended: 2 by peer: VERSION, 3 in all; 1000 by us: FRAME, 1001 in all"
    ]
    assert doors.gazette.issue() == []


def test_clients_have_a_line_of_their_own() -> None:
    """What is new since the last issue, and what it comes to."""
    doors = Doors()
    doors.statistics = msgspec.structs.replace(QUIET, bad_packets=5, silent=2, packets_in=1000, streams=3)
    assert doors.gazette.issue() == [
        "at the port for clients: 5 packets or requests that broke the protocol, 5 in all; "
        "2 streams that said nothing, 2 in all"
    ]
    doors.statistics = msgspec.structs.replace(doors.statistics, bad_packets=6)
    assert doors.gazette.issue() == ["at the port for clients: 1 packets or requests that broke the protocol, 6 in all"]


async def test_it_appears_in_each_period(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Without being asked."""
    monkeypatch.setattr(gazette, "PERIOD", 0.001)
    doors = Doors()
    with caplog.at_level(logging.WARNING, "chubby.daemon"):
        running = asyncio.ensure_future(doors.gazette.run())
        for count in (1, 2):
            doors.statistics = msgspec.structs.replace(QUIET, silent=count)
            async with asyncio.timeout(30):
                while len(caplog.records) < count:
                    await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait((running,))
    assert len(caplog.records) == 2


async def test_the_last_minute_is_told_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """A replica may stop because of what happened in it."""
    doors = Doors()
    with caplog.at_level(logging.WARNING, "chubby.daemon"):
        running = asyncio.ensure_future(doors.gazette.run())
        await asyncio.sleep(0)
        doors.knock(3, Reason.GARBAGE)
        running.cancel()
        await asyncio.wait((running,))
    assert ["2 by us: GARBAGE, 3 in all" in record.getMessage() for record in caplog.records] == [True]
