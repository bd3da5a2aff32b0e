"""Extended attributes of the nodes of a cell: looked up, kept, and the two that change more than they seem to."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
from collections.abc import Callable

import pytest

from chubby.types.calls import Acquire, Open, Transact
from chubby.types.nodes import AclNames, LockMode
from chubby.types.transaction import Create, Remove, WriteAcl, WriteAttributes
from fuse_mount.filesystem import Caller, FileLock
from fuse_mount.xattrs import XATTR_CREATE, XATTR_REPLACE
from tests.client.test_sync import until
from tests.fuse_mount.shown import CALLER, GROUP, USER, MeddledCell, Shown, refused, remade, shown, shown_fixture

__all__ = ["shown_fixture"]

EPHEMERAL = "user.chubby.ephemeral"
SEQUENCER = "user.chubby.sequencer"


def value(here: Shown, name: str, path: str = "/a", caller: Caller = CALLER) -> str:
    """What `getfattr` shows."""
    return here.files.getxattr(path, name, caller).decode()


def ours(here: Shown, path: str = "/a") -> dict[str, str]:
    """All that the mount itself shows, by the rest of its name."""
    prefix = "user.chubby."
    names = [name for name in here.files.listxattr(path) if name.startswith(prefix)]
    return {name.removeprefix(prefix): value(here, name, path) for name in names}


# ------------------------------------------------------------------------------------------------------------- showing


def test_what_a_node_says_of_itself(here: Shown) -> None:
    """`getfattr -d -m user.chubby` of a file that nobody has locked."""
    here.put("/a", b"text")
    stat = here.stat("/a")
    found = ours(here)
    assert found["instance"] == str(stat.instance) and found["content_generation"] == str(stat.content_generation)
    assert found["checksum"] == f"{stat.checksum:016x}" and found["ephemeral"] == "0"
    assert (found["lock.mode"], found["lock.holders"], found["lock.waiters"]) == ("free", "", "0")
    assert found["sequencer"] == ""


def test_what_the_lock_says_of_itself(here: Shown) -> None:
    """Asked for each time: it is never cached."""
    here.put("/a")
    assert value(here, "user.chubby.lock.mode") == "free"
    holder = here.at("/a")
    token = holder.acquire(LockMode.SHARED).token
    found = ours(here)
    assert (found["lock.mode"], found["lock.token"]) == ("shared", str(token))
    assert found["lock.holders"].startswith(f"{here.elsewhere.id}/")
    holder.release()
    assert value(here, "user.chubby.lock.mode") == "free"


def test_to_look_at_the_lock_keeps_no_handle(here: Shown) -> None:
    """Nor does it need leave to write."""
    here.put("/a")
    here.files.getxattr("/a", "user.chubby.instance", CALLER)
    session = here.cell.sessions[here.sessions[0].id]
    before = len(session.handles)
    for _ in range(5):
        value(here, "user.chubby.lock.mode")
    until(lambda: len(session.handles) <= before)


@pytest.mark.parametrize(
    "name", ["security.capability", "security.selinux", "system.posix_acl_access", "trusted.x", ""]
)
def test_what_there_never_is_costs_nothing(here: Shown, name: str) -> None:
    """The kernel asks for `security.capability` before every write, and a write waits for no network."""
    here.put("/a")
    here.forget()
    with refused(errno.EOPNOTSUPP):
        here.files.getxattr("/a", name, CALLER)
    assert here.calls() == {}


@pytest.mark.parametrize("path", ["/", "/d", "/d/.contents"])
def test_directories_have_them_too(here: Shown, path: str) -> None:
    """And the content of one is the same node."""
    here.put("/d", b"text")
    here.put("/d/child")
    node = "/" if path == "/" else "/d"
    assert value(here, "user.chubby.instance", path) == str(here.stat(node).instance)
    here.files.setxattr(path, "user.note", b"mine", 0)
    assert value(here, "user.note", node) == "mine"


@pytest.mark.parametrize("path", ["/.chubby", "/.chubby/status"])
def test_the_mounts_own_have_none(here: Shown, path: str) -> None:
    """And get none."""
    assert here.files.listxattr(path) == []
    with refused(errno.ENODATA):
        here.files.getxattr(path, "user.chubby.instance", CALLER)
    with refused(errno.EPERM):
        here.files.setxattr(path, "user.x", b"1", 0)
    with refused(errno.EPERM):
        here.files.removexattr(path, "user.x")


def test_of_what_is_not_there(here: Shown) -> None:
    """ENOENT, whatever is asked; ENOTDIR below a file."""
    acts: list[Callable[[str], object]] = [
        here.files.listxattr,
        lambda path: here.files.getxattr(path, "user.x", CALLER),
        lambda path: here.files.getxattr(path, "user.chubby.lock.mode", CALLER),
        lambda path: here.files.getxattr(path, SEQUENCER, CALLER),
        lambda path: here.files.setxattr(path, "user.x", b"1", 0),
        lambda path: here.files.removexattr(path, "user.x"),
    ]
    here.put("/a")
    for act in acts:
        with refused(errno.ENOENT):
            act("/missing")
        with refused(errno.ENOTDIR):
            act("/a/.contents")


# ------------------------------------------------------------------------------------------------------------- keeping


def test_other_attributes_are_kept_in_the_node(here: Shown) -> None:
    """For every mount, until they are removed; the flags of setxattr(2) are obeyed."""
    here.put("/a")
    here.files.setxattr("/a", "user.note", b"mine", XATTR_CREATE)
    with refused(errno.EEXIST):
        here.files.setxattr("/a", "user.note", b"again", XATTR_CREATE)
    here.files.setxattr("/a", "user.note", b"again", XATTR_REPLACE)
    assert here.stat("/a").attributes["xattr.note"] == b"again"
    assert "user.note" in here.files.listxattr("/a")
    here.files.removexattr("/a", "user.note")
    with refused(errno.ENODATA):
        here.files.removexattr("/a", "user.note")
    with refused(errno.ENODATA):
        here.files.setxattr("/a", "user.note", b"", XATTR_REPLACE)
    for name in (SEQUENCER, EPHEMERAL, "user.chubby.instance"):
        with refused(errno.EOPNOTSUPP):
            here.files.removexattr("/a", name)


def test_they_do_not_disturb_what_is_not_yet_saved(here: Shown) -> None:
    """`sed -i` and rsync set them on a file they are writing."""
    here.put("/a", b"text")
    file = here.open("/a", os.O_RDWR)
    here.files.write(file, b"unsaved", 0)
    here.files.setxattr("/a", "user.note", b"mine", 0)
    assert here.contents("/a") == b"text" and here.all_of(file) == b"unsaved"
    here.close_file(file)
    assert here.contents("/a") == b"unsaved" and value(here, "user.note") == "mine"


def test_a_node_that_is_made_again_meanwhile(here: Shown) -> None:
    """ESTALE, on which the kernel looks the name up again; one that is gone is ENOENT."""
    here.put("/a")
    assert here.exists("/a")
    here.meddled.before(Transact, *remade("/a"))
    with refused(errno.ESTALE):
        here.files.setxattr("/a", "user.note", b"mine", 0)
    assert here.stat("/a").attributes == {}
    here.meddled.before(Transact, Remove("/a"))
    with refused(errno.ENOENT):
        here.files.setxattr("/a", "user.note", b"mine", 0)


def test_attributes_that_do_not_fit(here: Shown) -> None:
    """ENOSPC, as setxattr(2) has it."""
    here.put("/a")
    with refused(errno.ENOSPC):
        here.files.setxattr("/a", "user.note", b"x" * 2000, 0)
    here.elsewhere.transaction([], [WriteAttributes("/a", {"other": b"x" * 1000})])
    with refused(errno.ENOSPC):
        here.files.setxattr("/a", "user.note", b"x" * 100, 0)


def test_the_names_of_access_control_lists(here: Shown) -> None:
    """One is set, and the others stay as somebody else has set them meanwhile."""
    here.put("/a")
    assert value(here, "user.chubby.acl.read") == "anyone"
    here.meddled.before(Transact, WriteAcl("/a", AclNames("anyone", "writers", "anyone")))
    here.files.setxattr("/a", "user.chubby.acl.read", b"readers", 0)
    assert here.stat("/a").acl == AclNames("readers", "writers", "anyone")
    with refused(errno.EINVAL):
        here.files.setxattr("/a", "user.chubby.acl.read", b"../x", 0)
    for _ in range(40):
        here.meddled.before(Transact, WriteAcl("/a", AclNames("anyone", "anyone", "anyone")))
    with refused(errno.EBUSY):
        here.files.setxattr("/a", "user.chubby.acl.read", b"others", 0)


# ----------------------------------------------------------------------------------------------------------- ephemeral


def fresh(here: Shown, path: str = "/a") -> int:
    """A new file that nobody has closed, ephemeral."""
    file = here.create(path, os.O_RDWR | os.O_CREAT)
    here.files.setxattr(path, EPHEMERAL, b"1", 0)
    return file


def test_a_file_goes_with_the_mounts_session(here: Shown) -> None:
    """And not with the close of whoever made it."""
    file = fresh(here)
    here.files.write(file, b"10.0.0.7:8080", 0)
    here.close_file(file)
    assert here.stat("/a").ephemeral and here.read("/a") == b"10.0.0.7:8080" == here.contents("/a")
    assert value(here, EPHEMERAL) == "1"
    here.write("/a", b"again")
    assert here.contents("/a") == b"again" and here.stat("/a").ephemeral
    here.files.close()
    until(lambda: not here.there("/a"))


def test_a_file_that_is_ephemeral_can_be_removed_and_renamed(here: Shown) -> None:
    """As any other; under its new name it is one still."""
    here.close_file(fresh(here))
    here.files.rename("/a", "/b", 0)
    assert here.stat("/b").ephemeral
    here.files.unlink("/b")
    assert not here.there("/b")


def test_what_was_written_before_is_kept(here: Shown) -> None:
    """And what is written afterwards comes behind it, through the same descriptor."""
    file = here.create("/a", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    here.files.write(file, b"before", 0)
    here.files.setxattr("/a", EPHEMERAL, b"yes", 0)
    here.files.write(file, b" after", 0)
    here.close_file(file)
    assert here.contents("/a") == b"before after" and here.stat("/a").ephemeral
    assert here.files.getattr("/a")["st_mode"] & 0o777 == 0o600


def test_one_may_think_better_of_it(here: Shown) -> None:
    """Until the first close."""
    file = fresh(here)
    here.files.setxattr("/a", EPHEMERAL, b"0", 0)
    assert not here.stat("/a").ephemeral
    here.close_file(file)


def test_after_the_first_close_it_is_too_late(here: Shown) -> None:
    """EOPNOTSUPP, and nothing changes; but what is so already can be said at any time."""
    here.write("/a", b"text")
    with refused(errno.EOPNOTSUPP):
        here.files.setxattr("/a", EPHEMERAL, b"1", 0)
    here.files.setxattr("/a", EPHEMERAL, b"0", 0)
    here.close_file(fresh(here, "/b"))
    with refused(errno.EOPNOTSUPP):
        here.files.setxattr("/b", EPHEMERAL, b"0", 0)
    here.files.setxattr("/b", EPHEMERAL, b"1", 0)
    with refused(errno.EINVAL):
        here.files.setxattr("/b", EPHEMERAL, b"maybe", 0)
    here.put("/c")
    with refused(errno.EOPNOTSUPP):
        here.files.setxattr("/c", EPHEMERAL, b"1", 0)


@pytest.mark.parametrize(("ours", "number"), [(True, errno.EOPNOTSUPP), (False, errno.EBUSY)])
def test_a_lock_on_the_new_file_is_not_lost_by_it(here: Shown, ours: bool, number: int) -> None:
    """It would go with the node that is taken away: EBUSY; who locks a file has finished making it, as by a close."""
    file = here.create("/a", os.O_RDWR | os.O_CREAT)
    if ours:
        here.files.flock(file, fcntl.LOCK_EX, CALLER)
    else:
        here.at("/a").acquire()
    with refused(number):
        here.files.setxattr("/a", EPHEMERAL, b"1", 0)
    assert not here.stat("/a").ephemeral and here.cell.tree.nodes["/a"].holders
    here.close_file(file)


def test_a_lock_that_is_taken_afterwards_is_one_of_the_new_node(here: Shown) -> None:
    """A leader's file that vanishes with the machine."""
    file = fresh(here)
    here.files.flock(file, fcntl.LOCK_EX, CALLER)
    assert here.cell.tree.nodes["/a"].holders
    here.files.flock(file, fcntl.LOCK_UN, CALLER)
    assert not here.cell.tree.nodes["/a"].holders
    here.close_file(file)


