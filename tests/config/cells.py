"""Configurations that are right, for tests to make wrong."""

from __future__ import annotations

from collections.abc import Callable

from chubby.config import CellConfig

SOURCE = "cells/test.toml"

Parse = Callable[..., CellConfig]
"""The fixture `parse`."""

_TABLE = '{{id = {id}, peer = "{peer}", client = "{client}"}}'


def replicas(*rows: tuple[int, str, str]) -> str:
    """The `replicas` line of these (id, peer, client)."""
    return "replicas = [" + ", ".join(_TABLE.format(id=i, peer=p, client=c) for i, p, c in rows) + "]"


def local(count: int) -> str:
    """The `replicas` line of `count` replicas that break no rule but perhaps that of their number."""
    return replicas(*((n, f"127.0.0.1:{7100 + n}", f"127.0.0.1:{7200 + n}") for n in range(1, count + 1)))


REPLICAS = local(3)
