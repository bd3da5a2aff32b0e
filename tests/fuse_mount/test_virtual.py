"""The files in `.chubby`, and the stream of events among them."""

from __future__ import annotations

import stat as posix

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chubby
from chubby.cli.status_view import picture_of
from chubby.cli.watch import line_of as cli_line_of
from chubby.client.state import SessionState
from chubby.client.statistics import Statistics
from chubby.types.events import Event, EventKind
from chubby.types.status import CellStatus, ReplicaStatus
from chubby.types.time import SECOND
from chubby.types.words import EVENT_WORDS
from fuse_mount.attributes import Shape, View, attributes_of
from fuse_mount.names import Control
from fuse_mount.virtual import (
    attributes_of_cell,
    attributes_of_control,
    attributes_of_directory,
    line_of,
    master_text,
    session_text,
    status_text,
    version_text,
)
from tests.fuse_mount.stats import NOW_MS, NOW_NS, a_stat

VIEW = View(uid=1000, gid=100)


def a_status(**fields: object) -> CellStatus:
    """A cell of three in good health, but for `fields`."""
    healthy = CellStatus(
        cell="local",
        cell_id=77,
        replica=2,
        version="0.1.0",
        master=2,
        master_address="127.0.0.1:7202",
        epoch=41,
        lease_left=SECOND // 2,
        chosen=120,
        applied=120,
        snapshot=100,
        revision=88,
        sessions=1,
        nodes=12,
        locks=0,
        margin=1,
        digest="",
        replicas=(
            ReplicaStatus(1, "127.0.0.1:7101", "127.0.0.1:7201", "follower", 119, 1, True, SECOND // 10),
            ReplicaStatus(2, "127.0.0.1:7102", "127.0.0.1:7202", "master", 120, 0, True, None),
            ReplicaStatus(3, "127.0.0.1:7103", "127.0.0.1:7203", "follower", 0, 0, False, None),
        ),
        resident_bytes=50 * 1024 * 1024,
    )
    return msgspec.structs.replace(healthy, **fields)


def statistics(**fields: object) -> Statistics:
    """A session in good health, but for `fields`."""
    healthy = Statistics(
        state=SessionState.NORMAL,
        session=4711,
        epoch=41,
        address="127.0.0.1:7202",
        streams=1,
        session_lease_left=9 * SECOND + SECOND // 4,
        cache_lease_left=SECOND,
        cached=30,
        calls=0,
        handles=6,
        watches=1,
    )
    return msgspec.structs.replace(healthy, **fields)


def lines_of(text: bytes) -> dict[str, str]:
    """`key: value` lines taken apart."""
    pairs = (line.split(":", 1) for line in text.decode().splitlines())
    return {key: value.strip() for key, value in pairs}


# ----------------------------------------------------------------------------------------------------------- attributes


@pytest.mark.parametrize("control", Control)
def test_a_control_is_a_file_to_read(control: Control) -> None:
    """Of size 0 as in /proc, nobody's to write."""
    shown = attributes_of_control(control, VIEW, NOW_NS)
    assert shown["st_mode"] == posix.S_IFREG | 0o444
    assert (shown["st_uid"], shown["st_gid"], shown["st_size"], shown["st_nlink"]) == (1000, 100, 0, 1)
    assert shown["st_mtime"] == shown["st_ctime"] == shown["st_atime"] == NOW_NS


def test_the_controls_are_in_a_directory_to_read() -> None:
    """Nobody makes or removes anything there."""
    shown = attributes_of_directory(VIEW, NOW_NS)
    assert shown["st_mode"] == posix.S_IFDIR | 0o555
    assert shown.keys() == attributes_of(a_stat(), Shape.FILE, VIEW).keys()


def test_no_two_of_all_have_the_same_number() -> None:
    """Nor has a node one of theirs: `find` and `cp` know files by it."""
    views = [View(0, 0, cell) for cell in (0, 1, 2, 500)]
    numbers = [attributes_of_directory(view, 0)["st_ino"] for view in views]
    numbers += [attributes_of_cell(view, 0)["st_ino"] for view in views]
    numbers += [attributes_of_control(control, view, 0)["st_ino"] for view in views for control in Control]
    numbers += [
        attributes_of(a_stat(instance=instance), shape, view)["st_ino"]
        for view in views
        for instance in range(1, 8)
        for shape in (Shape.FILE, Shape.CONTENTS)
    ]
    assert len(set(numbers)) == len(numbers)
    assert all(0 < number < 1 << 63 for number in numbers)


# ---------------------------------------------------------------------------------------------------------------- texts


def test_the_version() -> None:
    """Of the program that serves the mount."""
    assert version_text() == f"{chubby.__version__}\n".encode()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, b"127.0.0.1:7202\n"),
        ({"master": 0, "master_address": ""}, b""),
        ({"master": 0}, b""),
        ({"master_address": ""}, b""),
    ],
)
def test_the_master(fields: dict[str, object], text: bytes) -> None:
    """`$(cat .chubby/master)` is an address, or nothing while there is none."""
    assert master_text(a_status(**fields)) == text