@pytest.mark.parametrize("kind", [Transact, Acquire, Open])
def test_a_new_file_that_is_made_again_meanwhile(here: Shown, kind: type) -> None:
    """It is not ours to change, and what is there stays."""
    file = here.create("/a", os.O_RDWR | os.O_CREAT)
    here.meddled.before(kind, *remade("/a", b"theirs"))
    with refused(errno.EOPNOTSUPP):
        here.files.setxattr("/a", EPHEMERAL, b"1", 0)
    assert here.contents("/a") == b"theirs" and not here.stat("/a").ephemeral
    here.files.release(file)


def test_a_new_file_that_has_a_child_by_then(here: Shown) -> None:
    """It is a directory, and stays."""
    file = here.create("/a", os.O_RDWR | os.O_CREAT)
    here.meddled.before(Transact, Create("/a/child"))
    with refused(errno.ENOTEMPTY):
        here.files.setxattr("/a", EPHEMERAL, b"1", 0)
    assert here.there("/a/child") and not here.stat("/a").ephemeral
    here.files.release(file)


# ----------------------------------------------------------------------------------------------------------- sequencer


def locked(here: Shown, process: int) -> int:
    """`/a`, open and locked by that process."""
    here.put("/a")
    file = here.open("/a")
    here.files.flock(file, fcntl.LOCK_EX, Caller(USER, GROUP, process))
    return file


