"""CRC-32C (Castagnoli), by the processor's own instruction: about 18 GB/s, so everything on disk carries one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import google_crc32c

crc32c: Final[Callable[[int, bytes], int]] = google_crc32c.extend
"""`crc32c(seed, data)` continues checksum `seed` over `data`. Two seeds give two checksums of the same data, always:
that is how a record that strayed to another place is told from one that belongs there."""
