"""What mount(8) says to its helper: specifications, options of ours, of the kernel's, of others; and nonsense."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.cli.mount_options import FOR_OTHERS, KERNEL, Misused, Wanted, parse
from chubby.cli.options import DEFAULT_TIMEOUT, Connection

LOCAL = Wanted("local", "/mnt", Connection(cell="local"))


def changed(**fields: object) -> Wanted:
    """The plainest thing one can want, but for these fields."""
    return msgspec.structs.replace(LOCAL, **fields)


@pytest.mark.parametrize(
    ("spec", "connection"),
    [
        ("local", Connection(cell="local")),
        ("staging.eu-1", Connection(cell="staging.eu-1")),
        ("/ls/staging", Connection(cell="staging")),
        ("/etc/chubby/staging.toml", Connection(config=Path("/etc/chubby/staging.toml"))),
        ("./cell.toml", Connection(config=Path("cell.toml"))),
        ("127.0.0.1:7201", Connection(addresses=("127.0.0.1:7201",))),
        ("A.example:1,[::1]:2", Connection(addresses=("a.example:1", "[::1]:2"))),
    ],
)
def test_what_is_mounted(spec: str, connection: Connection) -> None:
    """One cell. The table of mounts shows it as it was written: so mount(8) knows a line of fstab again."""
    assert parse([spec, "/mnt"]) == Wanted(spec, "/mnt", connection)


@pytest.mark.parametrize("spec", ["all", "/ls"])
def test_all_cells(spec: str) -> None:
    """A directory each."""
    assert parse([spec, "/ls"]) == Wanted(spec, "/ls", Connection(), every=True)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("rw", LOCAL),
        ("", LOCAL),
        (",,", LOCAL),
        ("ro", changed(read_only=True)),
        ("ro,rw", LOCAL),
        ("rw,ro", changed(read_only=True)),
        ("allow_other", changed(allow_other=True)),
        ("nonempty", changed(nonempty=True)),
        ("log=/var/log/x", changed(log=Path("/var/log/x"))),
        ("log=/a,log=/b=c", changed(log=Path("/b=c"))),
        ("timeout=2.5", changed(connection=Connection(cell="local", timeout=2.5))),
        ("config=/c.toml", changed(connection=Connection(cell="local", config=Path("/c.toml")))),
        ("rw,noexec,nosuid,nodev", changed(kernel=("noexec", "nosuid", "nodev"))),
        ("exec,noexec,exec", changed(kernel=("noexec", "exec"))),
        ("_netdev,nofail,noauto,user,defaults,relatime", LOCAL),
        ("x-systemd.automount,x-anything=1,X-mount.mkdir,comment=a b", LOCAL),
    ],
)
def test_options(options: str, wanted: Wanted) -> None:
    """As fstab has them: one list, separated by commas; the last of a kind counts."""
    assert parse(["local", "/mnt", "-o", options]) == wanted
    assert wanted.connection.timeout in (DEFAULT_TIMEOUT, 2.5)


def test_flags_of_mount() -> None:
    """In the order in which mount(8) writes them, in any other, and together."""
    assert parse(["local", "/mnt", "-f", "-n", "-v", "-o", "rw"]) == changed(fake=True, verbose=True)
    assert parse(["-v", "-o", "ro", "local", "-o", "log=/x", "/mnt"]) == changed(
        verbose=True, read_only=True, log=Path("/x")
    )
    assert parse(["local", "/mnt", "-nsfv", "-t", "fuse.chubby"]) == changed(fake=True, verbose=True)
    assert parse(["local", "/a b", "-o", "ro"]).directory == "/a b"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "say what to mount, and where"),
        (["local"], "say what to mount, and where"),
        (["local", "/mnt", "/mnt2"], "say what to mount, and where"),
        (["local", "/mnt", "-x"], "-x not recognized"),
        (["local", "/mnt", "-o"], "-o requires argument"),
        (["local", "/mnt", "-o", "uid=0"], "unknown option 'uid=0'"),
        (["local", "/mnt", "-o", "READ"], "unknown option 'READ'"),
        (["local", "/mnt", "-o", "log"], "unknown option 'log'"),
        (["local", "/mnt", "-o", "noexec=1"], "unknown option 'noexec=1'"),
        (["local", "/mnt", "-o", "remount,ro"], "unmount it, then mount it"),
        (["local", "/mnt", "-o", "timeout=soon"], "timeout=: 'soon' is not a number"),
        (["local", "/mnt", "-o", "timeout=0"], "timeout=: '0' is out of bounds"),
        (["all", "/mnt", "-o", "config=/x"], "leave out config="),
        (["/x.toml", "/mnt", "-o", "config=/y.toml"], "config= names another"),
        (["a b", "/mnt"], "a b"),
        (["", "/mnt"], "cell"),
        (["/ls/a/b", "/mnt"], "a/b"),
        (["host:port", "/mnt"], "no port"),
        (["h:1,h:1", "/mnt"], "names an address twice"),
    ],
)
def test_what_cannot_be_obeyed(arguments: list[str], complaint: str) -> None:
    """Is refused with the reason; nothing is guessed."""
    with pytest.raises(Misused) as raised:
        parse(arguments)
    assert complaint in str(raised.value)


def test_sloppy_is_who_says_so() -> None:
    """-s: what is not known is ignored; what is known and wrong is not."""
    assert parse(["local", "/mnt", "-s", "-o", "uid=0,whatever,ro"]) == changed(read_only=True)
    with pytest.raises(Misused):
        parse(["local", "/mnt", "-s", "-o", "timeout=x"])


def test_no_option_is_of_two_kinds() -> None:
    """Each has one meaning."""
    assert not KERNEL & FOR_OTHERS
    assert not (KERNEL | FOR_OTHERS) & {"ro", "allow_other", "nonempty", "remount", "log", "timeout", "config"}


KNOWN = sorted(KERNEL | FOR_OTHERS | {"ro", "allow_other", "nonempty", "log=/l", "x-a", "comment=b"})


@given(st.lists(st.sampled_from(KNOWN)))
def test_whatever_of_it_is_said_in_whatever_order(options: list[str]) -> None:
    """Each counts for itself, in one list or in many; what is passed on is what was said and the kernel knows."""
    wanted = parse(["local", "/mnt", "-o", ",".join(options)])
    assert wanted == parse(["local", "/mnt", *(word for option in options for word in ("-o", option))])
    assert set(wanted.kernel) == KERNEL & set(options)
    assert wanted.allow_other is ("allow_other" in options) and wanted.nonempty is ("nonempty" in options)
    said = [option for option in options if option in ("ro", "rw")]
    assert wanted.read_only is (said[-1:] == ["ro"])


@given(st.lists(st.text(max_size=12), max_size=6))
def test_nonsense_is_refused_in_good_order(arguments: list[str]) -> None:
    """Whatever the words: wanted or misused."""
    try:
        assert len(parse(arguments).directory) < 100
    except Misused as error:
        assert str(error)
