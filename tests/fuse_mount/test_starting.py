"""Starting a mount's process and hearing from it; nothing is mounted here, but processes are real."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from chubby.errors import ErrorCode, InternalError, NoQuorum
from fuse_mount import starting
from fuse_mount.orders import Answer, Locator, Order
from fuse_mount.starting import answer_in, check_directory, start, text_of
from fuse_mount.troubles import MountError, Trouble
from tests.fuse_mount.fake_mount import program
from tests.integration.cells import wait_for

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program of these tests is found."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """What is to be mounted."""
    return Order(str(tmp_path), "here", Locator(), log=str(tmp_path / "log"))


@contextlib.contextmanager
def running(process: int) -> Iterator[int]:
    """A pidfd of a process that is ended in the end, come what may."""
    watch = os.pidfd_open(process)
    try:
        yield watch
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(watch, signal.SIGKILL)
        os.close(watch)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, 0)


def ends(watch: int) -> bool:
    """Whether the process of a pidfd ends."""
    return bool(select.select([watch], [], [], PATIENCE)[0])


def test_it_is_detached_when_it_has_mounted(order: Order) -> None:
    """A session of its own, the root as its directory, the null device for what nobody reads; SIGTERM ends it."""
    with running(start(order, program("good"))) as watch:
        process = pid_of(watch)
        assert os.getsid(process) == process != os.getsid(0)
        assert os.readlink(f"/proc/{process}/cwd") == "/"
        wait_for(lambda: standard_files(process) == [os.devnull] * 3, "its letting go of its starter")
        signal.pidfd_send_signal(watch, signal.SIGTERM)
        assert ends(watch)
        assert os.waitpid(process, 0)[1] == 0
    log = Path(order.log or "").read_text()
    assert "here is mounted at" in log and "SIGTERM came" in log and "is unmounted" in log


def standard_files(process: int) -> list[str]:
    """What its standard files are."""
    return [os.readlink(f"/proc/{process}/fd/{number}") for number in (0, 1, 2)]


def pid_of(watch: int) -> int:
    """The process of a pidfd."""
    lines = Path(f"/proc/self/fdinfo/{watch}").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Pid:")))


def test_what_went_wrong_arrives_as_it_was_raised(order: Order) -> None:
    """The cell's errors, the mount's troubles."""
    with pytest.raises(NoQuorum, match="no quorum: nobody is there"):
        start(order, program("unreachable"))
    with pytest.raises(MountError, match="there is no FUSE here") as raised:
        start(order, program("unable"))
    assert raised.value.trouble is Trouble.FUSE
    with pytest.raises(InternalError, match="ZeroDivisionError: a mistake"):
        start(order, program("mistaken"))
    log = Path(order.log or "").read_text()
    assert log.count("Traceback") == 1, "what nobody foresaw is logged with its place"


def test_a_process_that_ends_without_a_word(order: Order) -> None:
    """What it had to say to stderr is passed on."""
    with pytest.raises(MountError, match="ended before it had mounted: struck by lightning") as raised:
        start(order, program("struck"))
    assert raised.value.trouble is Trouble.ENDED
    with pytest.raises(MountError, match=r"ended before it had mounted: .*No module named nothing"):
        start(order, (sys.executable, "-P", "-m", "nothing"))


def test_a_process_that_never_answers_is_ended(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the limit and the order's own time; nothing of it is left."""
    monkeypatch.setattr(starting, "START_LIMIT", 0.3)
    hurried = msgspec.structs.replace(order, timeout=0.2)
    before = children()
    with pytest.raises(MountError, match="did not mount within 0 seconds"):
        start(hurried, program("hanging"))
    assert children() == before


