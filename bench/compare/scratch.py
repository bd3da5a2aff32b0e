"""A place for the data of members, of which nothing is left."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.compare.machine import check_disk

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def scratch(data: Path) -> Iterator[Path]:
    """A new directory on the disk, gone afterwards. SIGTERM and SIGHUP end this program as Ctrl-C does, and SIGINT even
    where a shell has started it in the background, with that signal ignored.

    Raises Unavailable if `data` is not on a disk.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    data.mkdir(parents=True, exist_ok=True)
    check_disk(data)
    before = {number: signal.signal(number, interrupt) for number in ENDING}
    directory = Path(tempfile.mkdtemp(prefix="run-", dir=data))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        for number, handler in before.items():
            signal.signal(number, handler)
