"""The text form of transactions: what is written is what is meant, and what is meant can be written."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby import paths
from chubby.cli import txn_format
from chubby.cli.txn_format import describe, parse, render, value_of, value_text
from chubby.errors import BadArgument, BadPath, ChubbyError
from chubby.types.calls import Transact
from chubby.types.nodes import AclNames, NodeKind
from chubby.types.transaction import (
    Absent,
    AclGenerationIs,
    ContentIs,
    Create,
    Exists,
    GenerationIs,
    Guard,
    Operation,
    Read,
    Remove,
    TokenIs,
    Write,
    WriteAcl,
    WriteAttributes,
)


def legal(path: str) -> bool:
    """Whether the path may be used."""
    try:
        paths.validate(path)
    except BadPath:
        return False
    return True


NAMES = st.text(min_size=1, max_size=12).filter(lambda name: legal(f"/{name}"))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names)).filter(legal)
NUMBERS = st.integers(min_value=0, max_value=1 << 63)
VALUES = st.one_of(st.binary(max_size=30), st.text(max_size=30).map(str.encode))
WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=10)
ACLS = st.builds(AclNames, WORDS, WORDS, WORDS)
ATTRIBUTES = st.dictionaries(WORDS, VALUES, max_size=3)

GUARDS: st.SearchStrategy[Guard] = st.one_of(
    st.builds(Exists, PATHS, st.none() | NUMBERS),
    st.builds(Absent, PATHS),
    st.builds(GenerationIs, PATHS, NUMBERS),
    st.builds(AclGenerationIs, PATHS, NUMBERS),
    st.builds(ContentIs, PATHS, VALUES),
    st.builds(TokenIs, PATHS, NUMBERS),
)
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.builds(
        Create,
        path=PATHS,
        contents=VALUES,
        kind=st.sampled_from(NodeKind),
        ephemeral=st.just(False),
        sequential=st.booleans(),
        may_exist=st.booleans(),
        acl=st.none() | ACLS,
        attributes=ATTRIBUTES,
    ),
    st.builds(Write, PATHS, VALUES),
    st.builds(Remove, PATHS),
    st.builds(WriteAcl, PATHS, ACLS),
    st.builds(WriteAttributes, PATHS, st.dictionaries(WORDS, VALUES, min_size=1, max_size=3)),
    st.builds(Read, PATHS),
)
TRANSACTIONS = st.builds(
    Transact,
    st.lists(GUARDS, max_size=4).map(tuple),
    st.lists(OPERATIONS, max_size=4).map(tuple),
    st.lists(OPERATIONS, max_size=4).map(tuple),
)


def test_the_documented_example() -> None:
    """The example that the help shows says what its comment says."""
    text = (txn_format.__doc__ or "").partition("::\n\n")[2].partition("\n| line")[0]
    lines = "\n".join(line.removeprefix("    ") for line in text.splitlines())
    assert parse(lines, lambda name: paths.parse(name).path) == Transact(
        (Absent("/svc/leader"), TokenIs("/svc/lock", 4711)),
        (Create("/svc/leader", b"10.0.0.7:80", acl=AclNames("readers", "writers", "admins")),),
        (Read("/svc/leader"),),
    )


def test_every_line() -> None:
    """Each documented form, once."""
    text = """
# a comment
if exists /a
if exists /a 7
if absent /b
if generation /a 3
if acl-generation /a 4
if content /a 'two words'
if token /lock 99
create /c
create /d "x y" --directory --sequential --may-exist --acl r w c --attribute k v --attribute l base64:AA==
write /a base64:/w==
  remove /b
acl /a anyone writers admins
attribute /a k v l ''
read /a
else
read /b
"""
    assert parse(text, str) == Transact(
        (
            Exists("/a"),
            Exists("/a", 7),
            Absent("/b"),
            GenerationIs("/a", 3),
            AclGenerationIs("/a", 4),
            ContentIs("/a", b"two words"),
            TokenIs("/lock", 99),
        ),
        (
            Create("/c"),
            Create(
                "/d",
                b"x y",
                NodeKind.DIRECTORY,
                sequential=True,
                may_exist=True,
                acl=AclNames("r", "w", "c"),
                attributes={"k": b"v", "l": b"\0"},
            ),
            Write("/a", b"\xff"),
            Remove("/b"),
            WriteAcl("/a", AclNames("anyone", "writers", "admins")),
            WriteAttributes("/a", {"k": b"v", "l": b""}),
            Read("/a"),
        ),
        (Read("/b"),),
    )


@given(TRANSACTIONS)
def test_what_is_rendered_is_parsed_again(transact: Transact) -> None:
    """Every transaction without ephemerals has a text, and it means that transaction."""
    assert parse(render(transact), paths.validate) == transact


@given(VALUES)
def test_a_value_is_one_printable_word(value: bytes) -> None:
    """No value breaks a line or a word, or moves a terminal's cursor."""
    text = value_text(value)
    assert text.isprintable()
    (word,) = shlex.split(text)
    assert value_of(word) == value


@given(st.text(max_size=200))
def test_noise_is_refused_politely(text: str) -> None:
    """Whatever is written, the answer is a transaction or an error that names a line."""
    try:
        parse(text, paths.validate)
    except ChubbyError as error:
        assert str(error).startswith("line ")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("write /a x\nif exists /a", "line 2: guards come before the operations"),
        ("then\nif exists /a", "line 2: guards come before the operations"),
        ("else\nif exists /a", "line 2: guards come before the operations"),
        ("then\nthen", "line 2: 'then' comes once"),
        ("write /a x\nthen", "line 2: 'then' comes once"),
        ("else\nelse", "line 2: 'else' comes once"),
        ("if exist /a", "line 1: no guard: 'exist /a'"),
        ("if generation /a three", "line 1: 'three' is not a number"),
        ("if generation /a -1", "line 1: '-1' is not a number"),
        ("if generation /a ²", "line 1: '²' is not a number"),
        ("write /a", "line 1: no operation: 'write /a'"),
        ("write /a b c", "line 1: no operation"),
        ("attribute /a k", "line 1: no operation"),
        ("attribute /a k v l", "line 1: no operation"),
        ("write /a 'x", "line 1: no closing quotation"),
        ("write /a base64:!", "line 1: 'base64:!' is not base64"),
        ("create /a x --ephemeral", "line 1: no option of create: '--ephemeral'"),
        ("create /a --acl r w", "line 1: no option of create: '--acl r w'"),
        ("\n\n''", "line 3: no operation"),
    ],
)
def test_mistakes_are_named(text: str, complaint: str) -> None:
    """The line, and what is wrong with it."""
    with pytest.raises(BadArgument) as caught:
        parse(text, str)
    assert str(caught.value).startswith(complaint)


def test_a_bad_path_names_its_line() -> None:
    """The error keeps its kind, hence its exit code."""
    with pytest.raises(BadPath, match=r"^line 2: .*component is empty"):
        parse("read /a\nread /a//b", paths.validate)


def test_a_hash_within_a_line_is_text() -> None:
    """`#` begins a comment at the beginning of a line alone: colours and fragments survive."""
    assert parse("write /a x#y", str).then == (Write("/a", b"x#y"),)


def test_operations_are_described_in_two_words() -> None:
    """For results."""
    assert describe(Create("/a/b", b"x")) == "create /a/b"
    assert describe(WriteAcl("/a", AclNames("r", "w", "c"))) == "acl /a"
