"""What a cell promises, measured: `python -m bench.done_when [start] [gaps] [half-open] [size]`, by default all.

| name      | what is measured                                                                                      |
|-----------|-------------------------------------------------------------------------------------------------------|
| start     | seconds from `chubby cell start` to a master                                                          |
| gaps      | how long a writer waits after kill -9 and SIGTERM of the master (the median of ten), and if a client  |
|           | that caches what is written dies together with the master                                             |
| half-open | 10,000 connections that say nothing, to each port of the master                                       |
| size      | 100,000 files: load, memory, the stall of writes during a snapshot, restart to the first read         |

Every cell is five processes on this machine with the default configuration, in a temporary directory. The exit code is
1 if a target was missed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import gaps, size, starting
from bench.figures import Figure, seconds, show

MEASUREMENTS: Final[dict[str, Callable[[Path], list[Figure]]]] = {
    "start": starting.measure_start,
    "gaps": gaps.measure,
    "half-open": starting.measure_half_open,
    "size": size.measure,
}


def main(names: list[str]) -> int:
    """Measure what is named, print the table, return an exit code."""
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 64
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="chubby-bench-") as folder:
        for name in names or MEASUREMENTS:
            began = time.monotonic()
            directory = Path(folder) / name
            directory.mkdir()
            figures += MEASUREMENTS[name](directory)
            print(f"{name}: measured in {seconds(time.monotonic() - began)}", file=sys.stderr)
    show(figures)
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
