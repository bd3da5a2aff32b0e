"""One running cell for each module of tests, and client processes that do not outlive their test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.cells import Cell, running_cell
from tests.integration.programs import Program, Starter


@pytest.fixture(scope="module")
def module_cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """Five replicas with short leases, for all tests of the module."""
    with running_cell(tmp_path_factory.mktemp("cell")) as cell:
        yield cell


@pytest.fixture
def cell(module_cell: Cell, request: pytest.FixtureRequest) -> Iterator[Cell]:
    """The module's cell with all five replicas up and voting. When the test failed, what they logged is shown."""
    module_cell.heal()
    failed = request.session.testsfailed
    yield module_cell
    if request.session.testsfailed > failed:
        module_cell.show_logs()


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Starter]:
    """Starts client processes; they are killed when the test is over. If it failed, what they said is shown."""
    failed = request.session.testsfailed
    programs: list[Program] = []
    with ExitStack() as stack:

        def start(*arguments: str) -> Program:
            programs.append(stack.enter_context(Program(*arguments)))
            return programs[-1]

        yield start
    if request.session.testsfailed > failed:
        for program in programs:
            print("---", *program.arguments, *program.said, sep="\n")
