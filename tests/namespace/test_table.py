"""Tables: rows that know their digest (DESIGN §3 Digest)."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.namespace.table import Table, discard, mark_of


def new_table(name: str = "test") -> Table[str, int]:
    """A table of plain rows."""
    return Table(name, msgspec.msgpack.Decoder(list[tuple[str, int]]))


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.none() | st.integers(0, 3))))
def test_the_total_is_that_of_the_rows(steps: list[tuple[str, int | None]]) -> None:
    """However the rows came to be: incremental and from scratch are the same number."""
    table, rows = new_table(), dict[str, int]()
    for key, value in steps:
        if value is not None:
            table.put(key, value)
            rows[key] = value
        elif key in rows:
            assert table.drop(key) == rows.pop(key)
    assert (table.rows, len(table)) == (rows, len(rows))
    assert table.total == sum(mark_of(("test", key, value)) for key, value in rows.items())
    assert all(table.sweep())


def test_a_mark_is_128_bits_of_blake2b() -> None:
    """Over name, key and row, so that equal rows of two tables do not look alike."""
    data = msgspec.msgpack.encode(("test", "k", 1))
    assert new_table().mark("k", 1) == int.from_bytes(hashlib.blake2b(data, digest_size=16).digest(), "big")
    assert new_table("other").mark("k", 1) != new_table().mark("k", 1)


def test_an_empty_table_has_no_total() -> None:
    """The digest of nothing is nothing."""
    table = new_table()
    table.put("k", 1)
    table.drop("k")
    assert table.total == 0


def test_rows_keep_the_order_of_first_insertion() -> None:
    """A snapshot and its restore rely on it."""
    table = new_table()
    for key in "bac":
        table.put(key, 1)
    table.put("b", 2)
    table.drop("a")
    table.put("a", 3)
    assert list(table.frozen()) == [("b", 2), ("c", 1), ("a", 3)]


def test_frozen_rows_stay_as_they_were() -> None:
    """Whatever happens to the table afterwards."""
    table = new_table()
    table.put("k", 1)
    frozen = table.frozen()
    table.put("k", 2)
    table.put("l", 1)
    assert list(frozen) == [("k", 1)]


def test_load_is_put() -> None:
    """Rows that are loaded have the same total; a second row of a key is an error, so is anything that is no row."""
    table, copy = new_table(), new_table()
    for key, value in (("b", 1), ("a", 2)):
        table.put(key, value)
    copy.load(msgspec.Raw(msgspec.msgpack.encode(list(table.frozen()))))
    assert (copy.total, list(copy.rows)) == (table.total, ["b", "a"])
    with pytest.raises(ValueError, match="occurs twice"):
        copy.load(msgspec.Raw(msgspec.msgpack.encode([("a", 2)])))
    with pytest.raises(ValueError):
        copy.load(msgspec.Raw(msgspec.msgpack.encode([("c", "text")])))


def test_rot_is_found_row_by_row() -> None:
    """A row that is not what was put is unsound; a row that is gone is no rot."""
    table = new_table()
    for key in "abc":
        table.put(key, 1)
    table.rows["b"] = 2
    assert list(table.sweep()) == [True, False, True]
    sweep = table.sweep()
    assert next(sweep)
    table.drop("b")
    assert list(sweep) == [True, True]


def test_hooks_of_rows_that_are_not_plain() -> None:
    """What enters the mark, what is checked besides, what takes its place in memory."""
    table: Table[str, str] = Table(
        "hooked",
        msgspec.msgpack.Decoder(list[tuple[str, str]]),
        digested=lambda row: row[:2],
        intact=lambda row: row.islower(),
        shared=lambda row: row[:3],
    )
    table.put("k", "abcd")
    assert table.mark("k", "abxx") == table.mark("k", "abcd")
    table.rows["k"] = "abX"
    assert not table.is_sound("k")
    table.load(msgspec.Raw(msgspec.msgpack.encode([("l", "abcdef")])))
    assert table.rows["l"] == "abc"
    with pytest.raises(ValueError, match="contradicts"):
        table.load(msgspec.Raw(msgspec.msgpack.encode([("m", "ABC")])))


def test_discard_leaves_no_empty_groups() -> None:
    """An index has a group only while it has members."""
    index = {"g": {1: None, 2: None}}
    discard(index, "g", 1)
    assert index == {"g": {2: None}}
    discard(index, "g", 2)
    assert index == {}