def test_the_session() -> None:
    """What an operator asks first, a line each."""
    assert lines_of(session_text(statistics(), "local", tenure=2, since_ms=NOW_MS, locks=3)) == {
        "cell": "local",
        "session": "4711",
        "state": "normal",
        "tenure": "2",
        "since": "2023-11-14T22:13:20.123Z",
        "lease left": "9.2 s",
        "epoch": "41",
        "locks": "3",
        "handles": "6",
        "cached": "30",
    }


@pytest.mark.parametrize("state", SessionState)
def test_a_session_in_any_state(state: SessionState) -> None:
    """A lease that is over has nothing left, however long ago that was."""
    text = session_text(statistics(state=state, session_lease_left=-5 * SECOND), "local", 1, NOW_MS, 0)
    assert lines_of(text)["state"] == state.value
    assert lines_of(text)["lease left"] == "0.0 s"
    assert text.endswith(b"\n")


def test_the_status() -> None:
    """The picture of the cell, for people; `*` marks the master."""
    assert status_text(a_status()).decode().splitlines() == [
        "cell local: master is replica 2 at 127.0.0.1:7202, epoch 41; 1 more replica may fail",
        "revision 88, 1 session, 0 locks, master lease 0.5 s left",
        "nodes 12",
        "as replica 2 sees it, version 0.1.0, 50 MiB",
        "",
        "replica  role            slots  lag  heard  clients at",
        "1        follower        119    1    0.1 s  127.0.0.1:7201",
        "2*       master          120    0    -      127.0.0.1:7202",
        "3        follower, away  -      -    -      127.0.0.1:7203",
    ]


@pytest.mark.parametrize("nodes_quota", [0, 100_000])
@pytest.mark.parametrize("bytes_quota", [0, 1 << 30])
@pytest.mark.parametrize("content_limit", [0, 256 * 1024])
@pytest.mark.parametrize("content_bytes", [0, 1, 1023, 1024, 1_000_000, (1 << 30) - 1, 5 << 30])
def test_what_the_cell_holds_is_told_as_by_the_command(
    nodes_quota: int, bytes_quota: int, content_limit: int, content_bytes: int
) -> None:
    """In the words of `chubby status`; a replica that does not tell how much there is (no limit) tells of nodes."""
    status = a_status(
        nodes_quota=nodes_quota, bytes_quota=bytes_quota, content_limit=content_limit, content_bytes=content_bytes
    )
    picture = picture_of({"127.0.0.1:7202": status}, {})
    assert picture is not None
    assert status_text(status).decode().splitlines()[2] == picture.usage()


@pytest.mark.parametrize(
    ("margin", "words"),
    [
        (2, "; 2 more replicas may fail"),
        (0, "; no further replica may fail"),
        (-1, "; no quorum, 1 replica short"),
        (-2, "; no quorum, 2 replicas short"),
        (None, ", epoch 41"),
    ],
)
def test_how_many_more_may_fail(margin: int | None, words: str) -> None:
    """Only the master knows it."""
    assert status_text(a_status(margin=margin)).decode().splitlines()[0].endswith(words)


def test_the_status_without_a_master() -> None:
    """A replica answers that knows of none: so it says, with what else is wrong."""
    text = status_text(a_status(master=0, lease_left=0, margin=None, replicas=(), warnings=("clock leaps", "disk")))
    lines = text.decode().splitlines()
    assert lines[0] == "cell local: no master, epoch 41"
    assert "master lease" not in lines[1]
    assert lines[-2:] == ["warning: clock leaps", "warning: disk"]


# ---------------------------------------------------------------------------------------------------------------- lines


@given(
    st.sampled_from(sorted(EVENT_WORDS)),
    st.sampled_from(["", "/", "/svc/leader", "/caf\u00e9"]),
    st.integers(0, 1 << 60),
)
def test_a_line_is_that_of_the_command(kind: EventKind, path: str, revision: int) -> None:
    """Scripts that read `chubby watch` read this."""
    told = Event(kind, path, revision)
    assert line_of(told, "local") == (cli_line_of(told, "local") + "\n").encode()


def test_the_words_are_those_of_the_command() -> None:
    """Neither tells what the other does not."""
    untold = [kind for kind in EventKind if kind not in EVENT_WORDS]
    assert untold
    assert all(line_of(Event(kind, "/x", 1), "local") == b"" for kind in untold)
