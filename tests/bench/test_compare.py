"""The command: what it accepts, what it writes, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

import bench.__main__ as everything
from bench import crowd
from bench.compare import __main__ as command
from bench.compare import alternate
from bench.compare.catalogue import QUICK, WORKS
from bench.compare.contenders import Contender, Kind
from bench.compare.machine import check_disk, facts, fdatasync_seconds, file_system
from bench.compare.options import INTERRUPTED, PAGE, RESULTS, parse
from bench.compare.results import Results
from bench.compare.scratch import scratch
from bench.peers.stubs.generate import PROTOS, ROOT, generate
from bench.peers.system import Unavailable
from tests.bench.toys import Absent, Toy, generator, results

Answer = tuple[list[Contender], dict[str, str]]


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody who takes part is a toy."""
    systems = {"Chubby": Toy, "etcd": Toy}
    monkeypatch.setattr(command, "SYSTEMS", systems)
    monkeypatch.setattr(alternate, "SYSTEMS", systems)
    found = [generator("Chubby", "chubby"), generator("etcd", "etcd-python", Kind.PYTHON)]
    monkeypatch.setattr(command, "contenders_of", lambda options, build: (found, {}))


def words(place: Path, *more: str) -> list[str]:
    """A command line that writes below `place`."""
    docs = place / "docs"
    return ["--data", f"{place}/data", "--results", f"{docs}/r/results.json", "--page", f"{docs}/page.md", *more]


# ------------------------------------------------------------------------------------------------------------- options


def test_by_default_everything_is_measured_three_times_into_the_docs() -> None:
    """What `make bench-peers` does."""
    options = parse([])
    assert options.works == tuple(work.key for work in WORKS)
    assert (options.rounds, options.page, options.results) == (3, PAGE, RESULTS)


def test_alone_is_short() -> None:
    """Once, without what takes long: two minutes in all."""
    options = parse(["--alone"])
    assert (options.works, options.rounds) == (QUICK, 1)
    shortened = command.works_of(options)
    assert sum(point.seconds + 1.5 for work in shortened for point in work.points) < 100


def test_seconds_are_those_of_every_point() -> None:
    """For a first try."""
    (work,) = command.works_of(parse(["writes", "--seconds", "0.5"]))
    assert {point.seconds for point in work.points} == {0.5}


def test_a_work_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the names of those that are."""
    with pytest.raises(SystemExit):
        parse(["nonsense"])
    assert "contended_lock" in capsys.readouterr().err


def test_only_some_contenders_may_be_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their keys; compilers are not there in this test, and that is said."""

    def unavailable(into: Path) -> tuple[Contender, Contender]:
        raise Unavailable("no compiler")

    monkeypatch.setattr(command, "etcd_compiled", unavailable)
    monkeypatch.setattr(command, "zookeeper_compiled", unavailable)
    monkeypatch.setattr(command, "SYSTEMS", {"Chubby": Toy, "etcd": Toy, "ZooKeeper": Absent})
    found, missing = command.contenders_of(parse([]), tmp_path)
    assert [contender.key for contender in found] == ["chubby", "etcd-python"]
    assert missing["ZooKeeper"] == "toys are sold out"
    assert list(missing.values()).count("no compiler") == 2
    found, _ = command.contenders_of(parse(["--only", "etcd-python"]), tmp_path)
    assert [contender.key for contender in found] == ["etcd-python"]


# ---------------------------------------------------------------------------------------------------------- a whole run


def test_a_run_writes_results_page_and_charts_and_leaves_no_data(toys: None, tmp_path: Path) -> None:
    """With two contenders that are toys."""
    assert command.main(words(tmp_path, "writes", "--rounds", "2")) == 0
    made = Results.load(tmp_path / "docs/r/results.json")
    assert {len(series.measured) for series in made.series} == {2}
    page = (tmp_path / "docs/page.md").read_text()
    assert "1.00 × (≥ 2: **missed**)" in page
    assert "(r/writes.svg)" in page
    assert (tmp_path / "docs/r/writes.svg").exists()
    assert list((tmp_path / "data").iterdir()) == []


def test_a_page_can_be_written_again_and_has_the_sessions_too(toys: None, tmp_path: Path) -> None:
    """From the JSON alone."""
    results(ours=(4.0,), python_a=(1.0,)).save(tmp_path / "docs/r/results.json")
    results(ours=(5.0,)).save(tmp_path / "docs/r/sessions.json")
    assert command.main(words(tmp_path, "--render")) == 0
    assert (tmp_path / "docs/page.md").read_text().count("## Fan-out") == 2


