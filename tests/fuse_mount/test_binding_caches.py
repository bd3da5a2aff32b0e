"""What the kernel keeps of a mount, and how it hears that something changed."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuse_mount.served import DEADLINE, Served, served, within_deadline

pytestmark = pytest.mark.fuse


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Served]:
    """A MemoryFiles, mounted."""
    with served(tmp_path / "mount") as found:
        yield found


# -------------------------------------------------------------------------------------------------------------- caching


def test_attributes_and_names_are_never_cached(mount: Served) -> None:
    """A look-up that is under way during an invalidation would leave an old size behind."""
    (mount / "f").write_bytes(b"1")
    mount.put("/f", "four")
    assert (mount / "f").stat().st_size == 4
    assert not (mount / "new").exists()
    (mount / "new").touch()
    assert (mount / "new").exists()


def test_pages_are_kept_until_they_are_invalidated(mount: Served) -> None:
    """With `keep_cache`: then even who has the file open sees the new content."""
    (mount / "f").write_bytes(b"old")
    mount.ask("opening", True, False, False)
    with open(mount / "f", "rb", buffering=0) as file:
        assert file.read() == b"old"
        mount.ask("forget")
        assert (mount / "f").read_bytes() == b"old"
        mount.put("/f", "new")
        assert (mount / "f").read_bytes() == b"old"
        assert mount.calls("read") == []
        assert mount.ask("invalidate", "/f") is True
        assert os.pread(file.fileno(), 3, 0) == b"new"
        assert (mount / "f").read_bytes() == b"new"


def test_without_keep_cache_each_opening_reads_anew(mount: Served) -> None:
    """The default."""
    (mount / "f").write_bytes(b"old")
    assert (mount / "f").read_bytes() == b"old"
    mount.put("/f", "new")
    assert (mount / "f").read_bytes() == b"new"


def test_direct_io_keeps_no_pages(mount: Served) -> None:
    """Each read arrives."""
    (mount / "f").write_bytes(b"old")
    mount.ask("opening", False, True, False)
    with open(mount / "f", "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 3, 0) == b"old"
        mount.put("/f", "new")
        assert os.pread(file.fileno(), 3, 0) == b"new"


def test_a_name_that_nobody_asked_for_cannot_be_invalidated(mount: Served) -> None:
    """The kernel knows nothing of it."""
    assert os.listdir(mount.directory) == []
    assert mount.ask("invalidate", "/") is True
    assert mount.ask("invalidate", "/nothing") is False


def test_mapped_memory_shows_what_came_after_an_invalidation(mount: Served) -> None:
    """mmap(2) reads pages; another process does it, since a fault waits with the interpreter in its hand."""
    (mount / "f").write_bytes(b"old")
    mount.ask("opening", True, False, False)
    script = (
        "import mmap, sys\n"
        "with open(sys.argv[1], 'rb') as file:\n"
        "    pages = mmap.mmap(file.fileno(), 3, prot=mmap.PROT_READ)\n"
        "for line in sys.stdin: print(pages[:].decode(), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, mount / "f"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None and reader.stdout is not None
        print(file=reader.stdin, flush=True)
        assert reader.stdout.readline() == "old\n"
        mount.put("/f", "new")
        assert mount.ask("invalidate", "/f") is True
        print(file=reader.stdin, flush=True)
        assert reader.stdout.readline() == "new\n"
        reader.stdin.close()


# ---------------------------------------------------------------------------------------------------------------- poll


def test_poll_wakes_when_the_file_changes(mount: Served) -> None:
    """Not before, and again after the next change."""
    (mount / "f").touch()
    mount.ask("opening", False, True, False)
    with open(mount / "f", "rb", buffering=0) as file:
        waiting = select.poll()
        waiting.register(file, select.POLLIN)
        for text in ("one", "two", "three"):
            file.seek(0)
            file.read()
            mount.ask("forget")
            assert waiting.poll(0) == []

            def change(text: str = text) -> None:
                within_deadline(lambda: len(mount.calls("poll")) == 2)
                mount.put("/f", text)

            changing = threading.Thread(target=change)
            changing.start()
            assert waiting.poll(DEADLINE * 1000) == [(file.fileno(), select.POLLIN)]
            changing.join()
