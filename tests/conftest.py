"""What all tests share: how hypothesis searches, and what signals mean.

No example has a deadline (the machine may be busy), and in continuous integration (`CI` is set) the search is the same
every time: a red run there can be repeated, and new counter-examples are hunted at the desk.

A shell that starts tests in the background has them ignore SIGINT, nohup SIGHUP, and every process they start inherits
that. Tests that signal one mean what a user does at a terminal.

Tests with `pytest.mark.fuse` mount something, tests with `pytest.mark.needs("rsync")` run a program that may not be
installed. Where that cannot be done they are left out: the closing line counts them as deselected, and lines above it
say why.
"""

from __future__ import annotations

import os
import shutil
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

_LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known."""
    config.addinivalue_line("markers", "fuse: mounts something; left out where that cannot be done")
    config.addinivalue_line("markers", "needs(*programs): runs these programs; left out where one is not installed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what mounts, or lacks a program, if need be."""
    config.stash[_LEFT_OUT] = []
    mounting = [item for item in items if item.get_closest_marker("fuse") is not None]
    why = unavailable(helper=True) if mounting else None
    if why is not None:
        leave_out(config, items, mounting, f"{len(mounting)} tests of the mount are LEFT OUT: {why}")
    for item in items[:]:
        missing = [name for mark in item.iter_markers("needs") for name in mark.args if shutil.which(name) is None]
        if missing:
            leave_out(config, items, [item], f"{item.nodeid} is LEFT OUT: {', '.join(missing)} not installed")


def leave_out(config: pytest.Config, items: list[pytest.Item], those: list[pytest.Item], why: str) -> None:
    """Do not run `those` of `items`, and say why at the end."""
    config.hook.pytest_deselected(items=those)
    items[:] = [item for item in items if item not in those]
    config.stash[_LEFT_OUT].append(why)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say so."""
    for why in config.stash.get(_LEFT_OUT, []):
        terminalreporter.write_line(why, yellow=True)
