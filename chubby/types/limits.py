"""The figures that every room agrees on. Sizes in bytes, times as `Duration`. Source: DESIGN §3-§5 unless a line says
otherwise.
"""

from __future__ import annotations

from typing import Final

from chubby.types.time import MILLISECOND, SECOND, Duration

CONTENT_LIMIT: Final = 256 * 1024
"""Default limit of a file's content (introduced after a 1.5 MB file was rewritten on each user action)."""
ATTRIBUTES_LIMIT: Final = 1024
"""Sum of the names and values of a node's attribute map."""
PATH_LIMIT: Final = 1024
"""A path inside its cell, UTF-8."""
NAME_LIMIT: Final = 255
"""One component of a path, UTF-8."""
DEPTH_LIMIT: Final = 64
TRANSACTION_LIMIT: Final = 128
"""Guards plus operations of one transaction."""
READ_DIR_LIMIT: Final = 1000
"""Names in one page of a directory listing."""
REPLY_TABLE_LIMIT: Final = 1024
"""Unacknowledged results kept per session."""

BATCH_COMMANDS: Final = 1000
BATCH_BYTES: Final = 1024 * 1024
WINDOW_SLOTS: Final = 32
WINDOW_BYTES: Final = 8 * 1024 * 1024

HEARTBEAT_INTERVAL: Final[Duration] = 100 * MILLISECOND
MASTER_LEASE: Final[Duration] = 1 * SECOND
CLOCK_DRIFT_PPM: Final = 10_000
"""Default bound on how far two clocks' rates differ: 1 %."""
SLOW_SYNC: Final[Duration] = 2 * SECOND
"""A master whose own fsync is later than this hands over."""

SESSION_LEASE: Final[Duration] = 12 * SECOND
SESSION_LEASE_MAXIMUM: Final[Duration] = 60 * SECOND
CACHE_LEASE: Final[Duration] = 4 * SECOND
CACHE_LEASE_MAXIMUM: Final[Duration] = 12 * SECOND
GRACE_PERIOD: Final[Duration] = 45 * SECOND
LOCK_DELAY_MAXIMUM: Final[Duration] = 60 * SECOND
DIGEST_INTERVAL: Final[Duration] = 60 * SECOND

NODES_QUOTA: Final = 1_000_000
"""Default quotas of a cell (a full one says so, and deleting makes room at once): nodes ..."""
CHILDREN_QUOTA: Final = 100_000
"""... children of one node ..."""
TOTAL_BYTES_QUOTA: Final = 1024 * 1024 * 1024
"""... contents and attributes of all nodes; they live in the memory of every replica ..."""
SESSIONS_QUOTA: Final = 100_000
"""... sessions (the paper reports overload from 90,000)."""
HISTORY_LIMIT: Final = 10_000
"""Changes that the history keeps by default, for clients that resume."""
SNAPSHOT_LOG_BYTES: Final = 64 * 1024 * 1024
"""So much log, and a snapshot is written."""
