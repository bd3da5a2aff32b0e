"""Where the time goes: `make profile`, or `python -m bench.profiling [WORK]`; a flame graph and the hottest functions.

A cell of five with the default configuration does one of the works of the comparison, by default writes with a hundred
in flight, while py-spy looks at the master a few hundred times a second (`--of follower` or `--of client`: at one of
those). What counts is who holds the interpreter; with `--native` threads and functions of libraries in C count too,
waiting ones among them. py-spy stops a process for each look, so figures taken meanwhile mean little. It needs to be
root, or a kernel that lets processes of one user look at each other (kernel.yama.ptrace_scope=0).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.compare.catalogue import WORKS
from bench.compare.contenders import OURS
from bench.compare.options import DATA, INTERRUPTED
from bench.compare.runner import GeneratorFailed, generator
from bench.compare.scratch import scratch
from bench.load.job import Job
from bench.load.workloads import READY
from bench.peers.cluster import Cluster
from bench.peers.ours import Ours
from bench.peers.system import Unavailable

RATE = 200
"""Looks a second."""
SHOWN = 25
"""Functions in the table."""
LINE = re.compile(r":\d+\)$")
"""Of a frame, the line of its file."""
CLIENT = "client"
FOLLOWER = "follower"
MASTER = "master"


class Heat(msgspec.Struct, frozen=True):
    """A function: the shares of all looks that found it at work itself, and that found it anywhere on the stack."""

    name: str
    itself: float
    below: float


def hottest(raw: str) -> list[Heat]:
    """The functions of collapsed stacks (`outer;inner COUNT` by line), those first that work most themselves."""
    itself, below, total = Counter[str](), Counter[str](), 0
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [LINE.sub(")", frame) for frame in stack.split(";")]
        total += int(count)
        itself[frames[-1]] += int(count)
        for frame in dict.fromkeys(frames):
            below[frame] += int(count)
    ordered = sorted(below, key=lambda name: (-itself[name], -below[name], name))
    return [Heat(name, itself[name] / total, below[name] / total) for name in ordered]


def look(pid: int, kind: str, file: Path, seconds: float, native: bool = False) -> None:
    """Have py-spy write what it sees of a process in that time. Raises Unavailable if it cannot."""
    program = Path(sysconfig.get_path("scripts")) / "py-spy"
    if not program.exists():
        raise Unavailable("py-spy is not installed: make setup, or pip install py-spy")
    command = [str(program), "record", "--threads", "--rate", str(RATE), "--native" if native else "--gil"]
    command += ["--duration", str(max(1, round(seconds))), "--format", kind, "--output", str(file), "--pid", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not file.exists():
        raise Unavailable(f"py-spy could not look at process {pid}:\n{done.stderr.strip()}")


def profile(job: Job, of: str, output: Path, directory: Path, native: bool = False) -> list[Heat]:
    """Do the job, write the flame graph to `output`; gives the functions. Raises Unavailable, GeneratorFailed."""
    with Cluster(Ours(), directory / "cell") as cluster:
        told = msgspec.structs.replace(job, endpoints=tuple(cluster.endpoints()), seconds=4 * job.seconds + 10)
        leader = cluster.leader()
        follower = next(number for number in cluster.members if number != leader)
        with generator(OURS, told, directory / "generator.log") as process:
            assert process.stdout is not None
            if process.stdout.readline().strip() != READY:
                raise GeneratorFailed((directory / "generator.log").read_text(errors="replace"))
            pids = {MASTER: cluster.pids()[leader], FOLLOWER: cluster.pids()[follower], CLIENT: process.pid}
            raw = directory / "stacks"
            look(pids[of], "raw", raw, job.seconds, native)
            look(pids[of], "flamegraph", output, job.seconds, native)
    return hottest(raw.read_text())


def show(found: Sequence[Heat], title: str) -> None:
    """Print the table."""
    table = Table(title=title)
    for heading in ("itself", "with all below", "function"):
        table.add_column(heading, justify="left" if heading == "function" else "right")
    for heat in found[:SHOWN]:
        table.add_row(f"{heat.itself:.1%}", f"{heat.below:.1%}", heat.name)
    Console(width=150).print(table)


def main(arguments: Sequence[str]) -> int:
    """Do it; returns an exit code."""
    workloads = list(dict.fromkeys(work.workload for work in WORKS))
    parser = argparse.ArgumentParser(prog="python -m bench.profiling", description="Where the time goes.")
    parser.add_argument("work", nargs="?", default="writes", choices=workloads, metavar="WORK", help=str(workloads))
    parser.add_argument("--in-flight", type=int, default=100, help="operations at a time (%(default)s)")
    parser.add_argument("--connections", type=int, help="sessions; by default 10, or as many as operations")
    parser.add_argument("--seconds", type=float, default=10.0, help="of looking, twice (%(default)s)")
    parser.add_argument("--of", choices=(MASTER, FOLLOWER, CLIENT), default=MASTER, help="at whom (%(default)s)")
    parser.add_argument("--native", action="store_true", help="with functions of libraries in C")
    parser.add_argument("--output", type=Path, default=DATA / "profile.svg", help="the flame graph (%(default)s)")
    said = parser.parse_args(arguments)
    connections = said.connections or min(10, said.in_flight)
    job = Job(said.work, (), said.in_flight, connections, said.seconds)
    try:
        with scratch(DATA) as directory:
            found = profile(job, said.of, said.output.resolve(), directory, said.native)
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        return 69
    except KeyboardInterrupt:
        return INTERRUPTED
    show(found, f"{said.of} under {said.work}, {said.in_flight} in flight; flame graph: {said.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
