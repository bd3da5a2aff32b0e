"""On a mount: git, rsync, tar and flock. `here` and `there` are one directory of the cell, on two mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.mounts import run, sh
from tests.integration.programs import Starter
from tests.integration.test_mount_shell import make_tree, same

pytestmark = pytest.mark.fuse

GIT = ("git", "-c", "user.name=One", "-c", "user.email=one@example.org", "-c", "init.defaultBranch=main")
SAFE = ("-c", "safe.directory=*")


@pytest.mark.needs("git")
def test_git(here: Path, there: Path, tmp_path: Path) -> None:
    """A repository with its work tree: made here, whole there, and a second commit from there."""
    tree = make_tree(tmp_path)
    run(*GIT, "init", "-q", ".", cwd=here)
    sh(f"cp -r '{tree}/.' .", here)
    run(*GIT, "add", ".", cwd=here)
    run(*GIT, "commit", "-q", "-m", "first", cwd=here)
    assert run(*GIT, *SAFE, "status", "--porcelain", cwd=there) == ""
    assert run(*GIT, *SAFE, "fsck", "--strict", cwd=there) == ""
    sh("echo more >> etc/app.conf", there)
    run(*GIT, *SAFE, "commit", "-q", "-a", "-m", "second", cwd=there)
    assert run(*GIT, "log", "--format=%s", cwd=here).split() == ["second", "first"]
    assert "+more" in run(*GIT, "show", cwd=here)
    clone = tmp_path / "clone"
    run(*GIT, *SAFE, "clone", "-q", str(there), str(clone))
    assert sh("cat etc/app.conf", clone) == sh("cat etc/app.conf", here)


@pytest.mark.needs("rsync")
def test_rsync(here: Path, there: Path, tmp_path: Path) -> None:
    """`rsync -a` keeps times and modes: the second run finds nothing to do; of a change it copies what changed."""
    tree = make_tree(tmp_path)
    command = ("rsync", "-a", "--itemize-changes")
    assert "app.conf" in run(*command, f"{tree}/", "copy/", cwd=here)
    assert same(tree, there / "copy")
    assert run(*command, f"{tree}/", "copy/", cwd=here) == ""
    assert run(*command, f"{tree}/", "copy/", cwd=there) == "", "nor does it from another machine"
    assert run(*command, "--checksum", "copy/", f"{tree}/", cwd=there) == ""
    (tree / "etc/app.conf").write_text("port = 81\n")
    (tree / "etc/empty").unlink()
    changes = run(*command, "--delete", f"{tree}/", "copy/", cwd=there).splitlines()
    assert [line.split()[-1] for line in changes if not line.endswith("/")] == ["etc/empty", "etc/app.conf"]
    assert same(tree, here / "copy")


@pytest.mark.needs("tar")
def test_tar(here: Path, there: Path, tmp_path: Path) -> None:
    """`tar x` into the mount, `tar c` out of it by the other one: contents, modes and times are those of the origin."""
    tree = make_tree(tmp_path)
    run("tar", "cf", str(tmp_path / "in.tar"), "-C", str(tree), ".")
    assert run("tar", "xf", str(tmp_path / "in.tar"), cwd=here) == ""
    assert same(tree, there)
    assert run("tar", "df", str(tmp_path / "in.tar"), cwd=there) == "", "no difference in contents, modes, times"
    run("tar", "cf", str(tmp_path / "out.tar"), ".", cwd=there)
    listing = sorted(run("tar", "tf", str(tmp_path / "out.tar")).splitlines())
    assert listing == sorted(run("tar", "tf", str(tmp_path / "in.tar")).splitlines())


@pytest.mark.needs("flock")
def test_flock(here: Path, there: Path, tool: Starter) -> None:
    """flock(1): exclusive, shared, non-blocking, with a time limit."""
    sh("echo text > f", here)
    name, other = str(here / "f"), str(there / "f")
    holder = tool("flock", name, "-c", "echo got; read line")
    assert holder.hear() == "got"
    assert run("flock", "--nonblock", other, "true", code=1) == ""
    assert run("flock", "--shared", "--nonblock", other, "true", code=1) == ""
    assert run("flock", "--wait", "0.3", other, "true", code=1) == ""
    waiter = tool("flock", other, "-c", "echo mine")
    assert run("flock", "--nonblock", "--conflict-exit-code", "7", other, "true", code=7) == ""
    holder.tell("go")
    assert holder.wait() == 0
    assert waiter.hear() == "mine" and waiter.wait() == 0
    readers = [tool("flock", "--shared", each, "-c", "echo reads; read line") for each in (name, other)]
    assert [reader.hear() for reader in readers] == ["reads", "reads"]
    assert run("flock", "--nonblock", name, "true", code=1) == ""
    for reader in readers:
        reader.tell("go")
        assert reader.wait() == 0
    assert run("flock", "--nonblock", name, "echo", "free") == "free\n"
