"""`chubby.aio` and `chubby` offer the same things under the same names (DESIGN §6)."""

from __future__ import annotations

import inspect
import subprocess
import sys

import chubby
import chubby.aio


def test_every_name_has_its_synchronous_counterpart() -> None:
    """Whoever knows one face knows the other; only the stream of events is an iterator of its own kind."""
    for name in set(chubby.aio.__all__) - {"EventStream"}:
        assert hasattr(chubby, name), name


def test_sessions_and_handles_have_the_same_public_methods() -> None:
    """The façade is small and complete."""
    for kind in ("Session", "Handle"):
        names = {
            face: {
                name
                for name, value in inspect.getmembers(getattr(module, kind))
                if not name.startswith("_") and callable(value)
            }
            for face, module in (("aio", chubby.aio), ("sync", chubby))
        }
        assert names["aio"] <= names["sync"], kind


def test_importing_the_package_brings_in_no_grpc() -> None:
    """A command line that only prints its version, or a program that may need a lock, starts fast."""
    code = "import sys, chubby; assert 'grpc' not in sys.modules and 'chubby.client' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
