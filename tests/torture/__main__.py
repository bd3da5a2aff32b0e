"""`python -m tests.torture --minutes N --seed S --keep DIR`: torture a real cell of five, and judge what came of it.

The same seed draws the same faults and the same work; but time is real, so no two runs are alike. Ctrl-C ends a run and
leaves nothing behind; neither does kill -9.

Exit codes: 0 green, 1 red, 64 wrong usage, 69 not possible here (and why), 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from chubby.cli import exits, launch
from fuse_mount.library import unavailable as mounts_unavailable
from tests.integration.cells import ROOT
from tests.torture import machines, seclusion

RED = 1
INTERRUPTED = 128 + signal.SIGINT


class Options(argparse.Namespace):
    """What was asked for."""

    minutes: float
    seconds: float
    seed: int | None
    keep: Path | None


def parse(arguments: Sequence[str]) -> Options:
    """The options. Exits with 64 if they are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="how long things go wrong (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.0, help="the same, for short runs")
    parser.add_argument("--seed", type=int, help="which faults and which work (default: drawn, and printed)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs and histories there, also if all is well")
    try:
        return parser.parse_args(arguments, namespace=Options())
    except SystemExit as end:
        raise SystemExit(exits.USAGE if end.code else 0) from None


def unavailable() -> str | None:
    """Why there can be no torture here; None: there can."""
    return machines.unavailable() or mounts_unavailable(helper=True)


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for, in a world of its own; the exit code."""
    options = parse(arguments)
    if (why := unavailable()) is not None:
        print(f"torture is LEFT OUT, it is not possible here: {why}", file=sys.stderr)
        return exits.UNAVAILABLE
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    seconds = options.seconds or options.minutes * 60
    if options.keep is not None and options.keep.exists() and any(options.keep.iterdir()):
        print(f"{options.keep} is not empty", file=sys.stderr)
        return exits.USAGE
    folder = options.keep or Path(tempfile.mkdtemp(prefix="chubby-torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}; logs and histories go to {folder}", flush=True)
    code = seclude(seconds, seed, folder.resolve())
    if code in (0, INTERRUPTED) and options.keep is None:
        shutil.rmtree(folder)
    elif code:
        print(f"logs, histories and disks are in {folder}; the same faults again: --seed {seed}", flush=True)
    return code


def seclude(seconds: float, seed: int, folder: Path) -> int:
    """Have the run take place in a world of its own, and hand signals down to it; its exit code."""
    inside = (sys.executable, "-m", "tests.torture.inside", str(seconds), str(seed), str(folder))
    script = (*launch.PYTHON, seclusion.__file__, str(os.getpid()))
    with subprocess.Popen([*script, *inside], cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True) as process:

        def hand_down(number: int, _: FrameType | None) -> None:
            process.send_signal(number)

        for number in seclusion.HANDED_DOWN:
            signal.signal(number, hand_down)
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
