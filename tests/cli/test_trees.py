"""Writing and deleting while others do the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby import paths
from chubby.cli.options import Connection
from chubby.cli.ports import CellSession
from chubby.cli.trees import ATTEMPTS, ensure_parents, put, remove
from chubby.errors import NoNode, NotEmpty
from chubby.types.nodes import NodeKind
from chubby.types.transaction import Create, Guard, Operation, Remove, TransactionResult
from tests.cli.fake_cell import FakeCell, FakeSession


class Rival(FakeSession):
    """A session in which somebody else does something before each transaction."""

    def __init__(self, cell: FakeCell, number: int) -> None:
        """Nothing planned yet."""
        super().__init__(cell, number)
        self.plan: list[Sequence[Operation]] = []

    async def transact(
        self, guards: Sequence[Guard], then: Sequence[Operation], otherwise: Sequence[Operation] = ()
    ) -> TransactionResult:
        """The rival first."""
        if self.plan:
            await super().transact((), self.plan.pop(0))
        return await super().transact(guards, then, otherwise)


@pytest.fixture
async def rival() -> AsyncIterator[Rival]:
    """A session with a rival."""
    cell = FakeCell()
    async with cell.open_session(Connection(), None) as session:
        assert isinstance(session, FakeSession)
        yield Rival(cell, session._number)


async def test_parents_that_vanish_are_made_again(rival: Rival) -> None:
    """Each attempt looks anew at what is missing."""
    await rival.transact((), [Create("/a")])
    rival.plan = [[], [Remove("/a")], [Create("/a")], [Remove("/a")]]
    await put(rival, "/a/b/c", b"x", create_only=False, parents=True)
    assert rival._cell.contents("/a/b/c") == b"x"


async def test_who_is_beaten_every_time_gives_up_with_the_reason(rival: Rival) -> None:
    """No endless loop."""
    rival.plan = [[], *(step for _ in range(ATTEMPTS) for step in ([Create("/a")], [], [Remove("/a")]))]
    with pytest.raises(NoNode):
        await put(rival, "/a/b/c", b"x", create_only=False, parents=True)


async def test_a_node_that_appears_meanwhile_is_overwritten(rival: Rival) -> None:
    """The last writer wins, as with `put` itself."""
    rival.plan = [[], [], [], [Create("/a"), Create("/a/b", b"theirs")]]
    await put(rival, "/a/b", b"ours", create_only=False, parents=True)
    assert rival._cell.contents("/a/b") == b"ours"


async def test_a_child_that_appears_meanwhile_is_deleted_too(rival: Rival) -> None:
    """rm -r decides again."""
    rival._cell.put("/a", b"", "/a/b")
    rival.plan = [[Create("/a/c")]]
    assert await remove(rival, "/a", recursive=True) == 3
    assert rival._cell.contents("/a") is None


async def test_a_node_that_vanishes_meanwhile_is_no_trouble(rival: Rival) -> None:
    """It is gone, which is what was wanted."""
    rival._cell.put("/a", b"", "/a/b", "/a/c")
    rival.plan = [[Remove("/a/b")]]
    assert await remove(rival, "/a", recursive=True) == 2
    rival._cell.put("/a")
    rival.plan = [[Remove("/a")]]
    with pytest.raises(NoNode):
        await remove(rival, "/a", recursive=True)


async def test_rm_gives_up_against_somebody_who_never_stops(rival: Rival) -> None:
    """With a word about why."""
    rival._cell.put("/a")
    rival.plan = [[Create(f"/a/{number}")] for number in range(ATTEMPTS + 1)]
    with pytest.raises(NotEmpty, match="at the same time"):
        await remove(rival, "/a", recursive=True)


@given(st.sets(st.sampled_from(["/a", "/a/b", "/a/b/c", "/d", "/d/e"])), st.sampled_from(["/a/b/c/x", "/d/y"]))
def test_parents_that_are_there_are_left_alone(there: set[str], path: str) -> None:
    """Whatever is missing is made, nothing else is touched: but what gets its first child becomes a directory."""
    cell = FakeCell()
    for each in sorted(there):
        if all(ancestor in (*there, "/") for ancestor in paths.ancestors(each)):
            cell.put(each, b"mine")
    before = {each: cell.machine.node(each) for each in sorted(there)}

    async def main(session: CellSession) -> None:
        await ensure_parents(session, path)

    async def run() -> None:
        async with cell.open_session(Connection(), None) as session:
            await main(session)

    asyncio.run(run())
    assert cell.contents(paths.parent(path)) is not None
    above = paths.ancestors(paths.parent(path))
    for each, node in before.items():
        if node is not None:
            kind = NodeKind.DIRECTORY if each in above else node.stat.kind
            stat = msgspec.structs.replace(node.stat, kind=kind)
            assert cell.machine.node(each) == msgspec.structs.replace(node, stat=stat)
