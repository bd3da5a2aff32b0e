"""What all tests share: how hypothesis searches, and what signals mean.

No example has a deadline (the machine may be busy), and in continuous integration (`CI` is set) the search is the same
every time: a red run there can be repeated, and new counter-examples are hunted at the desk.

A shell that starts tests in the background has them ignore SIGINT, nohup SIGHUP, and every process they start inherits
that. Tests that signal one mean what a user does at a terminal.

Tests with `pytest.mark.fuse` mount something. Where that cannot be done they are left out: the closing line counts them
as deselected, and a line above it says why.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

from fuse_mount.library import unavailable

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

_LEFT_OUT = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "fuse: mounts something; left out where that cannot be done")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what mounts, if need be."""
    mounting = [item for item in items if item.get_closest_marker("fuse") is not None]
    why = unavailable(helper=True) if mounting else None
    if why is not None:
        config.stash[_LEFT_OUT] = f"{len(mounting)} tests of the mount are LEFT OUT: {why}"
        config.hook.pytest_deselected(items=mounting)
        items[:] = [item for item in items if item.get_closest_marker("fuse") is None]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say so."""
    if _LEFT_OUT in config.stash:
        terminalreporter.write_line(config.stash[_LEFT_OUT], yellow=True)
