"""`chubby.aio` and `chubby` offer the same things under the same names (DESIGN §6)."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable

import pytest

import chubby
import chubby.aio
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork
from tests.client.test_sync import open_session


def test_every_name_has_its_synchronous_counterpart() -> None:
    """Whoever knows one face knows the other; only the stream of events is an iterator of its own kind."""
    for name in set(chubby.aio.__all__) - {"EventStream"}:
        assert hasattr(chubby, name), name


FACES = sorted(set(chubby.aio.__all__) - {"EventStream", "SessionState", "connect"})
"""The classes that exist twice."""


def public(kind: type) -> set[str]:
    """What a class offers: methods and properties."""
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


@pytest.mark.parametrize("kind", FACES)
def test_both_faces_offer_the_same_names_and_no_others(kind: str) -> None:
    """The façade is small and complete; what its parts share among themselves, users do not see."""
    only_there = {"get"} if kind == "Watch" else set()  # one event, within a timeout: tasks have asyncio for that
    assert public(getattr(chubby, kind)) - only_there == public(getattr(chubby.aio, kind))


@pytest.mark.parametrize("kind", FACES)
def test_methods_take_the_same_arguments(kind: str) -> None:
    """Under the same names, with the same defaults."""
    ours, theirs = getattr(chubby, kind), getattr(chubby.aio, kind)
    for name in public(theirs):
        method, counterpart = getattr(theirs, name), getattr(ours, name)
        assert inspect.isfunction(method) == inspect.isfunction(counterpart), name
        if inspect.isfunction(method):
            assert parameters(method) == parameters(counterpart), name


def parameters(function: Callable[..., object]) -> list[tuple[str, object, object]]:
    """Name, kind and default of each."""
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


def attributes(thing: object) -> set[str]:
    """What it offers, and what hangs on the object itself."""
    return {name for name in (*vars(thing), *dir(type(thing))) if not name.startswith("_")}


def test_the_objects_have_the_same_attributes_too() -> None:
    """Sessions, handles, watches, and what the recipes give."""
    cell = FakeCell()
    with open_session(cell) as session:
        ours = things(session)

    async def asynchronous() -> dict[str, set[str]]:
        async with chubby.aio.connect("/ls/local", addresses=ADDRESSES, network=FakeNetwork(FakeCell())) as other:
            registry = chubby.aio.ServiceRegistry(other, "/services")
            return {
                "session": attributes(other),
                "handle": attributes(await other.open("/a", create=True)),
                "watch": attributes(await other.watch("/a")),
                "held": attributes(await chubby.aio.Lock(other, "/lock").acquire()),
                "leadership": attributes(await chubby.aio.Election(other, "/leader").campaign()),
                "registration": attributes(await registry.register("web", "a", "x:1")),
            }

    assert asyncio.run(asynchronous()) == ours


def things(session: chubby.Session) -> dict[str, set[str]]:
    """The same of the synchronous face."""
    return {
        "session": attributes(session),
        "handle": attributes(session.open("/a", create=True)),
        "watch": attributes(session.watch("/a")) - {"get"},
        "held": attributes(chubby.Lock(session, "/lock").acquire()),
        "leadership": attributes(chubby.Election(session, "/leader").campaign()),
        "registration": attributes(chubby.ServiceRegistry(session, "/services").register("web", "a", "x:1")),
    }


def test_what_a_lock_gives_is_of_the_same_face() -> None:
    """A thread that was handed the asyncio handle would get coroutines where it expects answers."""
    with open_session(FakeCell()) as session, chubby.Lock(session, "/lock") as held:
        assert isinstance(held.handle, chubby.Handle)
        held.handle.set_contents(b"mine")
        assert held.handle.get_contents_and_stat()[0] == b"mine"
        assert held.handle.get_sequencer().token == held.token


def test_importing_the_package_brings_in_no_grpc() -> None:
    """A command line that only prints its version, or a program that may need a lock, starts fast."""
    code = "import sys, chubby; assert 'grpc' not in sys.modules and 'chubby.client' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
