"""The work that only ours does, by name, as `bench.load.workloads.work` has what is for all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from bench.load.job import Job
from bench.load.ours_cache import cached_reads, cached_reads_sync
from bench.load.ours_growth import crowd, deep, wide
from bench.load.sample import Sample

WORKLOADS: Final[dict[str, Callable[[Job], Awaitable[Sample]]]] = {
    "cached_reads": cached_reads,
    "cached_reads_sync": cached_reads_sync,
    "wide": wide,
    "deep": deep,
    "crowd": crowd,
}
