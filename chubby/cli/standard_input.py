"""Standard input: contents that are piped in, and answers of a person."""

from __future__ import annotations

import sys

import click


def read_all() -> bytes:
    """All of it. Raises UsageError if it was closed by whoever started us: that is not an empty content."""
    if sys.stdin is None:
        raise click.UsageError("standard input is closed")
    return sys.stdin.buffer.read()


def is_terminal() -> bool:
    """Whether a person may be typing."""
    return sys.stdin is not None and sys.stdin.isatty()


def confirm(question: str) -> None:
    """Ask on stderr whether to go on; returns if the answer is yes.

    Raises UsageError if there is nobody to ask, ClickException (exit code 1) if the answer is no.
    """
    if not is_terminal():
        raise click.UsageError(f"{question} Say --yes to go on; there is no terminal to ask on")
    if not click.confirm(question, err=True):
        raise click.ClickException("nothing was changed")
