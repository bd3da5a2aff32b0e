"""Campaigns: what libFuzzer says becomes a table, what it finds becomes a regression, Ctrl-C ends it in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fuzzing import __main__ as program
from tests.fuzzing import campaign, kept
from tests.fuzzing.campaign import Interruption, Report, absorb, fuzz, sentence, table
from tests.fuzzing.table import TARGETS
from tests.house.sources import ROOT

ENGINE = """
import pathlib, sys, signal
corpus, artifacts, deed = sys.argv[1:]
print("#1\\tINITED cov: 7 ft: 8 corp: 1/1b exec/s: 0 rss: 40Mb", flush=True)
print("#2048\\tNEW    cov: 31 ft: 40 corp: 9/2Kb lim: 4 exec/s: 100 rss: 41Mb L: 1/1 MS: 1 ChangeBit-", flush=True)
if deed == "crash":
    pathlib.Path(artifacts, "crash-0123").write_bytes(b"boom")
    sys.exit(77)
if deed == "die":
    print("no such module", flush=True)
    sys.exit(3)
if deed == "wait":
    signal.pause()
print("stat::number_of_executed_units: 5000")
"""
"""Speaks as libFuzzer does."""


def engine(deed: str) -> campaign.Command:
    """The command of a made-up engine."""

    def command(target: str, corpus: Path, artifacts: Path, seconds: int) -> Sequence[str]:
        return (sys.executable, "-c", ENGINE, str(corpus), str(artifacts), deed)

    return command


def run(deed: str, folder: Path) -> Report:
    """What is reported of one target."""
    with Interruption() as interruption:
        return fuzz("paths", 1, folder, lambda _: None, interruption, command=engine(deed), regressions=folder / "kept")


def test_lines_of_libfuzzer_are_absorbed() -> None:
    """Runs, edges, inputs; the total at the end; anything else says nothing."""
    report = absorb(Report("paths"), "#2048\tNEW    cov: 31 ft: 40 corp: 9/2Kb lim: 4 exec/s: 100 rss: 41Mb")
    assert report == Report("paths", 2048, 31, 9)
    assert absorb(report, "stat::number_of_executed_units: 5000").runs == 5000
    assert absorb(report, "INFO: Seed: 4711") == report


def test_an_engine_that_finds_nothing(tmp_path: Path) -> None:
    """Its figures, and no trouble."""
    report = run("nothing", tmp_path)
    assert (report.runs, report.coverage, report.corpus, report.found, report.trouble) == (5000, 31, 9, (), "")


def test_a_finding_becomes_a_regression(tmp_path: Path) -> None:
    """Under the name of its content, and no longer where libFuzzer left it."""
    report = run("crash", tmp_path)
    assert report.found == (f"crash: {tmp_path / 'kept' / 'paths' / kept.name_of(b'boom')}",)
    assert kept.inputs(tmp_path / "kept", "paths") == {kept.name_of(b"boom"): b"boom"}
    assert not report.trouble and not list((tmp_path / "found" / "paths").iterdir())


def test_an_engine_that_dies_says_its_last_words(tmp_path: Path) -> None:
    """An import that fails is no clean run."""
    assert "no such module" in run("die", tmp_path).trouble


def test_tables_and_sentences_say_it_all() -> None:
    """One line while it runs, one row at the end."""
    report = Report("paths", 5000, 31, 9, 10.0, ("crash: x",))
    assert "5,000 runs" in sentence(report) and "500/s" in sentence(report)
    assert table([report]).endswith("| `paths` | 5,000 | 10 | 31 | 9 | 1 |")


@pytest.mark.parametrize(("deed", "code"), [("nothing", 0), ("die", 2)])
def test_exit_codes(deed: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 nothing found, 2 could not be done. The corpus begins with what is known."""
    asked = program.arguments(["paths", "tickets", "--work", str(tmp_path), "--minutes", "0.01"])
    assert program.run(asked, engine(deed)) == code
    said = capsys.readouterr().out
    assert "| `paths` |" in said and "| `tickets` |" in said
    planted = kept.inputs(tmp_path / "corpus", "paths").values()
    assert set(TARGETS["paths"].samples()) <= set(planted)


def test_ctrl_c_ends_the_engine_and_shows_the_table(tmp_path: Path) -> None:
    """Exit code 130, the figures so far, and no process left behind."""
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.fuzzing import __main__ as program
from tests.fuzzing.test_campaign import engine
sys.exit(program.run(program.arguments(["paths", "tickets", "--work", {str(tmp_path)!r}]), engine("wait")))
"""
    with subprocess.Popen([sys.executable, "-u", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        watch = threading.Timer(60, process.kill)
        watch.start()
        try:
            while not list((tmp_path / "found").glob("paths")):
                assert process.poll() is None
                os.sched_yield()
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            while not (engines := children.read_text().split()):
                os.sched_yield()
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate()
        finally:
            watch.cancel()
    assert process.returncode == 130 and "| `paths` |" in said
    assert not any(Path(f"/proc/{pid}").exists() for pid in engines)


def test_replaying_says_what_comes_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sense, refusal with its cost; a file that is not there is an error of its own."""
    good, bad = kept.keep(tmp_path, "paths", b"\0/a"), kept.keep(tmp_path, "paths", b"\0a")
    assert program.main(["paths", "--replay", str(good)]) == 0
    assert program.main(["paths", "--replay", str(bad)]) == 0
    said = capsys.readouterr().out
    assert "made sense of" in said and "refused: BadPath" in said and "bytes of memory" in said


def test_unknown_targets_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the names of those there are."""
    with pytest.raises(SystemExit):
        program.main(["pathz"])
    assert "session_stream" in capsys.readouterr().err
    assert program.main(["--list"]) == 0
    assert all(name in capsys.readouterr().out for name in ["paths"])


def test_without_atheris_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words, with exit code 2."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert program.main(["paths"]) == 2
    assert "pip install -e '.[fuzz]'" in capsys.readouterr().err
