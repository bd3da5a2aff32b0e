"""On a mount: what shells, their everyday commands and Python do with files, and what another mount sees of it.

`here` and `there` are one directory of the cell, on two mounts by two processes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from chubby.types.limits import CONTENT_LIMIT
from tests.integration.cells import Cell, wait_for
from tests.integration.mounts import WORKER, Mount, mounts, python, run, sh
from tests.integration.programs import Starter

pytestmark = pytest.mark.fuse

APPENDERS = 5
LINES = 10


def make_tree(directory: Path) -> Path:
    """Files of all sizes that matter, some empty, in directories within directories."""
    tree = directory / "tree"
    (tree / "etc/conf.d").mkdir(parents=True)
    (tree / "empty directory").mkdir()
    (tree / "etc/app.conf").write_text("port = 80\nhost = alpha\n")
    (tree / "etc/conf.d/10-extra.conf").write_text("host = beta\n")
    (tree / "etc/empty").touch()
    (tree / "größe.bin").write_bytes(bytes(range(256)) * 1000)
    (tree / "run").write_text("#!/bin/sh\necho it runs\n")
    (tree / "run").chmod(0o755)
    return tree


def same(one: Path, other: Path) -> bool:
    """Whether the trees are alike."""
    return run("diff", "-r", str(one), str(other)) == ""


def test_redirection_and_cat(here: Path, there: Path) -> None:
    """`>` makes and replaces, `>>` appends, on whichever mount; `cat` elsewhere shows it at once."""
    sh("echo one > f", here)
    assert sh("cat f", there) == "one\n"
    sh("echo two >> f", there)
    assert sh("cat f", here) == "one\ntwo\n"
    sh("echo three > f; : > empty; printf x > short", here)
    assert sh("cat f empty short", there) == "three\nx"
    assert "No such file" in sh("cat missing", there, code=1)


def test_a_shell_that_must_not_overwrite(here: Path, there: Path) -> None:
    """O_EXCL: `set -C` makes a file once, whoever asks where."""
    sh("set -C; echo mine > only", here)
    assert "xist" in sh("set -C; echo mine > only", there, code=None)
    assert sh("cat only", there) == "mine\n"


def test_appends_of_many_are_all_there(here: Path, there: Path) -> None:
    """O_APPEND is one atomic append, also with ten writers on two machines."""
    script = f'for i in $(seq {LINES}); do echo "$0 $i" >> log; done'
    loops = "".join(f"sh -c '{script}' $1-{number} & " for number in range(APPENDERS))
    both = f"cd '{here}'; set -- here; {loops} cd '{there}'; set -- there; {loops} wait"
    sh(both, here)
    lines = (here / "log").read_text().splitlines()
    expected = {
        f"{place}-{each} {i + 1}" for place in ("here", "there") for each in range(APPENDERS) for i in range(LINES)
    }
    assert len(lines) == len(set(lines)) == 2 * APPENDERS * LINES
    assert set(lines) == expected
    for each in {line.split()[0] for line in lines}:
        assert [int(line.split()[1]) for line in lines if line.split()[0] == each] == list(range(1, LINES + 1))


def test_cp(here: Path, there: Path, tmp_path: Path) -> None:
    """`cp -r` into the mount, within it, and out of it by the other one."""
    tree = make_tree(tmp_path)
    sh(f"cp -r '{tree}' in; cp -r in again", here)
    assert same(tree, there / "in")
    sh(f"cp -r again '{tmp_path}/out'", there)
    assert same(tree, tmp_path / "out")
    assert sh("in/run", there) == "it runs\n"


@pytest.mark.needs("getfattr")
def test_mv(here: Path, there: Path, tmp_path: Path) -> None:
    """A file over a file is one rename, which keeps the target's node; a directory is copied and removed."""
    sh("echo old > target; echo new > source; mkdir d", here)
    before = run("getfattr", "--only-values", "-n", "user.chubby.instance", "target", cwd=here)
    sh("mv source target", here)
    assert sh("ls; cat target", there) == "d\ntarget\nnew\n"
    assert run("getfattr", "--only-values", "-n", "user.chubby.instance", "target", cwd=there) == before
    sh("mv target d; mv d e", there)
    assert sh("find . | sort; cat e/target", here) == ".\n./e\n./e/target\nnew\n"
    tree = make_tree(tmp_path)
    copy = run("cp", "-r", str(tree), str(tmp_path / "copy"))
    assert copy == ""
    sh(f"mv '{tree}' moved; mv moved again", here)
    assert same(tmp_path / "copy", there / "again") and not tree.exists()
    sh(f"mv again '{tree}'", there)
    assert same(tmp_path / "copy", tree) and sh("ls", here) == "e\n"


