"""Which calls the cache answers, what a change drops, what an answer fills: the table, row by row (DESIGN §5)."""

from __future__ import annotations

import pytest

from chubby.client.cache import Cache
from chubby.client.cache_rules import answer_from, drop_before, fill_from, wants_caching
from chubby.client.handle_table import HandleRecord, HandleTable
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import (
    Acquire,
    Call,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetLockInfo,
    GetStat,
    Mode,
    Open,
    ReadDir,
    Release,
    SetAcl,
    SetAttributes,
    SetContents,
    Transact,
)
from chubby.types.nodes import ANYONE, AclNames, DirEntry, NodeKind, Stat
from chubby.types.results import Contents, Done, Listing, Opened, StatResult
from chubby.types.stream import CacheKey, CacheKind
from chubby.types.transaction import Create, Read, Remove, Write, WriteAcl, WriteAttributes

ACL = AclNames(ANYONE, ANYONE, ANYONE)
NOW = 1
NO_NODE = Failure(ErrorCode.NO_NODE, "no such node")


def stat(instance: int = 1, ephemeral: bool = False, kind: NodeKind = NodeKind.FILE) -> Stat:
    """Metadata that differs where the test cares."""
    return Stat(kind, ephemeral, instance, 1, 1, 0, 0, 1, 1, 0, 0, ACL)


class Scene:
    """A live cache with everything about `/d/e/f` in it, and a handle on it."""

    def __init__(self, mode: Mode = Mode.READ | Mode.WRITE, ephemeral: bool = False) -> None:
        self.cache = Cache()
        self.cache.renew(0, 100, 100)
        self.handles = HandleTable()
        opened = Opened(b"", "/d/e/f", False, stat(1, ephemeral))
        self.record: HandleRecord = self.handles.add(Open(1, "/d/e/f", mode), opened)
        for path in ("/", "/d", "/d/e", "/d/e/f", "/d/e/g"):
            self.cache.put_node(path, stat(), b"held")
            self.cache.put_children(path, 1, "", (), False)

    def has(self, path: str, kind: CacheKind = CacheKind.NODE) -> bool:
        """Whether the cache knows this key."""
        if kind is CacheKind.NODE:
            return self.cache.node(path, NOW) is not None
        return self.cache.listing(path, 1, "", 0, NOW) is not None

    def missing(self) -> set[CacheKey]:
        """What was dropped."""
        paths = ("/", "/d", "/d/e", "/d/e/f", "/d/e/g")
        return {CacheKey(path, kind) for path in paths for kind in CacheKind if not self.has(path, kind)}

    def ask(self, call: Call) -> object:
        """What the cache answers."""
        return answer_from(self.cache, self.handles, call, NOW)


def key(path: str, kind: CacheKind = CacheKind.NODE) -> CacheKey:
    """Short for it."""
    return CacheKey(path, kind)


def names(path: str) -> CacheKey:
    """Short for the names of the children."""
    return CacheKey(path, CacheKind.CHILDREN)


