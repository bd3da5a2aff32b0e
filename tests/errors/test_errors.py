"""The tree of errors: its drawing is true, every leaf has its code, and values and exceptions convert both ways."""

from __future__ import annotations

import re

import msgspec
import pytest

from chubby import errors
from chubby.errors import ChubbyError, ErrorCode, Failure, error_of

CLASSES = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ChubbyError)
}
LEAVES = {
    name: kind
    for name, kind in CLASSES.items()
    if not any(other is not kind and issubclass(other, kind) for other in CLASSES.values())
}
"""Of this tree; a room may tell apart more finely what bears one code."""

NUMBERS = {
    "BAD_PATH": 1,
    "BAD_ARGUMENT": 2,
    "TOO_LARGE": 3,
    "PERMISSION_DENIED": 4,
    "QUOTA_EXCEEDED": 5,
    "NO_NODE": 10,
    "NODE_EXISTS": 11,
    "NOT_EMPTY": 12,
    "GENERATION_MISMATCH": 13,
    "LOCK_CONFLICT": 14,
    "LOCK_NOT_HELD": 15,
    "SEQUENCER_INVALID": 16,
    "HANDLE_INVALID": 20,
    "HANDLE_POISONED": 21,
    "SESSION_EXPIRED": 30,
    "SESSION_UNKNOWN": 31,
    "FORKED_PROCESS": 32,
    "NOT_MASTER": 40,
    "NO_QUORUM": 41,
    "DEADLINE_EXCEEDED": 42,
    "OUTCOME_UNKNOWN": 43,
    "CANCELLED": 44,
    "OVERLOADED": 45,
    "CONFIG": 50,
    "CORRUPT_DATA": 51,
    "STORAGE_FAILED": 52,
    "MEMBERSHIP_REFUSED": 53,
    "INTERNAL": 54,
    "REPLICAS_DISAGREE": 55,
}


def drawn_tree() -> dict[str, str]:
    """Child to parent, as the module's docstring draws it."""
    parents: dict[str, str] = {}
    stack: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ((?:│   |    )*(?:├── |└── )?)([A-Z]\w+)", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        del stack[depth:]
        if stack:
            parents[match[2]] = stack[-1]
        stack.append(match[2])
    return parents


def test_the_drawing_in_the_docstring_is_the_tree() -> None:
    """Readers trust the drawing; so each class stands in it, at its place."""
    actual = {name: kind.__bases__[0].__name__ for name, kind in CLASSES.items() if kind is not ChubbyError}
    assert drawn_tree() == actual


def test_numbers_of_codes_never_change() -> None:
    """They are on the wire and in logs; new codes join this table, old ones never leave it."""
    assert {code.name: code.value for code in ErrorCode} == NUMBERS


def test_every_leaf_has_its_own_code() -> None:
    """One code, one class, both ways."""
    assert sorted(kind.code for kind in LEAVES.values()) == sorted(ErrorCode)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_failure_becomes_the_error_it_came_from(code: ErrorCode) -> None:
    """Pure rooms return failures, programs catch exceptions: nothing is lost between the two."""
    failure = Failure(code, "what went wrong")
    error = error_of(failure)
    assert type(error).__name__ in LEAVES
    assert error.code is code
    assert str(error) == "what went wrong"
    assert Failure.of(error) == failure


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_failure_survives_encoding(code: ErrorCode) -> None:
    """The reply table and the wire carry failures."""
    failure = Failure(code, "grüße")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(failure), type=Failure) == failure


def test_retryable_promises_that_the_call_took_no_effect() -> None:
    """DESIGN §4 Sessions: until either is certain the error says outcome unknown, and that is never retryable."""
    assert {code for code in ErrorCode if code.retryable} == {
        ErrorCode.NOT_MASTER,
        ErrorCode.NO_QUORUM,
        ErrorCode.DEADLINE_EXCEEDED,
        ErrorCode.OVERLOADED,
        ErrorCode.REPLICAS_DISAGREE,
    }
    assert not ErrorCode.OUTCOME_UNKNOWN.retryable


def test_whoever_catches_the_root_catches_all() -> None:
    """The root is an Exception, and every public class is exported."""
    assert issubclass(ChubbyError, Exception)
    for name, kind in CLASSES.items():
        assert issubclass(kind, ChubbyError)
        assert name in errors.__all__
        assert (kind.__doc__ or "").strip()
