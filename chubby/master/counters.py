"""Figures a master counts from its first moment on; `MasterStatistics` shows them."""

from __future__ import annotations


class Counters:
    """How often things happened, for ever."""

    __slots__ = (
        "cache_lapses",
        "calls_answered",
        "calls_late",
        "calls_overloaded",
        "calls_repeated",
        "elections",
        "events",
        "invalidation_rounds",
        "invalidations",
        "redirects",
        "resyncs",
        "sessions_expired",
    )

    def __init__(self) -> None:
        """Nothing happened yet."""
        self.cache_lapses = 0
        self.calls_answered = 0
        self.calls_late = 0
        self.calls_overloaded = 0
        self.calls_repeated = 0
        self.elections = 0
        self.events = 0
        self.invalidation_rounds = 0
        self.invalidations = 0
        self.redirects = 0
        self.resyncs = 0
        self.sessions_expired = 0
