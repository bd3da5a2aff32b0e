"""What all tests share: how hypothesis searches, and what signals mean.

No example has a deadline (the machine may be busy), and in continuous integration (`CI` is set) the search is the same
every time: a red run there can be repeated, and new counter-examples are hunted at the desk.

A shell that starts tests in the background has them ignore SIGINT, nohup SIGHUP, and every process they start inherits
that. Tests that signal one mean what a user does at a terminal.

Python may have been told to keep no bytecode, as in many containers (PYTHONDONTWRITEBYTECODE). Then each of the
hundreds of processes that tests start would compile all of the project before it begins: here bytecode is kept.

Tests with `pytest.mark.fuse` mount something, those with `pytest.mark.machines` make network namespaces, those with
`pytest.mark.needs("rsync")` run a program that may not be installed. Where that cannot be done they are left out: the
closing line counts them as deselected, and lines above it say why. Under pytest-xdist (`make test`) it is the workers
that leave them out, each the same, and this is where the process that started them learns of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from types import SimpleNamespace
from typing import Protocol

import pytest
from hypothesis import settings

from fuse_mount.library import unavailable
from tests.torture import machines

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

_LEFT_OUT = pytest.StashKey[dict[str, list[str]]]()
"""Why tests are left out, and which."""


class Worker(Protocol):
    """A process that pytest-xdist has started; one that has crashed has no `workeroutput`."""

    config: pytest.Config
    workeroutput: dict[str, dict[str, list[str]]]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known."""
    config.addinivalue_line("markers", "fuse: mounts something; left out where that cannot be done")
    config.addinivalue_line("markers", "machines: makes network namespaces; left out where that cannot be done")
    config.addinivalue_line("markers", "needs(*programs): runs these programs; left out where one is not installed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what mounts, or lacks a program, if need be."""
    config.stash[_LEFT_OUT] = {}
    mounting = [item for item in items if item.get_closest_marker("fuse") is not None]
    why = unavailable(helper=True) if mounting else None
    if why is not None:
        leave_out(config, items, mounting, f"{len(mounting)} tests of the mount are LEFT OUT: {why}")
    isolated = [item for item in items if item.get_closest_marker("machines") is not None]
    why = machines.unavailable() if isolated else None
    if why is not None:
        leave_out(config, items, isolated, f"{len(isolated)} tests on machines of their own are LEFT OUT: {why}")
    for item in items[:]:
        missing = [name for mark in item.iter_markers("needs") for name in mark.args if shutil.which(name) is None]
        if missing:
            leave_out(config, items, [item], f"{item.nodeid} is LEFT OUT: {', '.join(missing)} not installed")


def leave_out(config: pytest.Config, items: list[pytest.Item], those: list[pytest.Item], why: str) -> None:
    """Do not run `those` of `items`, and say why at the end."""
    config.hook.pytest_deselected(items=those)
    items[:] = [item for item in items if item not in those]
    config.stash[_LEFT_OUT][why] = [item.nodeid for item in those]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells what it has left out."""
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left out"] = session.config.stash.get(_LEFT_OUT, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Worker) -> None:
    """Take down what a worker has left out, and count it once, however many workers tell."""
    told = node.workeroutput["left out"] if hasattr(node, "workeroutput") else {}
    known = node.config.stash.setdefault(_LEFT_OUT, {})
    reporter = node.config.pluginmanager.get_plugin("terminalreporter")
    for why in [each for each in told if each not in known]:
        known[why] = told[why]
        if isinstance(reporter, pytest.TerminalReporter):
            reporter.stats.setdefault("deselected", []).extend(SimpleNamespace(nodeid=name) for name in told[why])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say so."""
    for why in config.stash.get(_LEFT_OUT, {}):
        terminalreporter.write_line(why, yellow=True)
