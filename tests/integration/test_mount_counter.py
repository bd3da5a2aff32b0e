"""Many processes on two mounts count up in one file under its lock, while the cell and a mount are shot at.

A round is: flock, read the number, write the next one, unlock. Whatever dies meanwhile, no update is lost: in the end
the number is at least that of the rounds that came to their end without an error, and exceeds it at most by those that
failed after they had begun to write.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import msgspec
import pytest

from fuse_mount import mount_table
from tests.integration.cells import PATIENCE, Cell, wait_for
from tests.integration.mounts import WORKER, Mount
from tests.integration.programs import Program, Starter

WORKERS = 20
"""On each mount."""
ROUNDS = int(os.environ.get("CHUBBY_COUNTER_ROUNDS", "1000"))
"""In all."""
PATIENT = PATIENCE + ROUNDS / 10
"""Seconds: ten rounds a second are had even on a loaded machine."""

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(2 * PATIENT)]


class Report(msgspec.Struct, frozen=True):
    """What a worker says in the end: the numbers that it wrote, those that it may have written, what errors it had."""

    certain: list[int]
    maybe: list[int]
    errors: list[int]


class Count:
    """What all workers have said."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.certain: list[int] = []
        self.maybe: list[int] = []
        self.errors: set[str] = set()

    def listen(self, program: Program) -> None:
        """Until all workers of a mount have ended."""
        while not (line := program.hear(PATIENT)).startswith('{"done"'):
            report = msgspec.json.decode(line, type=Report)
            self.certain += report.certain
            self.maybe += report.maybe
            self.errors |= {os.strerror(number) for number in report.errors}

    def check(self, number: int, rounds: int) -> None:
        """No update is lost, none was made of what another had replaced."""
        assert len(set(self.certain)) == len(self.certain) >= rounds, "no two certain rounds saw the same number"
        assert len(self.certain) <= number <= len(self.certain) + len(self.maybe)
        unseen = set(range(1, number + 1)) - set(self.certain)
        assert unseen <= set(self.maybe), "what nobody is certain of was written by one who had an error"


def start_counting(tool: Starter, two_mounts: tuple[Mount, Mount], name: str, rounds: int) -> list[Program]:
    """A file with a number in it, and workers on both mounts."""
    (two_mounts[0] / name).write_text(f"{0:19d}\n")
    each = str(-(-rounds // (2 * WORKERS)))
    return [tool(*WORKER, "count", str(mount / name), str(WORKERS), each) for mount in two_mounts]


def test_no_update_is_lost(two_mounts: tuple[Mount, Mount], tool: Starter) -> None:
    """Nothing fails, so everything is certain."""
    rounds = ROUNDS // 5
    began = time.monotonic()
    count = Count()
    for program in start_counting(tool, two_mounts, "peace", rounds):
        count.listen(program)
    print(f"{len(count.certain) / (time.monotonic() - began):.0f} rounds a second")
    assert not count.maybe and not count.errors
    count.check(int((two_mounts[1] / "peace").read_text()), rounds)


def test_no_update_is_lost_though_masters_and_a_mount_are_killed(
    mounted_cell: Cell, two_mounts: tuple[Mount, Mount], tool: Starter
) -> None:
    """kill -9 of the master, three times, and once of the process of a mount, which is cleared away and made anew."""
    with mounted_cell.connect(caching=False) as session:
        programs = start_counting(tool, two_mounts, "war", ROUNDS)
        handle = session.open("/ls/test/war")

        def number() -> int:
            return int(handle.get_contents_and_stat()[0])

        def strike_at(sixth: int, strike: Callable[[], None]) -> None:
            wait_for(lambda: number() >= sixth * ROUNDS // 6, "progress", PATIENT)
            strike()

        def kill_master() -> None:
            master = mounted_cell.wait_master()
            mounted_cell.kill(master)
            mounted_cell.start(master)

        def kill_mount() -> None:
            two_mounts[1].kill()
            wait_for(lambda: mount_table.at(str(two_mounts[1].directory)) is None, "fusermount3 to clear it away")
            two_mounts[1].start()

        for sixth, strike in enumerate((kill_master, kill_master, kill_mount, kill_master), 1):
            strike_at(sixth, strike)
        count = Count()
        for program in programs:
            count.listen(program)
        print(f"{len(count.certain)} certain, {len(count.maybe)} maybe, {number()} counted; {sorted(count.errors)}")
        count.check(number(), ROUNDS)
        assert count.errors, "somebody on the mount that was killed had an error"