class TestAnswers:
    """What a hit answers."""

    def test_reads_through_a_handle(self) -> None:
        """As the master would."""
        scene = Scene()
        assert scene.ask(GetContentsAndStat(1)) == Contents(b"held", stat())
        assert scene.ask(GetStat(1)) == StatResult(stat())
        assert scene.ask(ReadDir(1)) == Listing((), False)

    @pytest.mark.parametrize("call", [GetLockInfo(1), Acquire(1), Release(1), SetContents(1, b""), Close(1)])
    def test_nothing_else(self, call: Call) -> None:
        """Lock fields are never cached (DESIGN §5)."""
        assert Scene().ask(call) is None

    def test_absence_answers_an_open_that_never_creates(self) -> None:
        """DESIGN §5: absence is cached."""
        scene = Scene()
        scene.cache.put_absent("/d/x")
        answer = scene.ask(Open(2, "/d/x"))
        assert isinstance(answer, Failure) and answer.code is ErrorCode.NO_NODE and "/d/x" in answer.message
        assert scene.ask(Open(2, "/d/x", create=CreateMode.MAY)) is None
        assert scene.ask(Open(2, "/d/e")) is None, "to open what is there, the master must be told"

    def test_a_handle_speaks_of_its_instance(self) -> None:
        """Another node under the same name is none of this handle's (DESIGN §5 Handles)."""
        scene = Scene()
        scene.cache.put_node("/d/e/f", stat(2), b"another")
        assert scene.ask(GetStat(1)) is None
        assert scene.ask(GetContentsAndStat(1)) is None
        scene.cache.put_absent("/d/e/f")
        assert scene.ask(GetStat(1)) is None, "the master says HANDLE_INVALID"
        scene.cache.put_children("/d/e/f", 2, "", (), False)
        assert scene.ask(ReadDir(1)) is None

    def test_metadata_does_not_answer_for_content(self) -> None:
        """A listing brought the metadata alone."""
        scene = Scene()
        scene.cache.drop(key("/d/e/f"))
        scene.cache.put_node("/d/e/f", stat())
        assert scene.ask(GetStat(1)) is not None
        assert scene.ask(GetContentsAndStat(1)) is None

    @pytest.mark.parametrize("what", ["closing", "lost", "sequenced", "mode", "unknown"])
    def test_handles_that_must_ask(self, what: str) -> None:
        """Closed, lost, without the right to read, or bound to a sequencer whose validity only the master knows."""
        scene = Scene(Mode.WRITE if what == "mode" else Mode.READ)
        if what == "closing":
            scene.record.close()
        elif what == "lost":
            scene.handles.lose(1, NO_NODE)
        elif what == "sequenced":
            scene.record.sequence()
        elif what == "unknown":
            scene.handles.remove(1)
        for call in (GetStat(1), GetContentsAndStat(1), ReadDir(1)):
            assert scene.ask(call) is None

    def test_without_leases_nothing(self) -> None:
        """Here as everywhere."""
        scene = Scene()
        assert answer_from(scene.cache, scene.handles, GetStat(1), 100) is None


ABOVE = {"/", "/d", "/d/e"}
GONE = {key("/d/e/f"), names("/d/e/f")} | {key(path) for path in ABOVE} | {names(path) for path in ABOVE}


