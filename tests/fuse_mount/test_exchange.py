"""Structures of C and our values: there and back."""

from __future__ import annotations

import ctypes
import errno
import fcntl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuse_mount import exchange
from fuse_mount.exchange import UTIME_NOW, UTIME_OMIT
from fuse_mount.filesystem import FileLock

SECOND = 10**9


class Time(ctypes.Structure):
    """`struct timespec`."""

    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class Times(ctypes.Structure):
    """What utimensat(2) gives."""

    _fields_ = (("actime", Time), ("modtime", Time))


class Stat(ctypes.Structure):
    """Some of `struct stat`, under mfusepy's names."""

    _fields_ = (
        ("st_mode", ctypes.c_uint),
        ("st_size", ctypes.c_longlong),
        ("st_uid", ctypes.c_uint),
        ("st_atimespec", Time),
        ("st_mtimespec", Time),
        ("st_ctimespec", Time),
    )


class Usage(ctypes.Structure):
    """Some of `struct statvfs`."""

    _fields_ = (("f_bsize", ctypes.c_ulong), ("f_blocks", ctypes.c_ulonglong))


class Lock(ctypes.Structure):
    """`struct flock`."""

    _fields_ = (
        ("l_type", ctypes.c_short),
        ("l_whence", ctypes.c_short),
        ("l_start", ctypes.c_longlong),
        ("l_len", ctypes.c_longlong),
        ("l_pid", ctypes.c_int),
    )


def at(there: ctypes.Structure) -> Any:
    """A pointer to a structure that stands for libfuse's."""
    return ctypes.pointer(there)


def test_attributes_fill_a_stat_and_what_is_not_named_is_zero() -> None:
    """Times are in nanoseconds."""
    there = Stat(st_uid=77)
    named = {"st_mode": 0o100644, "st_size": 2**40, "st_atime": 1, "st_mtime": 5 * SECOND + 7, "st_ctime": 6 * SECOND}
    exchange.put_attributes(at(there), named)
    assert (there.st_mode, there.st_size, there.st_uid) == (0o100644, 2**40, 0)
    stamps = [(each.tv_sec, each.tv_nsec) for each in (there.st_atimespec, there.st_mtimespec, there.st_ctimespec)]
    assert stamps == [(0, 1), (5, 7), (6, 0)]


@given(st.integers(-(2**62), 2**62))
def test_times_before_1970_and_far_ahead_survive(moment: int) -> None:
    """The nanoseconds of a time are never negative."""
    there = Stat()
    exchange.put_attributes(at(there), {"st_mtime": moment})
    assert 0 <= there.st_mtimespec.tv_nsec < SECOND
    assert there.st_mtimespec.tv_sec * SECOND + there.st_mtimespec.tv_nsec == moment


def test_usage_fills_a_statvfs() -> None:
    """By its fields' names."""
    there = Usage()
    exchange.put_usage(at(there), {"f_bsize": 4096, "f_blocks": 7})
    assert (there.f_bsize, there.f_blocks) == (4096, 7)


@given(st.binary(max_size=40), st.integers(0, 50))
def test_a_value_is_given_whole_or_not_at_all(value: bytes, size: int) -> None:
    """getxattr(2): room for nothing asks for the length; too little room is ERANGE; nothing is written beyond."""
    room = (ctypes.c_byte * 64)(*[-1] * 64)
    answer = exchange.put_value(ctypes.cast(room, ctypes.POINTER(ctypes.c_byte)), size, value)
    fits = 0 < len(value) <= size
    if size == 0 or size >= len(value):
        assert answer == len(value)
    else:
        assert answer == -errno.ERANGE
    written = len(value) if fits else 0
    assert bytes(room) == value[:written].ljust(64, b"\xff")


@pytest.mark.parametrize(("given_number", "meant"), [(0, 0), (1000, 1000), (2**32 - 1, -1), (2**32 - 2, 2**32 - 2)])
def test_an_owner_that_shall_stay_is_minus_one(given_number: int, meant: int) -> None:
    """C has it unsigned."""
    assert exchange.owner(given_number) == meant


NOW, KEPT = 99 * SECOND, {"st_atime": 11, "st_mtime": 22}


@pytest.mark.parametrize(
    ("access", "change", "meant"),
    [
        ((1, 2), (3, 4), (SECOND + 2, 3 * SECOND + 4)),
        ((0, UTIME_NOW), (0, UTIME_NOW), None),
        ((0, UTIME_NOW), (3, 4), (NOW, 3 * SECOND + 4)),
        ((0, UTIME_OMIT), (3, 4), (11, 3 * SECOND + 4)),
        ((1, 2), (0, UTIME_OMIT), (SECOND + 2, 22)),
        ((0, UTIME_OMIT), (0, UTIME_NOW), (11, NOW)),
        ((-1, 5), (0, 0), (-SECOND + 5, 0)),
    ],
)
def test_times_of_utimensat(access: tuple[int, int], change: tuple[int, int], meant: tuple[int, int] | None) -> None:
    """Given, now, or as they are: each by itself."""
    there = Times(Time(*access), Time(*change))
    found = exchange.times(at(there), lambda: NOW, lambda: KEPT)
    assert found == meant


def test_times_that_are_given_ask_nobody() -> None:
    """The attributes are fetched only if one of them shall stay."""

    def unexpected() -> dict[str, int]:
        raise AssertionError

    there = Times(Time(1, 0), Time(2, 0))
    given_times = exchange.times(at(there), lambda: NOW, unexpected)
    assert given_times == (SECOND, 2 * SECOND)


@given(
    st.sampled_from([fcntl.F_RDLCK, fcntl.F_WRLCK]),
    st.integers(0, 2**62),
    st.one_of(st.none(), st.integers(1, 2**61)),
    st.integers(1, 2**22),
)
def test_a_lock_survives_the_way_there_and_back(kind: int, start: int, length: int | None, process: int) -> None:
    """A length of 0 reaches to the end; the place counts from the start."""
    lock = FileLock(kind, start, None if length is None else start + length, process)
    there = Lock(l_whence=2)
    exchange.put_lock(at(there), lock)
    assert (there.l_whence, there.l_len) == (0, length or 0)
    assert exchange.get_lock(at(there)) == lock


def test_nothing_in_the_way_leaves_the_question_as_it_was() -> None:
    """F_GETLK: only the kind is changed, as fcntl(2) says."""
    there = Lock(fcntl.F_WRLCK, 0, 5, 6, 7)
    exchange.put_lock(at(there), FileLock(fcntl.F_UNLCK))
    assert [getattr(there, name) for name, _ in Lock._fields_] == [fcntl.F_UNLCK, 0, 5, 6, 7]


def test_attributes_that_are_asked_for_again() -> None:
    """What is filled is always what was given, whether it is the same object as before, an equal one, or another."""
    entry: Any = Stat
    filled = exchange.Filled(entry, limit=3)
    first = {"st_ino": 1, "st_mode": 0o100644, "st_size": 7, "st_mtime": 5 * SECOND + 3}
    for number in (1, 1, 2, 3, 4, 5, 1):
        for size in (7, 7, 8):
            attributes = {**first, "st_ino": number, "st_size": size}
            for _ in range(2):
                there = Stat(st_uid=99)
                filled.put(at(there), attributes)
                assert (there.st_mode, there.st_size, there.st_uid) == (0o100644, size, 0)
                assert (there.st_mtimespec.tv_sec, there.st_mtimespec.tv_nsec) == (5, 3)
