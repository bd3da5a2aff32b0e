"""Where `chubbyd` begins, and `load`, by which `chubby` begins as well.

To load a program takes a few tenths of a second. Nothing has happened by then, so a Ctrl-C in that time ends it like
any program's would, without a traceback of whatever module was being read.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from importlib import import_module


def load(module: str) -> Callable[[], object]:
    """The `main` of `module`, which is imported. From then on SIGINT means again what it meant before."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        main: Callable[[], object] = import_module(module).main
    finally:
        signal.signal(signal.SIGINT, before)
    return main


def main() -> None:
    """Run `chubbyd`."""
    load("chubby.daemon.main")()
