"""libfuse's threads keep what Python knows of them from one request to the next.

For a call from a thread that is not its own, Python makes a thread state, and throws it away when the call returns:
memory mapped, faulted in and unmapped again, a third of what a small request costs. One `PyGILState_Ensure` that is not
taken back keeps it. It has to be taken back when the thread ends, or each thread that came and went would leave its
state behind. glibc calls a function of ours then, as it does for C++: before it forgets what is the thread's own, the
place of its Python state included (which is why a destructor of pthread_key_create(3) would come too late).

::

    a thread's first request     Ensure, callback: `stay` ensures once more and asks to be called at the end, Release
    its later requests           Ensure, callback, Release: the state is found, and left
    its end                      Ensure, `_leave` releases what `stay` has ensured, Release: the state is gone

A thread that Python made has a state of its own for as long as it runs, and is left alone: on the main thread glibc
would call us when no interpreter is left to be called.

Where the C library offers no such thing (musl) nothing is kept, and all is as it was, only slower.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Final

LetGo = Callable[[int | None], None]
AtEnd = Callable[[LetGo, None, LetGo], int]
"""What to call, with what, and any address in the library that must not be unloaded before (never NULL)."""

_at_end: Final[AtEnd | None] = getattr(ctypes.PyDLL(None), "__cxa_thread_atexit_impl", None)
_STILL_HELD: Final = 0
"""PyGILState_LOCKED: who calls goes on to hold the interpreter."""


class _Own(threading.local):
    stays: bool = False


_own: Final = _Own()


def stay() -> None:
    """Keep the state of the present thread, which now is in a callback of Python's, until it ends."""
    if not _own.stays:
        _own.stays = True
        if _at_end is not None and not _made_by_python() and _at_end(_let_go, None, _let_go) == 0:
            ctypes.pythonapi.PyGILState_Ensure()


def _made_by_python() -> bool:
    """By the number that the system gave it: what Python knows a thread by (`ident`) is soon another's."""
    return any(thread.native_id == threading.get_native_id() for thread in threading.enumerate())


def _leave(_nothing: int | None) -> None:
    ctypes.pythonapi.PyGILState_Release(_STILL_HELD)


_let_go: Final[LetGo] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_leave)
