"""The life of a mount's process: what signals, umount(8), errors and an impatient user do to it in each phase."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from chubby.errors import NoQuorum
from fuse_mount import daemon
from fuse_mount.daemon import TABLE, Act, Daemon, Happening, Left, Phase
from fuse_mount.kernel import Mounted
from fuse_mount.wake import ENDING_SIGNALS
from tests.fuse_mount.fake_mount import PATIENCE, FakeMount, fail, nothing, strike, then


def life_of(fake: FakeMount, tell: Callable[[], object] = nothing, starter: int | None = None) -> Daemon:
    """The daemon around it. That it tells is noted too."""

    def noting() -> None:
        fake.noted.append("tell")
        tell()

    return Daemon(fake.files, fake.serve, noting, starter)


@pytest.fixture
def handlers_return() -> Iterator[None]:
    """All is as it was, whatever happens."""
    before = [signal.getsignal(number) for number in ENDING_SIGNALS]
    yield
    assert [signal.getsignal(number) for number in ENDING_SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1


pytestmark = pytest.mark.usefixtures("handlers_return")


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_unmounts_and_ends_in_good_order(number: signal.Signals) -> None:
    """Reach the cell, mount, say so; then unmount, and only then close the session. That is no error."""
    fake = FakeMount()
    life_of(fake, tell=strike(number)).run()
    assert fake.noted == ["start", "mount", "attach", "tell", "unmount", "close"]


def test_a_signal_is_obeyed_whichever_thread_it_strikes() -> None:
    """libfuse's threads may all be blocked, and the main one waits without being struck itself."""

    def strike_worker() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    fake = FakeMount(served=strike_worker)
    life_of(fake).run()
    assert fake.noted[-2:] == ["unmount", "close"]


def test_umount_by_others_ends_it() -> None:
    """As umount(8) and `fusermount3 -u` do: nobody asks the mount to end, it has."""
    fake = FakeMount()
    life_of(fake, tell=fake.gone.set).run()
    assert fake.noted == ["start", "mount", "attach", "tell", "close"]


def test_it_is_told_only_when_it_is_mounted() -> None:
    """Whoever was told finds the files."""
    fake = FakeMount()
    life = life_of(fake, tell=then(lambda: fake.noted.append(life.phase.name), fake.gone.set))
    life.run()
    assert fake.noted.index("attach") < fake.noted.index("tell")
    assert "MOUNTED" in fake.noted and life.phase is Phase.OVER


def test_a_cell_that_cannot_be_reached_is_told_of() -> None:
    """And nothing is mounted."""
    fake = FakeMount(start=fail)
    with pytest.raises(NoQuorum, match="nobody is there"):
        life_of(fake).run()
    assert fake.noted == ["start"]


def test_what_keeps_it_from_being_mounted_is_told_of_and_the_session_closed() -> None:
    """As when the kernel refuses."""

    def refused(mounted: object) -> None:
        raise PermissionError("refused")

    fake = FakeMount()
    with pytest.raises(PermissionError):
        Daemon(fake.files, refused, nothing).run()
    assert fake.noted == ["start", "close"]


def test_a_session_that_does_not_close_is_told_of() -> None:
    """After all has been unmounted."""
    fake = FakeMount(close=fail)
    with pytest.raises(NoQuorum):
        life_of(fake, tell=fake.gone.set).run()


def test_a_signal_before_it_is_mounted_lets_it_never_be() -> None:
    """What was begun is taken back."""
    fake = FakeMount(start=then(strike(signal.SIGTERM), lambda: waits_for(life, Phase.ENDING)))
    life = life_of(fake)
    life.run()
    assert fake.noted == ["start", "close"]


def waits_for(life: Daemon, phase: Phase) -> None:
    """Until the main thread is so far."""
    done = threading.Event()
    for _ in range(int(PATIENCE / 0.005)):
        if life.phase is phase:
            return
        done.wait(0.005)
    raise AssertionError(f"never in {phase}")


def test_a_signal_that_comes_while_it_is_being_mounted() -> None:
    """Between the start and the mount: unmounted as soon as it is mounted, and nobody is told that it was."""
    fake = FakeMount()

    def serve(mounted: Callable[[Mounted], None]) -> None:
        strike(signal.SIGTERM)()
        waits_for(life, Phase.ENDING)
        fake.serve(mounted)

    life = Daemon(fake.files, serve, lambda: fake.noted.append("tell"))
    life.run()
    assert fake.noted == ["start", "mount", "attach", "unmount", "close"]


