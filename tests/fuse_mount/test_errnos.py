"""Which errno stands for which error."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby import errors
from chubby.errors import ChubbyError, ErrorCode, Failure, error_of
from fuse_mount.errnos import ERRNOS, attributes_errno_of, errno_of

UNANSWERED = [ErrorCode.NOT_MASTER, ErrorCode.NO_QUORUM, ErrorCode.DEADLINE_EXCEEDED]


def test_every_code_has_an_errno() -> None:
    """The table is whole: a code that is added to the project without one fails here."""
    assert set(ERRNOS) == set(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_errno_is_one_that_a_shell_can_name(code: ErrorCode) -> None:
    """What is printed is `strerror`, so it must be a number of this system."""
    assert ERRNOS[code] in errno.errorcode
    assert "Unknown" not in os.strerror(ERRNOS[code])


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_of_each_code_becomes_what_the_table_says(code: ErrorCode) -> None:
    """The message is for people and decides nothing."""
    for message in ("", "a path has at most 64 components"):
        assert errno_of(error_of(Failure(code, message))) == ERRNOS[code]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.BadPath("x"), errno.EINVAL),
        (errors.NoNode("x"), errno.ENOENT),
        (errors.NodeExists("x"), errno.EEXIST),
        (errors.NotEmpty("x"), errno.ENOTEMPTY),
        (errors.TooLarge("x"), errno.EFBIG),
        (errors.QuotaExceeded("x"), errno.ENOSPC),
        (errors.PermissionDenied("x"), errno.EACCES),
        (errors.LockConflict("x"), errno.EWOULDBLOCK),
        (errors.HandleInvalid("x"), errno.ESTALE),
        (errors.SessionExpired("x"), errno.EIO),
        (errors.SessionUnknown("x"), errno.EIO),
        (errors.OutcomeUnknown("x"), errno.EIO),
        (errors.Cancelled("x"), errno.EINTR),
        (errors.NoQuorum("x"), errno.ETIMEDOUT),
    ],
)
def test_programs_see_what_they_know(error: ChubbyError, expected: int) -> None:
    """What flock(1), mkdir -p, rm -f, rsync and others act upon."""
    assert errno_of(error) == expected


def test_only_a_lock_that_others_hold_is_eagain() -> None:
    """`flock -n` exits as "somebody has it" on EAGAIN and EWOULDBLOCK: no other trouble may look like that."""
    assert [code for code in ErrorCode if ERRNOS[code] in (errno.EAGAIN, errno.EWOULDBLOCK)] == [
        ErrorCode.LOCK_CONFLICT
    ]


def test_only_a_cancelled_call_is_eintr() -> None:
    """Runtimes repeat a call on EINTR at once: for any other trouble that would be a busy loop."""
    assert [code for code in ErrorCode if ERRNOS[code] == errno.EINTR] == [ErrorCode.CANCELLED]


def test_only_what_took_no_effect_may_be_repeated_by_the_kernel() -> None:
    """The kernel repeats a call by name after ESTALE; so nothing that may have happened is ESTALE."""
    stale = {code for code in ErrorCode if ERRNOS[code] == errno.ESTALE}
    assert stale == {ErrorCode.GENERATION_MISMATCH, ErrorCode.SEQUENCER_INVALID, ErrorCode.HANDLE_INVALID}


@pytest.mark.parametrize("code", UNANSWERED)
def test_what_nobody_answered_is_a_timeout(code: ErrorCode) -> None:
    """And not EIO, which says that something may be lost."""
    assert ERRNOS[code] == errno.ETIMEDOUT
    assert code.retryable


def test_an_error_between_the_leaves_has_an_errno_too() -> None:
    """Whoever raises the root of the tree has a bug, and still answers."""
    assert errno_of(ChubbyError("x")) == errno.EIO
    assert errno_of(errors.AvailabilityError("x")) in errno.errorcode


@given(st.sampled_from(sorted(errno.errorcode)))
def test_an_oserror_keeps_its_number(number: int) -> None:
    """The pure modules refuse with OSError themselves."""
    assert errno_of(OSError(number, "text")) == number


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(), errno.EIO),
        (OSError("no number"), errno.EIO),
        (OSError(0, "success is none"), errno.EIO),
        (OSError(-5, "a number of the kernel's"), errno.EIO),
        (FileNotFoundError(), errno.EIO),
        (InterruptedError(), errno.EINTR),
        (InterruptedError("gave up"), errno.EINTR),
        (InterruptedError(errno.EINTR, "gave up"), errno.EINTR),
        (TimeoutError(), errno.ETIMEDOUT),
        (concurrent.futures.TimeoutError(), errno.ETIMEDOUT),
        (TimeoutError(), errno.ETIMEDOUT),
    ],
)
def test_an_oserror_without_a_number(error: OSError, expected: int) -> None:
    """EIO, but for the two that mean one thing alone."""
    assert errno_of(error) == expected


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), KeyError("x"), AssertionError(), UnicodeEncodeError("utf-8", "\udc80", 0, 1, "x")],
)
def test_a_bug_is_eio(error: Exception) -> None:
    """Never success, never a crash."""
    assert errno_of(error) == errno.EIO


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(0), asyncio.CancelledError(), GeneratorExit()])
def test_what_is_no_exception_is_eio(error: BaseException) -> None:
    """A caller that is answered for is answered."""
    assert errno_of(error) == errno.EIO


def test_too_large_of_attributes_is_no_space() -> None:
    """setxattr(2): ENOSPC; EFBIG would speak of the file."""
    assert attributes_errno_of(errors.TooLarge("x")) == errno.ENOSPC


@pytest.mark.parametrize("code", [code for code in ErrorCode if code is not ErrorCode.TOO_LARGE])
def test_every_other_error_of_attributes_is_as_usual(code: ErrorCode) -> None:
    """Only what the code leaves open differs."""
    error = error_of(Failure(code, "x"))
    assert attributes_errno_of(error) == errno_of(error)
    assert attributes_errno_of(OSError(errno.EPERM, "x")) == errno.EPERM