class TestDrops:
    """What the writer drops before it sends."""

    @pytest.mark.parametrize(
        ("call", "dropped"),
        [
            (GetContentsAndStat(1), set()),
            (Open(2, "/d/e/f"), set()),
            (SetContents(1, b""), {key("/d/e/f")}),
            (SetAcl(1, ACL), {key("/d/e/f")}),
            (SetAttributes(1, {}), {key("/d/e/f")}),
            (Delete(1), GONE),
            (Close(1), set()),
            (Open(2, "/d/e/f", create=CreateMode.MAY), {key("/d/e/f"), names("/d/e"), key("/d/e")}),
            (Open(2, "/d/e/f", create=CreateMode.MUST), {key("/d/e/f"), names("/d/e"), key("/d/e")}),
            (Transact(then=(Write("/d/e/f", b""),)), {key("/d/e/f")}),
            (Transact(then=(WriteAcl("/d/e/f", ACL),)), {key("/d/e/f")}),
            (Transact(then=(WriteAttributes("/d/e/f", {}),)), {key("/d/e/f")}),
            (Transact(then=(Read("/d/e/f"),)), set()),
            (Transact(otherwise=(Create("/d/e/f"),)), {key("/d/e/f"), names("/d/e"), key("/d/e")}),
            (Transact(then=(Read("/d"),), otherwise=(Remove("/d/e/f"),)), GONE),
            (Transact(then=(Create("/"),)), {key("/")}),
        ],
    )
    def test_each_call(self, call: Call, dropped: set[CacheKey]) -> None:
        """DESIGN §5: "the writer drops its own copies before it sends"; both branches of a transaction."""
        scene = Scene()
        drop_before(scene.cache, call, scene.record, 5)
        assert scene.missing() == dropped
        for path in {each.path for each in dropped}:
            assert not scene.cache.permits(path, 4)

    def test_closing_an_ephemeral_may_delete_it(self) -> None:
        """And, if that was the last thing below an ephemeral directory, that too."""
        scene = Scene(ephemeral=True)
        drop_before(scene.cache, Close(1), scene.record, 5)
        assert scene.missing() == GONE

    @pytest.mark.parametrize("name", ["f", "item-"])
    @pytest.mark.parametrize("transact", [False, True])
    def test_a_parent_that_becomes_a_directory(self, name: str, transact: bool) -> None:
        """One's own child makes it one: a copy that says otherwise goes, absence included; no older answer refills."""
        path, sequential = f"/d/e/{name}", name == "item-"
        call: Call = Open(2, path, create=CreateMode.MUST, sequential=sequential)
        if transact:
            call = Transact(then=(Create(path, sequential=sequential),))
        for before in (stat(), None, stat(kind=NodeKind.DIRECTORY)):
            scene = Scene()
            if before is None:
                scene.cache.put_absent("/d/e")
            else:
                scene.cache.put_node("/d/e", before, b"held")
            drop_before(scene.cache, call, None, 5)
            is_directory = before is not None and before.kind is NodeKind.DIRECTORY
            assert scene.has("/d/e") == is_directory, "a directory it stays"
            assert not scene.cache.permits("/d/e", 4) and scene.cache.permits("/d/e", 5)
            assert scene.has("/d") and not scene.has("/d/e", CacheKind.CHILDREN)

    def test_a_sequential_name_is_not_known_yet(self) -> None:
        """Every name with that prefix goes, and no older answer refills anything."""
        scene = Scene()
        scene.cache.put_absent("/d/e/item-0000000003")
        drop_before(scene.cache, Open(2, "/d/e/item-", create=CreateMode.MUST, sequential=True), None, 5)
        assert not scene.has("/d/e/item-0000000003")
        assert not scene.has("/d/e", CacheKind.CHILDREN)
        assert scene.has("/d/e/f")
        assert not scene.cache.permits("/anything", 4)


