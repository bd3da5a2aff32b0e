"""A backup of a busy cell, restored as a new cell where the old one ran (DESIGN §4 Token; docs/operations.md).

The worst case on purpose: the old cell has gone on after the backup, has given out tokens that the backup does not
know, and its clients are still there when the new cell starts at the same addresses.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

import chubby
from chubby.client.sequencer import SequencerBytes
from chubby.errors import SequencerInvalid, SessionExpired
from chubby.types.calls import Mode
from chubby.types.nodes import AclNames, NodeKind, Stat
from chubby.types.status import CellStatus
from chubby.types.transaction import Create, Write, WriteAcl
from tests.integration.cells import PATIENCE, ROOT, SHORT_LEASES, Cell, wait_for

BIG = bytes(range(256)) * 1024
"""As much as a node may hold."""
PAIR = ("/ls/test/pair/left", "/ls/test/pair/right")
Tree = dict[str, tuple[bytes, Stat]]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A `chubby` command, to its end."""
    command = [sys.executable, "-m", "chubby.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT, check=False)


def answer(*arguments: str) -> dict[str, int | str]:
    """The same with --json, and what it says."""
    ended = run(*arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, int | str] = json.loads(ended.stdout)
    return found


def tree_of(session: chubby.Session, name: str) -> Tree:
    """A node and all that is below it."""
    with session.open(name, mode=Mode.READ) as handle:
        found = {name: handle.get_contents_and_stat()}
        for entry in handle.read_dir():
            found |= tree_of(session, f"{name}/{entry.name}")
    return found


class Pairs:
    """Writes a number into two files at once, again and again, as somebody who does not know of any backup."""

    def __init__(self, cell: Cell) -> None:
        """Begun."""
        self.written = 0
        self._cell = cell
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fails if a write failed."""
        self._enough.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _write(self) -> None:
        with self._cell.connect(caching=False) as session:
            while not self._enough.is_set():
                number = str(self.written + 1).encode()
                session.transaction([], [Write(name, number) for name in PAIR])
                self.written += 1


class Story:
    """What is left of the old cell, and the new one at its addresses."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """An old cell lives, is backed up while it is busy, lives on, and ends; its client stays. A new one starts."""
        self.old = Cell(folder / "old", extra=SHORT_LEASES, admins=("anyone",))
        self.client = self._live(stack)
        self.tree = tree_of(self.client, "/ls/test")
        self.handle = self.client.open("/ls/test/lock")
        self.sequencers = [self._hold()]
        self._export(folder / "backups" / "cell.chubby")
        self.sequencers += [self._hold() for _ in range(3)]
        self.last_revision = self._status().revision
        self.last_session = self.client.id
        self.old.stop()
        self.new = Cell(folder / "new", extra=SHORT_LEASES, formatted=False)
        self.new.members = self.old.members
        self.new.write_configuration()
        self.restored = answer("backup", "restore", str(self.backup), "--config", str(self.new.file))
        stack.callback(self.new.stop)
        self.new.start()
        self.new.wait_whole()

    def _live(self, stack: ExitStack) -> chubby.Session:
        """Start the old cell and fill it with what a node can be; the session that holds the ephemeral one."""
        stack.callback(self.old.stop)
        self.old.start()
        self.old.wait_whole()
        client = stack.enter_context(self.old.connect(caching=False))
        readers = AclNames("anyone", "writers", "nobody")
        client.transaction(
            [],
            [
                Create("/ls/test/a", b"content and children", attributes={"owner": b"alice", "bits": b"\xff\x00"}),
                Create("/ls/test/a/with space \u2603", BIG),
                Create("/ls/test/a/guarded", b"x", acl=readers),
                Create("/ls/test/empty", kind=NodeKind.DIRECTORY),
                Create("/ls/test/acl/writers", b"alice\n"),
                Create("/ls/test/queue", kind=NodeKind.DIRECTORY),
                Create("/ls/test/pair", kind=NodeKind.DIRECTORY),
                Create("/ls/test/lock"),
                *(Create("/ls/test/queue/job-", sequential=True) for _ in range(3)),
                *(Create(name, b"0") for name in PAIR),
            ],
        )
        with client.open("/ls/test/a") as handle:
            for number in range(5):
                handle.set_contents(b"content and children, " + str(number).encode())
        client.transaction([], [WriteAcl("/ls/test/a", AclNames("anyone", "writers", "writers"))])
        client.open("/ls/test/mortal", create=True, ephemeral=True)
        client.open("/ls/test/mortal-parent", create=True, ephemeral=True)
        return client

    def _hold(self) -> SequencerBytes:
        """Hold the lock for a moment; the sequencer of that hold period."""
        self.handle.acquire(lock_delay=1.0)
        sequencer = self.handle.get_sequencer()
        self.handle.release()
        return sequencer

    def _export(self, url: Path) -> None:
        """Back up while somebody holds a lock and others write; their writes go on."""
        self.backup = url
        self.handle.acquire()
        pairs = Pairs(self.old)
        wait_for(lambda: pairs.written > 5, "writes before the backup")
        self.revision_before = self._status().revision
        self.exported = answer("backup", "export", str(url), "--config", str(self.old.file))
        self.revision_after = self._status().revision
        written = pairs.written
        wait_for(lambda: pairs.written > written + 5, "writes after the backup")
        pairs.stop()
        self.sequencers.append(self.handle.get_sequencer())
        self.handle.release()

    def _status(self) -> CellStatus:
        """The old master's."""
        return wait_for(self.old.master_status, "a master")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Told once for all tests of this module."""
    with ExitStack() as stack:
        yield Story(tmp_path_factory.mktemp("story"), stack)


@pytest.fixture
def session(story: Story) -> Iterator[chubby.Session]:
    """A client of the new cell."""
    with story.new.connect(caching=False) as session:
        yield session


def test_the_backup_verifies_and_says_what_it_is(story: Story) -> None:
    """`verify` and `inspect`: nodes, sessions and locks of one moment between begin and end of the export."""
    assert answer("backup", "verify", str(story.backup))["valid"] is True
    facts = answer("backup", "inspect", str(story.backup))
    assert facts["cell"] == "test" and facts["cell_id"] == story.old.identity(1).cell
    assert story.revision_before <= int(facts["revision"]) <= story.revision_after
    assert (facts["nodes"], facts["locks"]) == (len(story.tree), 1)
    assert int(facts["sessions"]) >= 2
    assert story.exported["bytes"] == story.backup.stat().st_size


def test_everything_permanent_is_there(story: Story, session: chubby.Session) -> None:
    """Contents, kinds, ACL names, attributes, instances, revisions and times; generations raised to the floor."""
    floor = int(story.restored["floor"])
    expected: Tree = {}
    for name, (contents, stat) in story.tree.items():
        generations = [max(each, floor) for each in (stat.content_generation, stat.acl_generation)]
        raised = msgspec.structs.replace(stat, content_generation=generations[0], acl_generation=generations[1])
        if not stat.ephemeral and name not in PAIR:
            expected[name] = (contents, raised)
    found = {name: each for name, each in tree_of(session, "/ls/test").items() if name not in PAIR}
    assert found == expected
    assert len(found) == int(story.restored["nodes"]) - len(PAIR)


def test_the_backup_is_of_one_moment(session: chubby.Session) -> None:
    """What one transaction wrote is there as a whole or not at all, though writes went on meanwhile."""
    left, right = (tree_of(session, name)[name][0] for name in PAIR)
    assert left == right and int(left) > 5


def test_sessions_locks_and_ephemerals_do_not_come_back(story: Story, session: chubby.Session) -> None:
    """Whoever held one is somebody else's client now."""
    assert session.locks() == []
    assert story.last_session not in [each.session for each in session.sessions()]
    assert not [name for name in tree_of(session, "/ls/test") if "mortal" in name]
    with session.open("/ls/test/lock") as handle:
        handle.try_acquire()


def test_a_client_of_the_old_cell_is_told(story: Story) -> None:
    """Its session and its handles are unknown to the new cell: no call of it is carried out."""
    with pytest.raises(SessionExpired):
        story.handle.set_contents(b"from the past")
    with pytest.raises(SessionExpired):
        story.client.open("/ls/test/a")


def test_every_counter_starts_above_the_old_cell(story: Story, session: chubby.Session) -> None:
    """Tokens, sessions, revisions, instances, sequence numbers: also above what was given out after the backup."""
    floor = int(story.restored["floor"])
    assert session.id > floor > story.last_session
    (made,) = session.transaction([], [Create("/ls/test/queue/job-", sequential=True)]).results
    assert made.stat is not None
    assert made.stat.instance > floor > max(stat.instance for _, stat in story.tree.values())
    assert made.stat.created > floor > story.last_revision
    jobs = sorted(name for name in story.tree if "/job-" in name)
    assert int(made.path.rpartition("-")[2]) >= floor and made.path > jobs[-1].removeprefix("/ls/test")
    with session.open("/ls/test/a/with space \u2603") as handle:
        handle.acquire()
        assert handle.get_sequencer().token > floor > max(each.token for each in story.sequencers)


def test_sequencers_of_the_old_cell_are_refused(story: Story, session: chubby.Session) -> None:
    """Though the lock's name and its instance are the same, and somebody holds it."""
    with session.open("/ls/test/lock") as handle:
        handle.acquire()
        for sequencer in story.sequencers:
            with pytest.raises(SequencerInvalid):
                session.check_sequencer(sequencer)
            ended = run("check-sequencer", bytes(sequencer).hex(), "--config", str(story.new.file))
            assert ended.returncode == 1, ended.stderr
        assert session.check_sequencer(handle.get_sequencer()).path == "/lock"


def test_all_replicas_begin_alike(story: Story) -> None:
    """One cell, another one than before, with a first incarnation each."""
    identities = [story.new.identity(replica) for replica in story.new.members]
    assert {each.cell for each in identities} == {story.restored["cell_id"]}
    assert story.old.identity(1).cell not in {each.cell for each in identities}