def test_rm(here: Path, there: Path, tmp_path: Path) -> None:
    """`rm -r` leaves nothing; `rmdir` takes only what is empty."""
    sh(f"cp -r '{make_tree(tmp_path)}' t", here)
    assert "not empty" in sh("rmdir t", there, code=1)
    sh("rm -r t", there)
    assert sh("ls -A", here) == ""


def test_sed_in_place(here: Path, there: Path) -> None:
    """`sed -i` writes a new file and renames it over the old: one node, and no temporary file stays."""
    sh("printf 'a=1\\nb=2\\n' > conf", here)
    sh("sed -i s/1/one/ conf; sed -i -e /b/d conf", there)
    assert sh("cat conf; ls -A", here) == "a=one\nconf\n"


@pytest.mark.needs("vim")
def test_vim(here: Path, there: Path) -> None:
    """An editor with swap file and backup: the text is written, nothing stays beside it."""
    sh("printf 'a=1\\nb=2\\n' > conf", here)
    for number, (place, other) in enumerate(((here, there), (there, here)), 2):
        edit = ["-c", r"%s/\d$/" + str(number), "-c", "wq"]
        run("vim", "-u", "NONE", "-es", "--cmd", "set swapfile directory=. writebackup", *edit, "conf", cwd=place)
        assert sh("cat conf; ls -A", other) == f"a={number}\nb={number}\nconf\n"


def test_json_dump(here: Path, there: Path) -> None:
    """Python's `json.dump` to an open file, and `os.replace` of a complete one."""
    python("import json; json.dump({'a': [1, 2], 'b': None}, open('f.json', 'w'))", here)
    assert json.loads((there / "f.json").read_bytes()) == {"a": [1, 2], "b": None}
    script = "import json, os\nwith open('n', 'w') as f: json.dump([1], f)\nos.replace('n', 'f.json')"
    python(script, there)
    assert sh("cat f.json; ls", here) == "[1]f.json\n"


def test_find_and_grep(here: Path, there: Path, tmp_path: Path) -> None:
    """Walks see every file once; `.chubby` is in no listing, so no walk of the whole cell enters it."""
    tree = make_tree(tmp_path)
    sh(f"cp -r '{tree}' .", here)
    names = sh("find . | sort", tmp_path)
    assert sh("find . | sort", there) == names
    assert sh("find . -type f -size 0", there) == "./tree/etc/empty\n"
    assert sh("grep -r host . | sort", there) == sh("grep -r host . | sort", tmp_path) != ""
    assert sh("grep -rL host .", there).count("\n") == 3
    top = there.parent
    assert "./.chubby" not in sh("find .", top).splitlines()
    assert ".chubby" not in sh("ls -A", top).splitlines()
    assert sh("ls .chubby", top).split() == ["events", "master", "session", "status", "version"]


def test_ls(here: Path, there: Path) -> None:
    """`ls -l`: kinds, modes, owners, sizes and times as they were made."""
    sh("printf 12345 > f; chmod 640 f; mkdir d; touch -d 2020-02-02T02:02:02Z old", here)
    lines = [line.split() for line in sh("TZ=UTC ls -l --time-style=+%Y", there).splitlines()[1:]]
    user, group = sh("id -un; id -gn", here).split()
    shown = {line[-1]: (line[0], line[2], line[3], line[4], line[5]) for line in lines}
    assert shown["f"][:4] == ("-rw-r-----", user, group, "5")
    assert shown["d"][:3] == ("drwxr-xr-x", user, group)
    assert shown["old"][3:] == ("0", "2020")


def test_what_is_too_large_or_not_of_this_world(here: Path, there: Path) -> None:
    """256 KiB are the limit, told at the write; there are no links and no devices."""
    assert "File too large" in sh(f"head -c {CONTENT_LIMIT + 1} /dev/zero > f", here, code=None)
    sh(f"head -c {CONTENT_LIMIT} /dev/zero > full; truncate -s 3 full", here)
    assert (there / "full").read_bytes() == bytes(3)
    sh(f"head -c {CONTENT_LIMIT} /dev/zero > full", there)
    assert (here / "full").stat().st_size == CONTENT_LIMIT
    for command in ("ln full other", "ln -s full other", "mkfifo other"):
        assert "not permitted" in sh(command, here, code=1)
    assert sh("ls", there) in ("f\nfull\n", "full\n")


