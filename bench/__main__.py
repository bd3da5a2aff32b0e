"""`make bench`, or `python -m bench [NAME ...]`: the measurements of those names, one after the other.

By default `alone`: the works of the comparison on a cell of ours alone.
"""

from __future__ import annotations

import sys

from bench import done_when, mount, simulation
from bench.compare import __main__ as compare

BENCHES = {
    "alone": lambda: compare.main(["--alone"]),
    "done_when": lambda: done_when.main([]),
    "mount": mount.main,
    "simulation": simulation.main,
}
"""What there is to measure."""
DEFAULT = ("alone",)


def main(names: list[str]) -> int:
    """The worst exit code of the benches of these names, or 64 if there is no such."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"no bench {', '.join(unknown)}: there are {', '.join(BENCHES)}", file=sys.stderr)
        return 64
    return max(BENCHES[name]() for name in names or DEFAULT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