def test_alone_prints_a_table_and_writes_nothing(
    toys: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody's documentation changes by `make bench`."""
    assert command.main(words(tmp_path, "--alone", "writes")) == 0
    assert "Writes of 100 bytes" in capsys.readouterr().out
    assert not (tmp_path / "docs").exists()


def test_nobody_to_compare_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is somebody missing, after the rest was measured."""
    nobody: Answer = ([], {})
    monkeypatch.setattr(command, "contenders_of", lambda options, build: nobody)
    assert command.main(words(tmp_path)) == command.COULD_NOT


def test_who_was_missing_shows_in_the_exit_code(toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others' figures are there."""
    some: Answer = ([generator("Chubby", "chubby")], {"ZooKeeper": "no Java"})
    monkeypatch.setattr(command, "contenders_of", lambda options, build: some)
    assert command.main(words(tmp_path, "writes", "--rounds", "1")) == command.COULD_NOT
    assert "**ZooKeeper did not take part**: no Java" in (tmp_path / "docs/page.md").read_text()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_neither_process_nor_data(
    sent: signal.Signals, toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way it is asked to end."""
    toy = generator("Chubby", "chubby")
    slow = Contender(toy.key, toy.title, toy.system, toy.kind, _sleeping(tmp_path / "began", sent))
    monkeypatch.setattr(command, "contenders_of", lambda options, build: ([slow], {}))
    assert command.main(words(tmp_path, "writes")) == INTERRUPTED
    assert list((tmp_path / "data").iterdir()) == []
    pid = int((tmp_path / "began").read_text())
    assert not Path(f"/proc/{pid}").exists()


def _sleeping(began: Path, sent: signal.Signals) -> tuple[str, ...]:
    """A generator that signals who started it, and then sleeps."""
    program = (
        "import os, signal, sys\n"
        f"open({str(began)!r}, 'w').write(str(os.getpid()))\n"
        f"os.kill(os.getppid(), {int(sent)})\n"
        "signal.pause()\n"
    )
    return (sys.executable, "-c", program)


# ------------------------------------------------------------------------------------------------------------- machine


def test_the_machine_is_told(tmp_path: Path) -> None:
    """By facts that matter to figures."""
    found = facts(tmp_path)
    assert list(found) == ["processors", "memory", "system", "disk", "Python"]
    assert "fdatasync" in found["disk"]
    assert "kazoo" in found["Python"]
    assert list(tmp_path.iterdir()) == []


def test_an_fdatasync_takes_time(tmp_path: Path) -> None:
    """Some."""
    assert 0 < fdatasync_seconds(tmp_path) < 10


def test_a_directory_in_memory_is_refused() -> None:
    """There an fsync proves nothing."""
    assert file_system(Path("/proc")) == "proc"
    if file_system(Path("/dev/shm")) == "tmpfs":
        with pytest.raises(Unavailable, match="--data"):
            check_disk(Path("/dev/shm"))


def test_a_scratch_is_gone_and_signals_are_as_before(tmp_path: Path) -> None:
    """Whatever was written there."""
    before = signal.getsignal(signal.SIGTERM)
    with scratch(tmp_path / "data") as place:
        (place / "file").write_text("x")
        assert signal.getsignal(signal.SIGTERM) is not before
    assert not place.exists()
    assert signal.getsignal(signal.SIGTERM) is before


# ----------------------------------------------------------------------------------------------------- other commands


def test_the_stubs_of_etcd_are_what_its_protocol_generates(tmp_path: Path) -> None:
    """Nobody has changed them by hand."""
    generate(tmp_path)
    fresh = sorted(tmp_path.rglob("*_pb2*"))
    assert len(fresh) == 4 * len(PROTOS)
    for file in fresh:
        assert file.read_bytes() == (ROOT / file.relative_to(tmp_path)).read_bytes()


def test_make_bench_is_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other measurements by their names; of several the worst exit code."""
    asked: list[Sequence[str]] = []

    def main(arguments: Sequence[str]) -> int:
        asked.append(arguments)
        return 0

    monkeypatch.setattr(command, "main", main)
    monkeypatch.setitem(everything.BENCHES, "mount", lambda: 1)
    assert everything.main([]) == 0
    assert asked == [["--alone"]]
    assert everything.main(["alone", "mount"]) == 1
    assert everything.main(["nonsense"]) == 64


def test_a_small_crowd_comes_back_after_a_fail_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real sessions on a real cell: every figure is there, and the sessions survived."""
    monkeypatch.setattr(crowd, "STRETCH", 0.1)
    monkeypatch.setattr(crowd, "IDLE", 0.5)
    found = dict(crowd.measure_crowd(3, tmp_path / "cell"))
    assert list(found) == [topic.key for topic in crowd.TOPICS]
    assert 0 < found["sessions_back"].figure < 60
    assert found["sessions_write"].figure > 0
    assert not (tmp_path / "cell").exists()
    assert threading.active_count() < 50


def test_a_generator_runs_by_itself() -> None:
    """Words in, a line out; a client that nobody knows is an error."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", "nobody", "workload=writes", "endpoints=x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no client nobody: there are chubby" in done.stderr
