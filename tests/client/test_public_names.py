"""`import chubby` is light, and everything it promises is there (DESIGN §6)."""

from __future__ import annotations

import subprocess
import sys

import pytest

import chubby
from chubby import errors
from chubby.types.events import EventMask

HEAVY = ("grpc", "asyncio", "msgspec", "google.protobuf", "chubby.client", "chubby.errors")


def test_importing_brings_nothing_in() -> None:
    """A command line that only prints its version must not wait for gRPC."""
    program = f"import sys, chubby; chubby.__version__; print([name for name in {HEAVY!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "[]"


def test_naming_connect_does_not_load_grpc() -> None:
    """Only connecting does; and with it, gRPC's fork handlers stay off."""
    program = "import sys, chubby; chubby.connect, chubby.aio, chubby.Election; print('grpc' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "False"


@pytest.mark.parametrize("name", chubby.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """And is found in `dir`, and only once."""
    assert getattr(chubby, name) is getattr(chubby, name)
    assert name in dir(chubby)
    assert chubby.__all__.count(name) == 1


def test_every_error_is_public() -> None:
    """One catches what one can name."""
    internal = {"ErrorCode", "Failure", "error_of"}
    assert set(errors.__all__) - internal <= set(chubby.__all__)


def test_lazy_names_and_public_names_are_the_same() -> None:
    """What type checkers see and what is loaded do not drift apart."""
    assert {*chubby._LAZY, *chubby._MODULES} == set(chubby.__all__)


def test_event_is_what_one_subscribes_to() -> None:
    """`events={chubby.Event.LOCK_ACQUIRED}`."""
    assert chubby.Event is EventMask


def test_what_is_not_there_is_an_attribute_error() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="no attribute 'Zookeeper'"):
        chubby.__getattr__("Zookeeper")
