"""The JSON form of transactions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby import paths
from chubby.cli import txn_json
from chubby.cli.txn_json import parse, render
from chubby.errors import BadArgument, BadPath, ChubbyError
from chubby.types.calls import Transact
from chubby.types.transaction import GenerationIs, Read, Write
from tests.cli.test_txn_format import TRANSACTIONS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)


def test_the_documented_example() -> None:
    """The example that the help shows."""
    text = (txn_json.__doc__ or "").partition("::\n\n")[2].partition("\n\nThe types")[0]
    assert parse(text, lambda name: paths.parse(name).path) == Transact(
        (GenerationIs("/svc/addr", 3),), (Write("/svc/addr", b"10.0.0.8:80"),), (Read("/svc/addr"),)
    )


@given(TRANSACTIONS)
def test_what_is_rendered_is_parsed_again(transact: Transact) -> None:
    """Bytes, names, numbers: all of it."""
    assert parse(render(transact).decode(), paths.validate) == transact


@given(JSON)
def test_noise_is_refused_politely(value: object) -> None:
    """An error of ours or a transaction, for any JSON in any place."""
    for shape in (
        value,
        {"then": value},
        {"guards": [value]},
        {"then": [{"type": "write", "path": "/a", "text": value}]},
    ):
        try:
            parse(json.dumps(shape), paths.validate)
        except ChubbyError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ({"than": []}, "unknown field 'than'; the fields are guards, then, otherwise"),
        ({"then": [{"type": "write", "path": "/a"}]}, "missing required field `contents`"),
        ({"then": [{"type": "writ", "path": "/a"}]}, "Invalid value 'writ'"),
        (
            {"then": [{"type": "read", "path": "/a", "generation": 1}]},
            "read has no field 'generation'; it has path, type",
        ),
        ({"guards": [{"type": "exists", "path": "/a", "instnce": 1}]}, "exists has no field 'instnce'"),
        ({"guards": [{"type": "read", "path": "/a"}]}, "Invalid value 'read'"),
        ({"then": [{"type": "write", "path": "/a", "text": "x", "contents": ""}]}, "give text or contents, not both"),
        ({"then": [{"type": "write", "path": "/a", "text": 1}]}, "text is a string"),
        ({"then": [{"type": "write", "path": "/a", "contents": "!"}]}, "base64"),
        ({"then": [{"type": "create", "path": "/a", "ephemeral": True}]}, "use: chubby put --ephemeral"),
        ([], "not the JSON of a transaction"),
    ],
)
def test_mistakes_are_named(shape: object, complaint: str) -> None:
    """A misspelled guard must not vanish."""
    with pytest.raises(BadArgument) as caught:
        parse(json.dumps(shape), paths.validate)
    assert complaint in str(caught.value)


def test_paths_are_checked() -> None:
    """As in the text form."""
    with pytest.raises(BadPath):
        parse('{"then": [{"type": "read", "path": "/a//b"}]}', paths.validate)


@pytest.mark.parametrize("text", ['{"then": ' + "[" * 5000, '{"then": [{"type": ' + "[" * 5000])
def test_nesting_without_end_is_refused(text: str) -> None:
    """In words, like any other mistake."""
    with pytest.raises(BadArgument, match="not the JSON of a transaction"):
        parse(text, paths.validate)
