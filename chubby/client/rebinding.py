"""Sequencers bound to handles, bound again after each Resume (paper §2.4 SetSequencer; DESIGN §4 Token).

A master knows for its own time only which handles have a sequencer; after a fail-over the client says so again. Until
the new master has agreed, nothing goes through such a handle: a call that slipped in before would not be guarded by
the sequencer. If the sequencer has become invalid meanwhile, the handle is of no more use, which is what its user asked
for; calls that waited fail, those sent to the old master with OUTCOME_UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Callable

from chubby.client.handle_table import HandleRecord, HandleTable, through_handle
from chubby.client.in_flight import CallsInFlight, Flight, Purpose
from chubby.client.verdicts import changes
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import CancelAcquire, Close, SetSequencer
from chubby.types.results import Answer
from chubby.types.time import Instant


class Rebinding:
    """Holds back what goes through handles whose sequencer is being bound again.

    `begin` makes a call on the session's own behalf, `complete` tells the caller of a flight.
    """

    def __init__(
        self,
        flights: CallsInFlight,
        handles: HandleTable,
        begin: Callable[[SetSequencer, Instant], None],
        complete: Callable[[Flight, Answer], None],
    ) -> None:
        self._flights = flights
        self._handles = handles
        self._begin = begin
        self._complete = complete

    def resumed(self, now: Instant) -> None:
        """A master has taken the session up: tell it of the sequencers."""
        for record in self._handles:
            if record.sequencer and record.lost is None and not record.closing:
                record.rebinding = True
                for flight in self._through(record):
                    self._flights.hold(flight)
                self._begin(SetSequencer(record.number, record.sequencer), now)

    def registering(self, flight: Flight, record: HandleRecord) -> None:
        """A call begins: it waits if its handle does."""
        if record.rebinding and _waits(flight):
            self._flights.hold(flight)

    def answered(self, call: SetSequencer, answer: Answer) -> None:
        """The sequencer is bound again, or is no longer valid."""
        record = self._handles.get(call.handle)
        if record is None:
            return
        record.rebinding = False
        held = [flight for flight in self._through(record) if flight.held]
        if not isinstance(answer, Failure):
            self._flights.let_pass(held)
            return
        self._handles.lose(call.handle, answer)
        for flight in held:
            self._flights.finish(flight)
            if not flight.abandoned:
                self._complete(flight, _never_sent_again(flight, answer))

    def _through(self, record: HandleRecord) -> list[Flight]:
        return [
            flight
            for flight in self._flights
            if through_handle(flight.call) and flight.call.handle == record.number and _waits(flight)
        ]


def _waits(flight: Flight) -> bool:
    return flight.purpose is Purpose.CALLER and not isinstance(flight.call, Close | CancelAcquire)


def _never_sent_again(flight: Flight, why: Failure) -> Failure:
    if flight.stream and changes(flight.call):
        return Failure(ErrorCode.OUTCOME_UNKNOWN, f"sent before the master failed; not again, because {why.message}")
    return why
