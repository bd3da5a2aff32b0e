"""Writing and deleting nodes so that people get what they mean: missing parents made, subtrees deleted.

Each function is a few transactions. They are written so that whatever others do meanwhile, the outcome is one that some
order of all the actions explains; what was decided upon state that has changed is decided again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from chubby import paths
from chubby.cli.ports import CellSession
from chubby.errors import (
    BadArgument,
    GenerationMismatch,
    NoNode,
    NotEmpty,
)
from chubby.types.limits import TRANSACTION_LIMIT
from chubby.types.nodes import DirEntry, NodeKind, Stat
from chubby.types.transaction import (
    Absent,
    Create,
    Exists,
    GenerationIs,
    Guard,
    Operation,
    Read,
    Remove,
    TransactionResult,
    Write,
)

ATTEMPTS: Final = 5
"""How often something is decided again because others changed what it was decided upon."""


async def read(session: CellSession, path: str) -> tuple[bytes, Stat]:
    """Content and metadata of a node. Raises NoNode."""
    result = (await session.transact((), [Read(path)])).results[0]
    assert result.stat is not None and result.contents is not None, "a Read gives both"
    return result.contents, result.stat


async def write_if(session: CellSession, path: str, contents: bytes, generation: int) -> TransactionResult:
    """Replace the content if its generation is `generation`. Raises GenerationMismatch, NoNode."""
    result = await session.transact([GenerationIs(path, generation)], [Write(path, contents)], [Read(path)])
    if not result.succeeded:
        stat = result.results[0].stat
        assert stat is not None
        raise GenerationMismatch(f"{path} has generation {stat.content_generation}, not {generation}")
    return result


async def put(
    session: CellSession, path: str, contents: bytes, *, create_only: bool, parents: bool
) -> TransactionResult:
    """Replace the content, or make the node. Raises NodeExists (`create_only`), NoNode (no parent, not `parents`)."""
    if create_only:
        return await _create(session, Create(path, contents), parents)
    return await _create(session, Create(path, contents), parents, [Exists(path)], [Write(path, contents)])


async def make_directory(session: CellSession, path: str, *, parents: bool) -> TransactionResult:
    """Make a directory; with `parents` also what it lies in, and then it may be there already."""
    return await _create(session, Create(path, kind=NodeKind.DIRECTORY, may_exist=parents), parents)


async def remove(session: CellSession, path: str, *, recursive: bool) -> int:
    """Delete a node, with everything below it if `recursive`; how many nodes that were.

    Children go before parents, in transactions of at most `TRANSACTION_LIMIT`: a reader may see a subtree half gone,
    never a node without its parent. Raises NoNode, NotEmpty.
    """
    if path == paths.ROOT:
        raise BadArgument("the root of a cell cannot be deleted; name what is below it")
    if not recursive:
        await session.transact((), [Remove(path)])
        return 1
    count = 0
    for _ in range(ATTEMPTS):
        try:
            condemned = [each async for each in walk_up(session, path)]
        except NoNode:
            if count:
                return count
            raise
        removed = await _remove_all(session, condemned)
        count += removed
        if removed == len(condemned):
            return count
    raise NotEmpty(f"{path}: others make and delete nodes in it at the same time; {count} were deleted, try again")


async def walk_up(session: CellSession, path: str) -> AsyncIterator[str]:
    """`path` and all that is below it, children before parents. Raises NoNode if `path` itself is not there."""
    for entry in await session.children(path):
        try:
            async for below in walk_up(session, paths.join(path, entry.name)):
                yield below
        except NoNode:  # deleted since it was listed
            continue
    yield path


async def children_or_none(session: CellSession, path: str) -> list[DirEntry]:
    """The children; none if the node was deleted meanwhile."""
    try:
        return await session.children(path)
    except NoNode:
        return []


async def _create(
    session: CellSession,
    create: Create,
    parents: bool,
    guards: Sequence[Guard] = (),
    then: Sequence[Operation] = (),
) -> TransactionResult:
    """If there are guards and they hold, do `then`; else `create`, with what it lies in if `parents`."""
    creation: list[Operation] = [create]
    for attempt in range(ATTEMPTS):
        try:
            return await (session.transact(guards, then, creation) if guards else session.transact((), creation))
        except NoNode:
            if not parents or attempt == ATTEMPTS - 1:
                raise
        creation = [*await _missing_parents(session, create.path), create]
    raise AssertionError("the last attempt returns or raises")


async def _remove_all(session: CellSession, condemned: list[str]) -> int:
    """Delete in this order until the tree turns out to have changed; how many nodes are deleted."""
    for start in range(0, len(condemned), TRANSACTION_LIMIT):
        batch = condemned[start : start + TRANSACTION_LIMIT]
        try:
            await session.transact((), [Remove(path) for path in batch])
        except (NoNode, NotEmpty):
            return start
    return len(condemned)


async def _missing_parents(session: CellSession, path: str) -> list[Create]:
    """What makes the parents of `path` that are not there; those that are, are left alone."""
    missing: list[Create] = []
    for ancestor in reversed(paths.ancestors(path)):
        if (await session.transact([Absent(ancestor)], ())).succeeded:
            missing.append(Create(ancestor, kind=NodeKind.DIRECTORY, may_exist=True))
        else:
            break
    return missing[::-1]


async def ensure_parents(session: CellSession, path: str) -> None:
    """Make what `path` lies in, as far as it is missing."""
    if missing := await _missing_parents(session, path):
        await session.transact((), missing)
