"""`chubby.aio`: the names of the asyncio face (DESIGN §6). What they do is tested in tests/client."""

from __future__ import annotations

import pytest

import chubby
from chubby import aio
from chubby.client.handle import Handle
from chubby.client.session import Session


@pytest.mark.parametrize("name", aio.__all__)
def test_every_name_is_there(name: str) -> None:
    """And has a docstring."""
    assert getattr(aio, name).__doc__


def test_these_are_the_asyncio_classes() -> None:
    """Not the synchronous ones of the same names in the root."""
    assert aio.Handle is Handle and aio.Session is Session
    for name in ("Barrier", "ConfigWatcher", "Election", "Handle", "Lock", "ServiceRegistry", "Session", "connect"):
        assert getattr(aio, name) is not getattr(chubby, name)


def test_the_root_leads_here() -> None:
    """`chubby.aio.connect` without a second import."""
    assert chubby.aio is aio
