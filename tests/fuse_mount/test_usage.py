"""What `df` shows of a mount: blocks are bytes of content, files are nodes."""

from __future__ import annotations

import errno
import threading

import pytest

from chubby.errors import NoQuorum
from chubby.types.status import CellStatus
from fuse_mount.usage import BLOCK, FRESH, NO_QUOTA, Usage, fields_of
from tests.fuse_mount.shown import Shown, refused, shown_fixture
from tests.fuse_mount.test_virtual import a_status

__all__ = ["shown_fixture"]


class Cell:
    """A cell that is asked how full it is."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 100.0
        self.failure: Exception | None = None
        self.status = a_status(nodes=10, nodes_quota=100, content_bytes=0, bytes_quota=100 * BLOCK)
        self.usage = Usage(self.tell, lambda: self.now)

    def tell(self) -> CellStatus:
        """How full it is."""
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.status


@pytest.fixture
def cell() -> Cell:
    """One."""
    return Cell()


@pytest.mark.parametrize(
    ("held", "used"), [(0, 0), (1, 1), (BLOCK, 1), (BLOCK + 1, 2), (99 * BLOCK, 99), (100 * BLOCK, 100)]
)
def test_blocks_are_bytes_rounded_up(held: int, used: int) -> None:
    """What is begun is used."""
    found = fields_of(a_status(content_bytes=held, bytes_quota=100 * BLOCK))
    assert found["f_blocks"] == 100 and found["f_bfree"] == found["f_bavail"] == 100 - used
    assert found["f_bsize"] == found["f_frsize"] == BLOCK


def test_files_are_nodes() -> None:
    """And the longest name is told."""
    found = fields_of(a_status(nodes=30, nodes_quota=100))
    assert (found["f_files"], found["f_ffree"], found["f_favail"], found["f_namemax"]) == (100, 70, 70, 255)


def test_a_cell_that_is_over_its_quota_has_nothing_free() -> None:
    """As after a quota was lowered; never less than nothing."""
    found = fields_of(a_status(nodes=300, nodes_quota=100, content_bytes=1000 * BLOCK, bytes_quota=BLOCK))
    assert found["f_ffree"] == found["f_bfree"] == 0


def test_without_a_quota_there_is_room() -> None:
    """Some programs look for it before they write, and take 0 for none."""
    found = fields_of(a_status(nodes=30, nodes_quota=0, bytes_quota=0))
    assert found["f_bfree"] == found["f_blocks"] == NO_QUOTA // BLOCK > 1 << 30
    assert found["f_ffree"] == NO_QUOTA - 30


def test_the_cell_is_asked_once_a_second(cell: Cell) -> None:
    """However often a program looks."""
    for _ in range(100):
        cell.usage.statfs()
    assert cell.asked == 1
    cell.now += FRESH
    cell.status = a_status(nodes=11, nodes_quota=100)
    assert cell.usage.statfs()["f_ffree"] == 89 and cell.asked == 2


def test_a_cell_that_does_not_answer_is_asked_again(cell: Cell) -> None:
    """What was known is not told for longer than it is fresh."""
    cell.usage.statfs()
    cell.now += FRESH
    cell.failure = NoQuorum("nobody is there")
    for _ in range(2):
        with refused(errno.ETIMEDOUT):
            cell.usage.statfs()
    assert cell.asked == 3
    cell.failure = None
    assert cell.usage.statfs()["f_files"] == 100


def test_many_may_ask_at_a_time(cell: Cell) -> None:
    """Each is answered."""
    together = threading.Barrier(8)
    answers: list[dict[str, int]] = []

    def ask() -> None:
        together.wait(20)
        answers.append(cell.usage.statfs())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8 and all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("path", ["/", "/a", "/missing", "/.chubby/status"])
def test_any_name_of_a_mount_tells_of_the_same_cell(here: Shown, path: str) -> None:
    """`df FILE` asks for the file's."""
    found = here.files.statfs(path)
    assert found == here.files.statfs("/") and found["f_bsize"] == BLOCK