def test_a_start_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it waits for the cell ends it within a second."""
    monkeypatch.setattr(daemon, "GIVE_UP_LIMIT", 0.05)
    waiting = threading.Event()
    fake = FakeMount(start=then(strike(signal.SIGINT), lambda: waiting.wait(PATIENCE)))
    with pytest.raises(Left) as left:
        life_of(fake).run()
    waiting.set()
    assert left.value.number == signal.SIGINT and fake.noted[0] == "start"
    assert daemon.END_LIMIT > 1.0, "in good order takes as long as it takes to tell the cell"


def test_an_unmount_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the end it ends."""
    monkeypatch.setattr(daemon, "END_LIMIT", 0.05)
    closing = threading.Event()
    fake = FakeMount(close=lambda: closing.wait(PATIENCE))
    with pytest.raises(Left) as left:
        life_of(fake, tell=strike(signal.SIGHUP)).run()
    closing.set()
    assert left.value.number == signal.SIGHUP


def test_a_second_signal_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it waits for, and however long that could take. What is done last is not struck by a third one."""
    monkeypatch.setattr(daemon, "TOGETHER", 0.0)
    closing = threading.Event()
    fake = FakeMount(close=then(strike(signal.SIGINT), lambda: closing.wait(PATIENCE)))
    last = then(strike(signal.SIGTERM), lambda: fake.noted.append("last"))
    with pytest.raises(Left) as left:
        Daemon(fake.files, fake.serve, strike(signal.SIGTERM), last=last).run()
    closing.set()
    assert left.value.number == signal.SIGINT and fake.noted[-1] == "last"


def test_signals_at_the_same_time_are_one() -> None:
    """A parent with many threads sends many as it dies: all in good order nevertheless."""
    fake = FakeMount(unmount=strike(signal.SIGTERM), close=strike(signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    life_of(fake, tell=strike(signal.SIGTERM)).run()
    assert fake.noted == ["start", "mount", "attach", "tell", "unmount", "close"]


def test_who_started_it_and_has_gone_wants_no_mount() -> None:
    """Killed while it waited: nobody would know that something is mounted."""
    reading, writing = os.pipe()
    fake = FakeMount(start=then(lambda: os.close(reading), lambda: waits_for(life, Phase.ENDING)))
    life = life_of(fake, starter=writing)
    try:
        life.run()
    finally:
        os.close(writing)
    assert fake.noted == ["start", "close"]


def test_who_started_it_and_goes_the_moment_it_is_told() -> None:
    """The pipe is broken: unmounted again."""

    def broken() -> None:
        raise BrokenPipeError

    fake = FakeMount()
    life_of(fake, tell=broken).run()
    assert fake.noted == ["start", "mount", "attach", "tell", "unmount", "close"]


def test_who_was_told_may_go() -> None:
    """That is what the background is for."""
    reading, writing = os.pipe()
    fake = FakeMount()

    def tell() -> None:
        os.close(reading)
        os.close(writing)
        threading.Timer(0.05, fake.gone.set).start()

    life_of(fake, tell=tell, starter=writing).run()
    assert fake.noted == ["start", "mount", "attach", "tell", "close"]


def test_signals_that_were_ignored_stay_ignored() -> None:
    """Under nohup SIGHUP means nothing."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        fake = FakeMount()
        life_of(fake, tell=strike(signal.SIGHUP, signal.SIGTERM)).run()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert fake.noted.count("unmount") == 1


@pytest.mark.parametrize(
    ("phase", "happening"),
    [*itertools.product([Phase.STARTING, Phase.MOUNTED, Phase.ENDING], Happening)],
    ids=lambda each: each.name,
)
def test_the_table_knows_what_to_do_in_each_case(phase: Phase, happening: Happening) -> None:
    """But for what cannot be: nothing is overdue or said again before it was asked for, and one mounts once."""
    impossible = {
        (Phase.STARTING, Happening.OVERDUE),
        (Phase.MOUNTED, Happening.OVERDUE),
        (Phase.MOUNTED, Happening.MOUNTED),
        (Phase.STARTING, Happening.ECHO),
        (Phase.MOUNTED, Happening.ECHO),
    }
    assert ((phase, happening) in TABLE) is ((phase, happening) not in impossible)


def test_the_table_never_goes_back() -> None:
    """Each step leads on, or stays; over is what is finished, or left; only what is mounted is told of."""
    order = list(Phase)
    for (phase, happening), (after, act) in TABLE.items():
        assert order.index(after) >= order.index(phase)
        assert (after is Phase.OVER) is (happening is Happening.FINISHED or act is Act.LEAVE)
        assert (act is Act.TELL) is (phase is Phase.STARTING and after is Phase.MOUNTED)
