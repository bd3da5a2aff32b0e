"""Where `chubby` begins: see `chubby.daemon.entry`."""

from __future__ import annotations

from chubby.daemon.entry import load


def main() -> None:
    """Run `chubby`."""
    load("chubby.cli.main")()
