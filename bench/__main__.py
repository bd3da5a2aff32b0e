"""`make bench`, or `python -m bench [NAME ...]`: the measurements of those names, one after the other; all of them."""

from __future__ import annotations

import sys

from bench import done_when, mount, simulation

BENCHES = {"done_when": lambda: done_when.main([]), "mount": mount.main, "simulation": simulation.main}
"""What there is to measure."""


def main(names: list[str]) -> int:
    """The worst exit code of the benches of these names, or 64 if there is no such."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"no bench {', '.join(unknown)}: there are {', '.join(BENCHES)}", file=sys.stderr)
        return 64
    return max(BENCHES[name]() for name in names or BENCHES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
