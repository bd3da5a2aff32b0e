"""The kernel's table of mounts, from its text and for real; and names of directories that may not be looked at."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuse_mount.mount_table import TYPE, Life, MountPoint, at, mounts, parse, probe, resolve, top

SAMPLE = rb"""
22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:14 - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
42 27 0:39 / /mnt/a\040b rw,nosuid,nodev,relatime shared:2 master:1 - fuse.chubby local rw,user_id=0,group_id=0
43 42 0:40 / /mnt/a\040b ro,noexec - fuse.chubby 127.0.0.1:1,127.0.0.1:2 ro
44 27 0:39 / /srv rw - fuse.chubby local rw
45 27 0:41 /below /sshfs rw - fuse.sshfs host:\134x rw
""".lstrip()


def test_the_table() -> None:
    """Every field that we use, with and without the optional ones before the dash."""
    table = {mount.id: mount for mount in parse(SAMPLE)}
    assert len(table) == 6
    assert table[42] == MountPoint(42, 27, "0:39", "/mnt/a b", TYPE, "local", ("rw", "nosuid", "nodev", "relatime"))
    assert table[43].source == "127.0.0.1:1,127.0.0.1:2" and table[43].options == ("ro", "noexec")
    assert table[45].source == r"host:\x"
    assert [mount.id for mount in table.values() if mount.ours] == [42, 43, 44]


def test_of_mounts_over_one_another_the_last_counts() -> None:
    """In whatever order the table has them."""
    table = parse(SAMPLE)
    for order in (table, table[::-1]):
        found = top(order, "/mnt/a b")
        assert found is not None and found.id == 43
    assert top(table, "/mnt") is None and top([], "/") is None


ESCAPED = b" \t\n\\#"


def escape(name: bytes) -> bytes:
    """As the kernel writes it: seq_path with blanks, tabs, newlines, backslashes and #."""
    return b"".join(b"\\%03o" % byte if byte in ESCAPED else bytes([byte]) for byte in name)


@given(st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name and b"\r" not in name))
def test_any_name_is_read_as_it_is(name: bytes) -> None:
    """Bytes that are no UTF-8 too: names are what the operating system's functions take."""
    line = b"42 27 0:39 / /" + escape(name) + b" rw - fuse.chubby " + escape(name) + b" rw\n"
    mount = parse(line)[0]
    assert os.fsencode(mount.directory) == b"/" + name and os.fsencode(mount.source) == name


def test_this_machine_has_a_table() -> None:
    """With a root, and something at /proc."""
    assert any(mount.directory == "/" for mount in mounts())
    process = at("/proc")
    assert process is not None and process.type == "proc" and not process.ours
    assert at("/proc/self") is None


# ------------------------------------------------------------------------------------------------------------- names


def test_names_are_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative ones, links to links, and those of what is not there; as realpath does, if all is well."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "one").symlink_to("real")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    (tmp_path / "real" / "up").symlink_to("../two/deep")
    monkeypatch.chdir(tmp_path)
    for name in ("real", "one", "two", "two/deep", "one/up", "real/up/", "./one/../two", "none", "two/none", "/", "."):
        assert resolve(name) == os.path.realpath(name), name
    assert resolve(tmp_path / "two" / "up") == str(tmp_path / "real" / "deep")


def test_links_that_go_round(tmp_path: Path) -> None:
    """End somewhere."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert resolve(tmp_path / "a") in (str(tmp_path / "a"), str(tmp_path / "b"))


def test_the_place_itself_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is stale would fail, one whose process hangs would hang."""
    place, asked = str(tmp_path / "place"), []
    lstat = os.lstat

    def noting(name: str) -> os.stat_result:
        asked.append(os.fspath(name))
        return lstat(name)

    os.mkdir(place)
    monkeypatch.setattr(os, "lstat", noting)
    assert resolve(place) == place
    assert str(tmp_path) in asked and place not in asked


# -------------------------------------------------------------------------------------------------------------- life


def test_what_answers_is_live(tmp_path: Path) -> None:
    """Be the answer an error."""
    assert probe(str(tmp_path)) is Life.LIVE
    assert probe(str(tmp_path / "none")) is Life.LIVE


def test_what_does_not_answer_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """We do not hang with it."""
    answering = threading.Event()

    def hang(name: str) -> None:
        answering.wait(30)

    monkeypatch.setattr(os, "stat", hang)
    assert probe("/mnt", 0.05) is Life.SILENT
    answering.set()


def test_what_nobody_serves_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOTCONN is what the kernel says then."""

    def refuse(name: str) -> None:
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(os, "stat", refuse)
    assert probe("/mnt") is Life.STALE
