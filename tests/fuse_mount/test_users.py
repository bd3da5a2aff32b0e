"""Who keeps a directory busy and who serves a mount, read from /proc: a made-up one, and the real one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuse_mount import users
from fuse_mount.users import User, children_of, name_ourselves, server_of, users_of, wait_for_end


def process(proc: Path, number: int, name: str, maps: str = "", **links: str) -> None:
    """Make a process: `fd_3=...` is a descriptor, `cwd=...` its directory."""
    folder = proc / str(number)
    (folder / "fd").mkdir(parents=True)
    (folder / "fdinfo").mkdir()
    (folder / "comm").write_text(f"{name}\n")
    (folder / "maps").write_text(maps)
    for link, target in links.items():
        (folder / link.replace("_", "/")).symlink_to(target)
        if link.startswith("fd_"):
            (folder / "fdinfo" / link.removeprefix("fd_")).write_text("pos:\t0\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A few processes, and what else there is in /proc."""
    (tmp_path / "self").mkdir()
    (tmp_path / "version").write_text("7")
    process(tmp_path, 1, "init", cwd="/", root="/")
    process(tmp_path, 30, "vim", cwd="/home", root="/", fd_0="/dev/null", fd_3="/mnt/notes (deleted)")
    process(tmp_path, 4, "bash", cwd="/mnt/a b", root="/", fd_3="/mnt/c")
    process(tmp_path, 5, "jailed", cwd="/", root="/mnt")
    process(tmp_path, 6, "reader", "7f00-7f01 r--p 0 00:27 9    /mnt/book of x\n7f02-7f03 rw-p 0 00:00 0\n", cwd="/")
    process(
        tmp_path, 7, "neighbour", "7f00-7f01 r--p 0 00:27 9    /mnt2/x\n", cwd="/mnt2", fd_3="/mntx", fd_4="pipe:[1]"
    )
    process(tmp_path, 8, "chubby 39", cwd="/", fd_3="/dev/fuse")
    (tmp_path / "9").mkdir()
    return tmp_path


def test_who_uses_a_directory(proc: Path) -> None:
    """By what is open, mapped, worked in or a root; each once, in the order of their numbers."""
    assert users_of("/mnt", proc) == [
        User(4, "bash", "/mnt/a b"),
        User(5, "jailed", "/mnt"),
        User(6, "reader", "/mnt/book of x"),
        User(30, "vim", "/mnt/notes"),
    ]
    assert str(users_of("/mnt", proc)[0]) == "bash (process 4: /mnt/a b)"
    assert users_of("/nowhere", proc) == []


def test_who_serves_a_mount(proc: Path) -> None:
    """By the name it gave itself."""
    assert server_of("0:39", proc) == 8
    assert server_of("0:3", proc) is None and server_of("0:390", proc) is None


def test_who_served_another_mount_of_the_same_device_does_not_serve_this_one(proc: Path) -> None:
    """It is about to end and bears the name still: but it has no /dev/fuse any more, or has one of another device."""
    process(proc, 2, "chubby 39", cwd="/", fd_3="/dev/null")
    process(proc, 3, "chubby 39", cwd="/", fd_5="/dev/fuse")
    (proc / "3" / "fdinfo" / "5").write_text("pos:\t0\nfuse_connection:\t390\n")
    assert server_of("0:39", proc) == 8
    (proc / "8" / "fdinfo" / "3").write_text("pos:\t0\nfuse_connection:\t39\nino:\t9\n")
    assert server_of("0:39", proc) == 8
    (proc / "8" / "comm").write_text("bash\n")
    assert server_of("0:39", proc) is None


def test_children(proc: Path) -> None:
    """Of all threads of a process; none where there is no such process, or the kernel does not tell."""
    for thread, children in (("8", "30 5 "), ("81", ""), ("82", "7 ")):
        (proc / "8" / "task" / thread).mkdir(parents=True)
        (proc / "8" / "task" / thread / "children").write_text(children)
    assert children_of(8, proc) == [5, 7, 30]
    assert children_of(1, proc) == [] and children_of(99, proc) == []


def test_we_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For real: with a file, with a directory; and not any more."""
    file = tmp_path / "file"
    with file.open("w"):
        assert User(os.getpid(), own_name(), str(file)) in users_of(str(tmp_path))
    assert users_of(str(tmp_path)) == []
    with monkeypatch.context() as there:
        there.chdir(tmp_path)
        assert [user.uses for user in users_of(str(tmp_path))] == [str(tmp_path)]


def own_name() -> str:
    """What `ps -e` calls this process."""
    return Path("/proc/self/comm").read_text().strip()


def test_we_name_ourselves() -> None:
    """For real: the longest name of a device that there may be fits into what the kernel keeps."""
    before = own_name()
    try:
        name_ourselves("0:1048575")
        assert own_name() == "chubby 1048575"
        assert server_of("0:1048575") is None, "we have no /dev/fuse"
    finally:
        users._OWN_NAME.write_text(before)


def test_the_end_of_a_process_is_waited_for() -> None:
    """As long as one has patience."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    watch = os.pidfd_open(child.pid)
    try:
        assert not wait_for_end(watch, 0.0)
        assert not wait_for_end(watch, 0.01)
        child.communicate(b"\n")
        assert wait_for_end(watch, 30.0)
    finally:
        os.close(watch)
        child.kill()
        child.wait()