def children() -> str:
    """The children of this process."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_who_is_ended_while_waiting_leaves_no_process(order: Order, number: signal.Signals) -> None:
    """Ctrl-C ends the process in the background too; and one whose starter was killed notices."""
    script = (
        "import sys, msgspec; from fuse_mount.starting import start; from fuse_mount.orders import Order\n"
        "from tests.fuse_mount.fake_mount import program\n"
        "start(msgspec.json.decode(sys.argv[1], type=Order), program('hanging'))"
    )
    order = msgspec.structs.replace(order, timeout=PATIENCE)
    starter = subprocess.Popen([sys.executable, "-c", script, text_of(order)], stderr=subprocess.DEVNULL)
    try:
        with running(first_child(starter.pid)) as watch:
            starter.send_signal(number)
            assert starter.wait(PATIENCE) != 0
            assert ends(watch)
    finally:
        starter.kill()
        starter.wait()


def first_child(process: int) -> int:
    """The first child of a process, once its program runs and it waits."""
    pause, listing = select.poll(), Path(f"/proc/{process}/task/{process}/children")
    for _ in range(int(PATIENCE / 0.01)):
        found = listing.read_text().split()
        if found and waits(int(found[0])):
            return int(found[0])
        pause.poll(10)
    raise AssertionError("it has started nobody")


def waits(process: int) -> bool:
    """Whether it has handlers for signals, as a `Daemon` that waits."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught >> (signal.SIGHUP - 1) & 1)


# ------------------------------------------------------------------------------------------------------- in between


def test_an_order_travels() -> None:
    """Word by word, be the names what they may."""
    order = Order("/mnt/ä b", "127.0.0.1:1,127.0.0.1:2", Locator("x", "/c.toml", ("a:1",), "/w"), True, True, log="/l")
    assert msgspec.json.decode(text_of(order), type=Order) == order


def test_what_it_answers() -> None:
    """A line; what libraries said to stderr is added where they know more, and only there."""

    def never() -> bytes:
        raise AssertionError("nobody asked")

    assert not answer_in(msgspec.json.encode(Answer()) + b"\n", never).failed
    cell = Answer("gone", code=ErrorCode.NO_QUORUM)
    assert answer_in(msgspec.json.encode(cell), never) == cell
    mount = Answer("refused", Trouble.REFUSED)
    assert answer_in(msgspec.json.encode(mount), lambda: b"fusermount3: no\nreally\n").message == (
        "refused: fusermount3: no / really"
    )
    assert answer_in(msgspec.json.encode(mount), bytes) == mount
    for line in (b"", b"{", b"Traceback\n"):
        assert answer_in(line, bytes).trouble is Trouble.ENDED


@pytest.mark.parametrize(
    ("error", "trouble", "code", "text"),
    [
        (NoQuorum("nobody"), None, ErrorCode.NO_QUORUM, "nobody"),
        (MountError(Trouble.BUSY, "later"), Trouble.BUSY, None, "later"),
        (PermissionError(13, "Permission denied", "/log"), Trouble.REFUSED, None, "/log: Permission denied"),
        (OSError("odd"), Trouble.REFUSED, None, "odd"),
        (KeyError("x"), None, ErrorCode.INTERNAL, "KeyError: 'x'"),
    ],
)
def test_errors_become_answers(error: Exception, trouble: Trouble | None, code: ErrorCode | None, text: str) -> None:
    """Each kind; and back."""
    answer = Answer.of(error)
    assert answer == Answer(text, trouble, code)
    assert answer.failed and answer.bug is (code is ErrorCode.INTERNAL)
    with pytest.raises(Exception, match=text):
        answer.check()
    Answer().check()


# ---------------------------------------------------------------------------------------------------- the directory


def test_an_empty_directory_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its whole name, however it was called."""
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    (tmp_path / "link").symlink_to(place)
    monkeypatch.chdir(tmp_path)
    for name in ("a/b", "a/../a/b/", "link", tmp_path / "link", "./link"):
        assert check_directory(name) == str(place)


def test_directories_that_will_not_do(tmp_path: Path) -> None:
    """Each with what to do."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").write_text("x")
    complaints = {"none": "make the directory first", "file": "Not a directory", "file/x": "Not a directory"}
    complaints["full"] = r"is not empty \(note, ...\): .*--nonempty"
    for name, complaint in complaints.items():
        with pytest.raises(MountError, match=complaint) as raised:
            check_directory(tmp_path / name)
        assert raised.value.trouble is Trouble.DIRECTORY
    assert check_directory(tmp_path / "full", nonempty=True) == str(tmp_path / "full")
