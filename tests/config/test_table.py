"""Reading a table key by key: every complaint names file, key and remedy, and no key goes unread."""

from __future__ import annotations

import pytest

from chubby.config.table import Table, complaint
from chubby.config.units import parse_count
from chubby.errors import ConfigError, ErrorCode


def message(error: pytest.ExceptionInfo[ConfigError]) -> str:
    """The text of the error that was caught."""
    return str(error.value)


def test_what_is_there_is_read_and_what_is_not_has_its_default() -> None:
    """A default is returned as it is, not read."""
    table = Table("f.toml", "[t]", {"a": 1})
    assert table.required("a", parse_count) == 1
    assert table.optional("a", parse_count, 7) == 1
    assert table.optional("b", parse_count, -7) == -7
    table.close()


def test_a_missing_key_is_named() -> None:
    """With the line to add."""
    with pytest.raises(ConfigError) as caught:
        Table("f.toml", "[t]", {}).required("a", parse_count)
    assert message(caught) == "f.toml: [t] a: is missing: add a = ..."


def test_what_a_reader_refuses_is_named() -> None:
    """The reader knows trouble and remedy, the table knows where."""
    with pytest.raises(ConfigError) as caught:
        Table("f.toml", "[t]", {"a": "x"}).optional("a", parse_count, 1)
    assert message(caught) == "f.toml: [t] a: 'x' is no whole number: write for instance 1000"
    assert caught.value.__cause__ is None
    assert caught.value.code is ErrorCode.CONFIG


def test_an_error_that_is_no_complaint_passes_through() -> None:
    """A bug in a reader is not blamed on the file."""

    def broken(value: object) -> int:
        raise KeyError(value)

    with pytest.raises(KeyError):
        Table("f.toml", "[t]", {"a": 1}).required("a", broken)


def test_unread_keys_are_refused_in_the_order_of_the_file() -> None:
    """The first one is named, with the nearest key that was asked for, or with all of them."""
    table = Table("f.toml", "[t]", {"alpha": 1, "betta": 2, "zeta": 3})
    table.required("alpha", parse_count)
    table.optional("beta", parse_count, 0)
    with pytest.raises(ConfigError) as caught:
        table.close()
    assert message(caught) == "f.toml: [t] betta: is no known key; did you mean beta?"
    strange = Table("f.toml", "", {"qqq": 1})
    strange.table("cell")
    strange.table("timing")
    with pytest.raises(ConfigError) as caught:
        strange.close()
    assert message(caught) == "f.toml: qqq: is no known key; known here: cell, timing"


def test_tables_within_tables_know_where_they_are() -> None:
    """A complaint names the whole way down."""
    top = Table("f.toml", "", {"cell": {"replicas": [{"id": 1}, {"id": -1}]}})
    cell = top.table("cell")
    first, second = cell.tables("replicas")
    assert first.required("id", parse_count) == 1
    with pytest.raises(ConfigError) as caught:
        second.required("id", parse_count)
    assert message(caught) == "f.toml: [cell] replicas[1] id: -1 is negative: write 0 or more"
    first.close()
    cell.close()
    top.close()


def test_an_absent_table_is_an_empty_one() -> None:
    """Every key of it has its default."""
    table = Table("f.toml", "", {}).table("timing")
    assert table.optional("a", parse_count, 3) == 3
    table.close()


@pytest.mark.parametrize("value", [1, "x", [], None, True])
def test_what_is_no_table_is_refused(value: object) -> None:
    """A value where a table belongs."""
    with pytest.raises(ConfigError, match=r"f\.toml: \[t\]: is not a table"):
        Table("f.toml", "[t]", value)


@pytest.mark.parametrize("value", [1, "x", {}])
def test_what_is_no_list_of_tables_is_refused(value: object) -> None:
    """A value where a list belongs."""
    with pytest.raises(ConfigError, match=r"f\.toml: \[t\] rows: is not a list"):
        Table("f.toml", "[t]", {"rows": value}).tables("rows")


def test_complaints_about_a_whole_file_name_the_file_alone() -> None:
    """There is no key to name."""
    assert str(complaint("f.toml", "", "is empty")) == "f.toml: is empty"
    assert str(complaint("f.toml", "[t] k", "is odd")) == "f.toml: [t] k: is odd"