def test_the_sequencer_is_for_who_holds_the_lock(here: Shown) -> None:
    """And is valid as long as they do."""
    file = locked(here, os.getpid())
    sequencer = bytes.fromhex(value(here, SEQUENCER))
    assert here.elsewhere.check_sequencer(sequencer).path == "/a"
    here.files.flock(file, fcntl.LOCK_UN, CALLER)
    assert value(here, SEQUENCER) == ""
    here.close_file(file)


def test_and_for_what_they_run(here: Shown) -> None:
    """`flock leader sh -c 'getfattr -n user.chubby.sequencer leader'`: the reader descends from the holder."""
    file = locked(here, os.getpid())
    command = ["sh", "-c", "sh -c 'echo $$; read line'; true"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert grandchild != child.pid
        for process in (child.pid, grandchild):
            assert value(here, SEQUENCER, caller=Caller(USER, GROUP, process)) == value(here, SEQUENCER) != ""
        child.stdin.write(b"\n")
    here.close_file(file)


def test_and_for_nobody_else(here: Shown) -> None:
    """Neither those who run the holder, nor their other children, nor who is out of sight."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as holder, subprocess.Popen(["cat"], stdin=-1) as sibling:
        file = locked(here, holder.pid)
        assert value(here, SEQUENCER, caller=Caller(USER, GROUP, holder.pid)) != ""
        for process in (os.getpid(), sibling.pid, 1, 0, -1):
            assert value(here, SEQUENCER, caller=Caller(USER, GROUP, process)) == ""
        here.close_file(file)
        for each in (holder, sibling):
            assert each.stdin is not None
            each.stdin.close()


def test_a_lock_of_fcntl_has_one_as_well(here: Shown) -> None:
    """It is the same lock of the cell."""
    here.put("/a")
    file = here.open("/a", os.O_RDWR)
    here.files.lock(file, 7, FileLock(fcntl.F_WRLCK), False, CALLER)
    assert here.elsewhere.check_sequencer(bytes.fromhex(value(here, SEQUENCER))).path == "/a"
    here.close_file(file)


def test_a_sequencer_of_a_node_that_was_made_again(here: Shown) -> None:
    """The lock went with the node."""
    file = locked(here, os.getpid())
    here.delete("/a")
    here.put("/a")
    assert value(here, SEQUENCER) == ""
    here.files.release(file)


def test_a_lost_session_has_none() -> None:
    """Its locks are over."""
    with shown(MeddledCell()) as here:
        locked(here, os.getpid())
        assert value(here, SEQUENCER) != ""
        here.lose_session()
        until(lambda: len(here.sessions) == 2)
        assert value(here, SEQUENCER) == ""
