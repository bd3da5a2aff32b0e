"""What users call nodes, and what the cell calls them (paper §2.3)."""

from __future__ import annotations

import pytest

from chubby.client.names import Names
from chubby.errors import BadPath
from chubby.types.transaction import Absent, Create, Exists, Guard, Operation, Write


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/ls/local/svc/leader", "/svc/leader"),
        ("/ls/local", "/"),
        ("/ls/here/svc", "/svc"),
        ("/svc/leader", "/svc/leader"),
        ("/", "/"),
        ("leader", "/leader"),
        ("svc/leader", "/svc/leader"),
        ("", "/"),
    ],
)
def test_every_spelling_leads_to_one_path(name: str, path: str) -> None:
    """Full names, paths inside the cell, names relative to where the session starts."""
    names = Names("/ls/local")
    names.cell = "here"
    assert names.path(name) == path


def test_a_longer_target_is_where_relative_names_begin() -> None:
    """Full names and paths do not care."""
    names = Names("/ls/local/svc")
    assert names.path("leader") == "/svc/leader"
    assert names.path("") == "/svc"
    assert names.path("/other") == "/other"
    assert names.path("leader", base="/jobs") == "/jobs/leader"


@pytest.mark.parametrize("name", ["/ls/elsewhere/svc", "/ls", "/ls/", "a//b", "/a/../b", "a/", ".contents"])
def test_what_leads_nowhere_is_refused(name: str) -> None:
    """Another cell, no cell, or not a legal name."""
    with pytest.raises(BadPath):
        Names("/ls/local").path(name)


@pytest.mark.parametrize("target", ["local", "/svc", "", "/ls"])
def test_a_target_names_a_cell(target: str) -> None:
    """Else nobody knows where to go."""
    with pytest.raises(BadPath):
        Names(target)


def test_the_asked_for_name_goes_on_to_work() -> None:
    """Whoever connected to /ls/prod may write /ls/prod/..., whatever the cell calls itself."""
    names = Names("/ls/prod")
    names.cell = "prod-eu"
    assert names.path("/ls/prod/a") == names.path("/ls/prod-eu/a") == names.path("/ls/local/a") == "/a"
    assert names.full("/a") == "/ls/prod-eu/a"


def test_transactions_may_name_nodes_as_everywhere() -> None:
    """What is a path already stays the very object."""
    names = Names("/ls/local/svc")
    write = Write("/x", b"1")
    operations: list[Operation] = [write, Create("/ls/local/y", b"2")]
    guards: list[Guard] = [Exists("/ls/local/a"), Absent("b")]
    assert names.resolve(guards) == (Exists("/a"), Absent("/svc/b"))
    resolved = names.resolve(operations)
    assert resolved[0] is write and resolved[1] == Create("/y", b"2")
