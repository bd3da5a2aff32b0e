"""One running cell for each module of tests, and client processes that do not outlive their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.cells import Cell, running_cell
from tests.integration.mounts import Mount, Tool, mounts
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
    yield from _started(request, Program)


def _started(request: pytest.FixtureRequest, run: Callable[..., Program]) -> Iterator[Starter]:
    failed = request.session.testsfailed
    programs: list[Program] = []
    with ExitStack() as stack:

        def start(*command: str) -> Program:
            programs.append(stack.enter_context(run(*command)))
            return programs[-1]

        yield start
    if request.session.testsfailed > failed:
        for program in programs:
            print("---", *program.arguments, *program.said, sep="\n")


# ------------------------------------------------------------------------------------------------------------- mounts


@pytest.fixture(scope="package")
def mounted_cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """Three replicas with short leases, for all tests that mount a cell and do not ask for more."""
    with running_cell(tmp_path_factory.mktemp("cell"), replicas=3) as cell:
        yield cell


@pytest.fixture(scope="package")
def lasting_mounts(mounted_cell: Cell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mount, ...]]:
    """Two mounts of it, by two processes."""
    directory = tmp_path_factory.mktemp("mounts")
    with mounts(mounted_cell, directory / "here", directory / "there") as both:
        yield both


@pytest.fixture
def two_mounts(
    mounted_cell: Cell, lasting_mounts: tuple[Mount, Mount], request: pytest.FixtureRequest
) -> Iterator[tuple[Mount, Mount]]:
    """The two mounts, both alive, of a cell that is whole. When the test failed, what they logged is shown."""
    failed = request.session.testsfailed
    mounted_cell.heal()
    for each in lasting_mounts:
        each.heal()
    yield lasting_mounts
    if request.session.testsfailed > failed:
        mounted_cell.show_logs()
        for each in lasting_mounts:
            print(f"--- mount at {each.directory}\n{each.log()[-4000:]}")


@pytest.fixture
def here(two_mounts: tuple[Mount, Mount], request: pytest.FixtureRequest) -> Path:
    """A directory of the test's own, on the first mount."""
    directory = two_mounts[0] / f"{request.path.stem}-{request.node.name}"
    directory.mkdir()
    return directory


@pytest.fixture
def there(two_mounts: tuple[Mount, Mount], here: Path) -> Path:
    """The same directory, on the second mount."""
    return two_mounts[1] / here.name


@pytest.fixture
def tool(request: pytest.FixtureRequest) -> Iterator[Starter]:
    """Starts programs of any kind; they are killed when the test is over. If it failed, what they said is shown."""
    yield from _started(request, Tool)