class TestFills:
    """What an answer marked cacheable leaves behind."""

    def fill(self, call: Call, answer: object, number: int = 9) -> Scene:
        """Fill an empty cache from one answer."""
        scene = Scene()
        scene.cache.empty()
        assert isinstance(answer, Contents | StatResult | Listing | Opened | Failure | Done)
        fill_from(scene.cache, call, scene.record, number, answer)
        return scene

    def test_reads(self) -> None:
        """Content and metadata, or metadata alone."""
        scene = self.fill(GetContentsAndStat(1), Contents(b"1", stat()))
        assert scene.ask(GetContentsAndStat(1)) == Contents(b"1", stat())
        scene = self.fill(GetStat(1), StatResult(stat()))
        assert scene.ask(GetStat(1)) == StatResult(stat())
        assert scene.ask(GetContentsAndStat(1)) is None

    def test_writes_of_our_own(self) -> None:
        """We know what we wrote."""
        scene = self.fill(SetContents(1, b"new"), StatResult(stat()))
        assert scene.ask(GetContentsAndStat(1)) == Contents(b"new", stat())
        scene = self.fill(SetAttributes(1, {}), StatResult(stat()))
        assert scene.ask(GetContentsAndStat(1)) is None

    def test_a_listing_fills_its_children(self) -> None:
        """Names for CHILDREN, metadata for each child's NODE."""
        scene = self.fill(ReadDir(1), Listing((DirEntry("x", stat(8)),), False))
        assert scene.ask(ReadDir(1)) == Listing((DirEntry("x", stat(8)),), False)
        entry = scene.cache.node("/d/e/f/x", NOW)
        assert entry is not None and entry.stat == stat(8)

    def test_a_child_under_change_is_left_out(self) -> None:
        """The names are still right; that child's metadata is asked for again."""
        scene = Scene()
        scene.cache.empty()
        scene.cache.drop_own(10, (key("/d/e/f/x"),))
        listing = Listing((DirEntry("x", stat(8)), DirEntry("y", stat(9))), False)
        fill_from(scene.cache, ReadDir(1), scene.record, 9, listing)
        assert scene.ask(ReadDir(1)) is None
        assert scene.cache.node("/d/e/f/y", NOW) is not None
        scene.cache.put_node("/d/e/f/x", stat(11))
        assert scene.ask(ReadDir(1)) is not None

    def test_open(self) -> None:
        """Metadata of what is there; content too of what we made; absence of what is not."""
        scene = self.fill(Open(2, "/q"), Opened(b"", "/q", False, stat()))
        entry = scene.cache.node("/q", NOW)
        assert entry is not None and entry.stat == stat() and entry.contents is None
        made = Open(2, "/q", create=CreateMode.MUST, contents=b"first")
        entry = self.fill(made, Opened(b"", "/q", True, stat())).cache.node("/q", NOW)
        assert entry is not None and entry.contents == b"first"
        entry = self.fill(Open(2, "/q"), NO_NODE).cache.node("/q", NOW)
        assert entry is not None and entry.stat is None

    def test_a_missing_parent_is_not_the_nodes_absence(self) -> None:
        """An Open that creates may fail for another node's sake."""
        assert self.fill(Open(2, "/q/r", create=CreateMode.MAY), NO_NODE).cache.node("/q/r", NOW) is None

    def test_a_sequential_node_fills_its_own_name(self) -> None:
        """Opened tells it."""
        call = Open(2, "/q/i-", create=CreateMode.MUST, sequential=True)
        scene = self.fill(call, Opened(b"", "/q/i-0000000001", True, stat()))
        assert scene.cache.node("/q/i-0000000001", NOW) is not None
        assert scene.cache.node("/q/i-", NOW) is None

    @pytest.mark.parametrize(
        ("call", "answer"),
        [
            (GetContentsAndStat(1), Contents(b"old", stat())),
            (SetContents(1, b"old"), StatResult(stat())),
            (ReadDir(1), Listing((), False)),
        ],
    )
    def test_not_after_a_newer_change_of_our_own(self, call: Call, answer: object) -> None:
        """DESIGN §5: an answer to a call from before the local drop must not refill."""
        scene = Scene()
        scene.cache.drop_own(10, (key("/d/e/f"), names("/d/e/f")))
        assert isinstance(answer, Contents | StatResult | Listing)
        fill_from(scene.cache, call, scene.record, 9, answer)
        assert scene.ask(GetStat(1)) is None
        assert scene.ask(ReadDir(1)) is None

    def test_not_for_opens_either(self) -> None:
        """Neither what was there nor that nothing was."""
        for answer in (Opened(b"", "/q", False, stat()), NO_NODE):
            scene = Scene()
            scene.cache.drop_own(10, (key("/q"),))
            fill_from(scene.cache, Open(2, "/q"), None, 9, answer)
            assert scene.cache.node("/q", NOW) is None

    @pytest.mark.parametrize("answer", [Done(), NO_NODE])
    def test_what_says_nothing_fills_nothing(self, answer: Done | Failure) -> None:
        """For instance a failed read."""
        assert len(self.fill(GetStat(1), answer).cache) == 0


@pytest.mark.parametrize("call", [Open(1, "/a"), GetStat(1), GetContentsAndStat(1), ReadDir(1), SetContents(1, b"")])
def test_calls_that_fill_ask_to_be_cacheable(call: Call) -> None:
    """CallFrame.caching."""
    assert wants_caching(call)


@pytest.mark.parametrize("call", [Acquire(1), Release(1), Close(1), Delete(1), GetLockInfo(1), Transact()])
def test_calls_that_fill_nothing_do_not(call: Call) -> None:
    """They would only make the master remember keys for nothing."""
    assert not wants_caching(call)