def test_df(here: Path) -> None:
    """What the cell holds and may hold: used and free add up, and what is written counts."""

    def figures() -> list[int]:
        return [int(figure) for figure in sh("df -B1 --output=size,used,avail .", here).split()[-3:]]

    before = after = figures()
    assert before[0] == before[1] + before[2] and before[0] >= 1 << 20
    sh("head -c 200000 /dev/urandom > f", here)

    def counted() -> bool:
        nonlocal after
        after = figures()
        return after[1] - before[1] >= 200_000

    wait_for(counted, "df to tell of what was written")
    assert after[0] == before[0] == after[1] + after[2]


@pytest.mark.needs("getfattr", "setfattr")
def test_extended_attributes(here: Path, there: Path) -> None:
    """`getfattr -d -m user.chubby`: the node's metadata, and who holds its lock; others are what one stores."""
    sh("echo text > f; setfattr -n user.colour -v blue f", here)
    shown = dict(
        line.split("=", 1)
        for line in sh("getfattr -d -m user.chubby f", there).splitlines()
        if line.startswith("user.")
    )
    named = {"instance", "content_generation", "lock_generation", "acl_generation", "checksum", "ephemeral"}
    named |= {"lock.mode", "lock.holders", "lock.token", "sequencer"}
    assert {f"user.chubby.{name}" for name in named} <= shown.keys()
    assert shown["user.chubby.ephemeral"] == '"0"' and shown["user.chubby.lock.mode"] == '"free"'
    assert sh("getfattr --only-values -n user.colour f", there) == "blue"
    held = sh("exec 3< f; flock 3; getfattr --only-values -n user.chubby.lock.mode f", here)
    assert held == "exclusive"
    assert sh("getfattr -n user.chubby.colour f 2>&1 || true", there).count("No such attribute") == 1


@pytest.mark.needs("setfattr", "getfattr")
def test_an_ephemeral_file_goes_with_its_mount(
    mounted_cell: Cell, here: Path, there: Path, tmp_path: Path, tool: Starter
) -> None:
    """`user.chubby.ephemeral` before the first close: it is there for all, until the session of the mount ends."""
    with mounts(mounted_cell, tmp_path / "third") as (third,):
        directory = third / here.name
        ephemeral = "exec 3> f; setfattr -n user.chubby.ephemeral -v 1 f; echo here >&3; exec 3>&-"
        sh(ephemeral, directory)
        assert sh("cat f; getfattr --only-values -n user.chubby.ephemeral f", there) == "here\n1"
        assert third.stop() == 0
        assert not (there / "f").exists(), "it ended with its session, in good order"
        third.start()
        sh(ephemeral.replace("> f", "> g").replace(" f;", " g;"), directory)
        assert (here / "g").exists()
        third.kill()
        assert third.process is not None
        wait_for(lambda: not (here / "g").exists(), "the end of the session of a mount that was killed")


def test_fcntl_locks(here: Path, there: Path) -> None:
    """`lockf` of Python: held on one mount, refused on the other, and free when the file is closed."""
    sh("echo text > f", here)
    grab = "import fcntl, os, sys\nfile = open('{}', 'r+'); fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    refused = "import os, subprocess\nprint(subprocess.call([sys.executable, '-c', sys.argv[1]], stderr=-3))\n"
    script = grab.format("f") + refused + "file.close()\n" + refused.replace("import os, subprocess\n", "")
    other = grab.format(there / "f")
    assert run(*WORKER[:-1], "-c", script, other, cwd=here) == "1\n0\n"


def test_status_files(two_mounts: tuple[Mount, Mount], mounted_cell: Cell) -> None:
    """`.chubby` tells who the master is, which session this is, and how the cell fares."""
    one, other = two_mounts
    master = mounted_cell.wait_master()
    assert sh("cat .chubby/master", one.directory) == mounted_cell.members[master][1] + "\n"
    assert f"master is replica {master}" in sh("cat .chubby/status", one.directory)
    assert one.session()["session"] != other.session()["session"]
    assert one.session()["state"] in ("normal", "safe") and int(one.session()["tenure"]) >= 1
    assert "not permitted" in sh("rm .chubby/master", one.directory, code=1)
    assert os.access(one / ".chubby/version", os.R_OK)
