"""What a master tells about itself: immutable figures, for `chubby status` and for metrics."""

from __future__ import annotations

import msgspec

from chubby.master.calls import Calls
from chubby.master.desk import Desk
from chubby.master.failover import Phase
from chubby.master.invalidation import Invalidations
from chubby.master.pipeline import Pipeline
from chubby.master.session import SessionState
from chubby.master.streams import Streams
from chubby.master.upkeep import Upkeep
from chubby.types.identity import Epoch


class MasterStatistics(msgspec.Struct, frozen=True):
    """A snapshot of one master: the first block is its present state, the second counts since it was made."""

    phase: str
    epoch: Epoch
    streams: int
    sessions: int
    sessions_connected: int
    sessions_awaited: int
    """Sessions of the machine that have not resumed under this master yet."""
    handles: int
    watches: int
    locks: int
    cached_keys: int
    """Registrations: (session, cache key) pairs."""
    uncachable_keys: int
    calls_pending: int
    commands_in_flight: int
    commands_waiting: int
    """Commands not yet proposed: waiting for invalidations, their turn, or the end of a fail-over."""
    lock_delays: int

    calls_answered: int
    calls_repeated: int
    calls_overloaded: int
    calls_late: int
    invalidations: int
    invalidation_rounds: int
    cache_lapses: int
    """How often a writer stopped waiting for a session's acknowledgement."""
    events: int
    resyncs: int
    sessions_expired: int
    redirects: int
    elections: int


def gather(
    desk: Desk,
    phase: Phase,
    streams: Streams,
    calls: Calls,
    pipeline: Pipeline,
    invalidations: Invalidations,
    upkeep: Upkeep,
) -> MasterStatistics:
    """The figures of this moment."""
    sessions = desk.sessions.values()
    counters = desk.counters
    return MasterStatistics(
        phase=phase.value,
        epoch=desk.epoch,
        streams=len(streams),
        sessions=desk.machine.session_count,
        sessions_connected=sum(session.stream is not None for session in sessions),
        sessions_awaited=sum(session.state is SessionState.AWAITED for session in sessions),
        handles=sum(len(session.handles) for session in sessions),
        watches=sum(len(session.watches) for session in sessions),
        locks=desk.machine.lock_count,
        cached_keys=len(desk.registry),
        uncachable_keys=len(invalidations.uncachable),
        calls_pending=calls.total,
        commands_in_flight=pipeline.in_flight,
        commands_waiting=pipeline.waiting,
        lock_delays=len(upkeep),
        calls_answered=counters.calls_answered,
        calls_repeated=counters.calls_repeated,
        calls_overloaded=counters.calls_overloaded,
        calls_late=counters.calls_late,
        invalidations=counters.invalidations,
        invalidation_rounds=counters.invalidation_rounds,
        cache_lapses=counters.cache_lapses,
        events=counters.events,
        resyncs=counters.resyncs,
        sessions_expired=counters.sessions_expired,
        redirects=counters.redirects,
        elections=counters.elections,
    )
