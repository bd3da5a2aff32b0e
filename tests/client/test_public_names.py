"""`import chubby` is light, and everything it promises is there (DESIGN §6)."""

from __future__ import annotations

import os
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
    assert said(program) == "[]"


GETENV = "import ctypes, os; getenv = ctypes.CDLL(None).getenv; getenv.restype = ctypes.c_char_p; "
"""What the C library finds in the environment, as gRPC does."""
SHOW = "print(*(getenv(name) for name in (b'GRPC_ENABLE_FORK_SUPPORT', b'GRPC_VERBOSITY')))"


def said(program: str, **environment: str) -> str:
    """What a program prints, with `environment` besides a clean one."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")} | environment
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=clean).stdout.strip()


@pytest.mark.parametrize("module", ["chubby", "chubby.wire", "chubby.client.grpc_network", "chubby.daemon.main"])
def test_grpc_finds_our_defaults_whichever_module_comes_first(module: str) -> None:
    """gRPC reads them when it is imported: children that crash and GOAWAY lines are nobody's wish."""
    assert said(f"{GETENV} import {module}; {SHOW}") == "b'false' b'ERROR'"


def test_what_the_user_says_of_grpc_counts() -> None:
    """A default is what stands where nobody said anything."""
    shown = said(f"{GETENV} import chubby; {SHOW}", GRPC_VERBOSITY="DEBUG", GRPC_ENABLE_FORK_SUPPORT="1")
    assert shown == "b'1' b'DEBUG'"


def test_the_defaults_are_not_handed_on() -> None:
    """`chubby lock` and others start commands with a copy of `os.environ`: those may have a mind of their own."""
    assert said("import os, chubby; print([name for name in os.environ if name.startswith('GRPC_')])") == "[]"


def test_naming_connect_does_not_load_grpc() -> None:
    """Only connecting does."""
    program = "import sys, chubby; chubby.connect, chubby.aio, chubby.Election; print('grpc' in sys.modules)"
    assert said(program) == "False"


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
