"""The run itself, within its own world: `python -m tests.torture.inside SECONDS SEED FOLDER`, started by `__main__`."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path

from tests.torture.__main__ import INTERRUPTED, RED
from tests.torture.evidence import Evidence, Verdicts, verdicts
from tests.torture.logs import all_troubles
from tests.torture.report import Summary, table
from tests.torture.run import Options, Run
from tests.torture.seclusion import HANDED_DOWN


def main(arguments: list[str]) -> int:
    """Run, judge, print; the exit code."""
    seconds, seed, folder = arguments
    options = Options(float(seconds), int(seed), Path(folder))
    for number in HANDED_DOWN:
        signal.signal(number, interrupted)
    summary = take_place(options)
    text = table(summary)
    (options.folder / "report.txt").write_text(text + "\n")
    say(text)
    return 0 if summary.passed else RED


def interrupted(*_: object) -> None:
    """End here and now: the world ends with us, and whatever is in it. Nothing has to be asked to stop."""
    os.write(sys.stdout.fileno(), b"interrupted; nothing is left behind\n")
    os._exit(INTERRUPTED)


def take_place(options: Options) -> Summary:
    """One run, from the first process to the last verdict."""
    findings: list[str] = []
    evidence: Evidence | None = None
    recovery = -1.0
    with ExitStack() as stack:
        run = Run(options, stack, say)
        try:
            run.begin()
            run.strike()
            recovery = run.recover()
            evidence = run.evidence()
        except Exception:
            findings.append(traceback.format_exc())
        findings += run.board.findings
        findings += all_troubles(run.cell.log_file(replica) for replica in run.cell.members)
        for trouble in all_troubles((*options.folder.glob("*.log"), *run.crew.history.glob("*.log"))):
            run.board.notes[f"logged: {trouble.rpartition(': ')[2]}"] += 1
        if findings:
            say("something was found: keeping the disks")
            run.keep()
    say("judging what the clients wrote down")
    judged: Verdicts | None = None if evidence is None else verdicts(evidence)
    return Summary(
        seed=options.seed,
        seconds=options.seconds,
        recovery=recovery,
        faults=run.board.counts,
        notes=run.board.notes,
        frames=run.network.counts,
        calls=run.crew.look(),
        errors=run.crew.errors(),
        slept=run.waker.slept,
        overslept=run.waker.overslept,
        findings=tuple(findings),
        verdicts=judged,
    )


def say(line: str) -> None:
    """Tell the terminal."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
