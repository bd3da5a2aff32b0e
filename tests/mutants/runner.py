"""Many trials beside each other, each in a process of its own, and what becomes of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec

from tests.mutants.records import Catch
from tests.mutants.trial import Report

ROOT = Path(__file__).resolve().parents[2]
KIN = 4
"""So many runs of a plan, under different seeds, the product as it is comes through."""
KINSHIP = 1_000_000
"""How far apart those seeds are."""


class Hunt(msgspec.Struct, frozen=True):
    """What to try: seeds from `start` on, of so many seconds of faults. Those before it count as tried."""

    seeds: int = 2000
    start: int = 0
    duration: int = 25

    def arguments(self, begin: int) -> list[str]:
        """For a trial that begins with seed `begin`."""
        span = ["--start", f"{begin}", "--seeds", f"{self.start + self.seeds - begin}"]
        return [*span, "--duration", f"{self.duration}", *(["--smoke"] if begin == self.start else [])]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a mutant. `catch` None: it survived. `gross`: what it broke with nothing going wrong."""

    name: str
    catch: Catch | None
    seeds: int
    took: float
    gross: str = ""
    innocent: tuple[int, ...] = ()
    """Seeds that fail without the mutant, too: they prove nothing against it."""
    trouble: str = ""
    """Why the trial itself failed."""

    def told(self) -> str:
        """In one line."""
        if self.trouble:
            return f"{self.name}: TROUBLE: {self.trouble}"
        too_gross = f"; TOO GROSS: {self.gross}" if self.gross else ""
        without = f"; fail without it: seeds {' '.join(map(str, self.innocent))}" if self.innocent else ""
        if self.catch is None:
            return f"{self.name}: SURVIVES {self.seeds} seeds, {self.took:.0f} s{too_gross}{without}"
        by = f"{self.catch.checker}: {self.catch.complaint}"
        return f"{self.name}: caught after {self.seeds} seeds, {self.took:.0f} s, by {by}{too_gross}{without}"


class Trials:
    """Runs trials; `stop` ends those that are under way."""

    def __init__(self, root: Path = ROOT) -> None:
        """`root` is the checkout whose product is tried."""
        self._root = root
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """End all processes; further ones end at once."""
        with self._lock:
            self._stopped = True
            for process in self._running.values():
                process.kill()

    def reports(self, name: str, *arguments: str) -> Iterator[Report]:
        """What a trial reports, as it does. Raises TrialFailed if it ends in another way than it should."""
        command = [sys.executable, "-m", "tests.mutants.trial", name, *arguments]
        process = subprocess.Popen(command, cwd=self._root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with self._lock:
            self._running[process.pid] = process
            if self._stopped:
                process.kill()
        with process:
            assert process.stdout is not None and process.stderr is not None, "both are pipes"
            try:
                for line in process.stdout:
                    yield msgspec.json.decode(line, type=Report)
                said = process.stderr.read().strip()
            finally:
                process.kill()
                with self._lock:
                    del self._running[process.pid]
        if said or process.returncode not in (0, None):
            raise TrialFailed(said.rpartition("\n")[2] or f"it ended with {process.returncode}")

    def passes_as_it_is(self, plan: msgspec.Raw) -> bool:
        """Whether the product without any mutant comes through this plan, and through others of its kind: a mutant that
        merely shifts the timing is not what is to be blamed.
        """
        drawn = msgspec.json.decode(plan, type=dict[str, object])
        seed = drawn["seed"]
        assert isinstance(seed, int), "a plan has a seed"
        kin = (msgspec.json.encode({**drawn, "seed": seed + number * KINSHIP}).decode() for number in range(KIN))
        return all(report.passed for each in kin for report in self.reports("none", "--plan", each))

    def hunt(self, name: str, hunt: Hunt) -> Outcome:
        """Try seeds until one catches the mutant that the product as it is comes through."""
        took, simulated = 0.0, 0.0
        gross = ""
        innocent: list[int] = []
        begin, end = hunt.start, hunt.start + hunt.seeds
        while begin < end:
            failed = False
            for report in self.reports(name, *hunt.arguments(begin)):
                if report.smoke:
                    gross = "" if report.passed else f"{report.checker}: {report.complaint}"
                    continue
                took, simulated = took + report.took, simulated + report.simulated
                if report.passed:
                    continue
                seeds, begin, failed = report.seed + 1, report.seed + 1, True
                if self.passes_as_it_is(report.plan):
                    catch = Catch(seeds, took, simulated, report.checker, report.complaint, report.plan)
                    return Outcome(name, catch, seeds, took, gross, tuple(innocent))
                innocent.append(report.seed)
            if not failed:
                break
        return Outcome(name, None, end, took, gross, tuple(innocent))

    def again(self, name: str, catch: Catch) -> Outcome:
        """Try the plan that is recorded as catching the mutant."""
        (report,) = self.reports(name, "--plan", bytes(catch.plan).decode())
        caught = Catch(1, report.took, report.simulated, report.checker, report.complaint, report.plan)
        return Outcome(name, None if report.passed else caught, 1, report.took)


class TrialFailed(Exception):
    """A trial did not come to its end."""


def run(
    names: Iterable[str], trial: Callable[[str], Outcome], jobs: int, stop: Callable[[], None]
) -> Generator[Outcome, None, None]:
    """The outcomes of all, `jobs` at a time, as they come. Whoever stops asking ends what is under way."""

    def outcome(name: str) -> Outcome:
        try:
            return trial(name)
        except TrialFailed as error:
            return Outcome(name, None, 0, 0.0, trouble=str(error))

    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(outcome, name) for name in names]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()
            stop()
