"""The numbers that name things. Aliases, so that signatures read; the meanings never mix (DESIGN, "One word, one
meaning").
"""

from __future__ import annotations

ReplicaId = int
"""The number of a replica in its cell, from the configuration: 1, 2, ..."""
Incarnation = int
"""Random 63-bit number of one life of a replica's vote state; a replica that lost its disk returns under a new one."""
CellId = int
"""Random 63-bit number of a cell, made when it is formatted or restored."""
Slot = int
"""Position in the replicated log, from 1; slot 0 is the genesis configuration."""
Epoch = int
"""A master's term: the slot of the BeginEpoch command that opened it."""
Revision = int
"""+1 with every mutating transaction of the cell."""
SessionId = int
"""Never reused within a cell."""
CallNumber = int
"""A client's number for a call; grows by one with each call of a session."""
HandleNumber = int
"""A client's number for a handle; never reused within a session. (session, handle number) owns locks."""
WatchNumber = int
"""A client's number for a watch; never reused within a session."""
StreamNumber = int
"""Counts a session's connections; the highest wins, older input is dropped."""
Token = int
"""The fencing number of one hold period of a lock; grows for ever, cell-wide."""
