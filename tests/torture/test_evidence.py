"""All verdicts on a run, from its files: a small run in which all is well, and each way in which it may be spoilt."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from tests.checking.verdict import Judgement
from tests.torture.evidence import Evidence, Verdicts, verdicts
from tests.torture.judge import Judged
from tests.torture.plan import Kind
from tests.torture.recording import Recorder
from tests.torture.report import Summary, table
from tests.torture.store import SetKind
from tests.torture.work_appends import fingerprint


@pytest.fixture
def good(tmp_path: Path) -> Evidence:
    """One client that did one thing of each kind."""
    file = tmp_path / "c.jsonl"
    recorder = Recorder(file)

    def did(verb: str, place: str, said: str, contents: str, **more: int) -> None:
        number = recorder.begin("c", verb, place, contents=contents)
        recorder.end(number, said, generations=tuple(more.values()))

    number = recorder.begin("c", "may_create", "/append-0", contents=fingerprint(b""))
    recorder.end(number, "made", instance=7, made=3)
    number = recorder.begin(
        "c", "append", "/append-0", contents=fingerprint(b"e\n"), expected=(1,), instance=7, owner="e"
    )
    recorder.end(number, "wrote", generations=(2,), made=4)
    did("line", "lines-0", "written", "one line")
    did("count", "counter", "counted", "", number=1)
    for kind in SetKind:
        did("add", kind.value, "added", f"{kind.value}-1")
        did("add", kind.value, "refused", f"{kind.value}-2")
    recorder.close()
    return Evidence(
        files=[file],
        sets={kind: [f"{kind.value}-1"] for kind in SetKind},
        appends={"/append-0": ["e"]},
        lines={"/lines-0": ["one line"]},
        counter=1,
    )


def wrong(evidence: Evidence) -> set[str]:
    """What did not pass."""
    return {each.name for each in verdicts(evidence).judged if not each.passed}


def test_all_is_well(good: Evidence) -> None:
    """Nothing is found, and everything was looked at."""
    found = verdicts(good)
    assert found.passed and not wrong(good)
    names = {each.name for each in found.judged}
    assert {"/append-0", "entries of /append-0", "lines of /lines-0", "counter of the mounts", "set fenced"} <= names
    assert all((fate.acknowledged, fate.refused, fate.lost) == (1, 1, ()) for fate in found.sets.values())


@pytest.mark.parametrize(
    ("spoilt", "name"),
    [
        ({"appends": {"/append-0": []}}, "entries of /append-0"),
        ({"appends": {"/append-0": ["x"]}}, "versions of appended files"),
        ({"appends": {}}, "entries of /append-0"),
        ({"lines": {"/lines-0": []}}, "lines of /lines-0"),
        ({"lines": {}}, "lines of /lines-0"),
        ({"counter": 0}, "counter of the mounts"),
        ({"counter": 2}, "counter of the mounts"),
        ({"sets": {SetKind.FENCED: []}}, "set fenced"),
        ({"sets": {SetKind.FENCED: ["fenced-1", "fenced-2"]}}, "set fenced"),
        ({"sets": {SetKind.CELL_FENCED: []}}, "set cell_fenced"),
        ({"sets": {SetKind.BARE: ["bare-1", "made up"]}}, "set bare"),
    ],
)
def test_what_is_spoilt_is_found(good: Evidence, spoilt: dict[str, object], name: str) -> None:
    """Each kind of work has its judge."""
    assert name in wrong(msgspec.structs.replace(good, **spoilt))


def test_without_fencing_a_loss_is_measured_and_not_held_against_anyone(good: Evidence) -> None:
    """It is the point of the workload."""
    lossy = msgspec.structs.replace(good, sets={**good.sets, SetKind.BARE: [], SetKind.CELL_BARE: []})
    found = verdicts(lossy)
    assert found.passed
    assert found.sets[SetKind.BARE].lost == ("bare-1",)


def test_an_answer_that_tells_of_a_bug_is_found(good: Evidence) -> None:
    """Also when nothing else came of it."""
    recorder = Recorder(good.files[0].with_name("d.jsonl"))
    recorder.end(recorder.begin("d", "look", "/append-0"), "InternalError")
    recorder.close()
    more = msgspec.structs.replace(good, files=[*good.files, good.files[0].with_name("d.jsonl")])
    assert wrong(more) == {"answers that tell of a bug"}


def summary(good: Evidence, *findings: str) -> Summary:
    """Of a run with two faults."""
    return Summary(
        seed=7,
        seconds=60,
        recovery=2.5,
        faults={Kind.KILL: 2},
        notes={"stopped by a full disk": 1},
        frames={"lost": 3},
        calls={"files": (100, 5)},
        errors={"NoQuorum": 5},
        slept=4,
        overslept=3,
        findings=findings,
        verdicts=verdicts(good),
    )


def test_the_table_tells_all(good: Evidence) -> None:
    """Faults by kind, those that did not happen too; calls; additions and losses; each verdict; the last word."""
    text = table(summary(good))
    for kind in Kind:
        assert kind.value in text
    for words in ("seed 7", "stopped by a full disk", "100 (5)", "file of the cell, TokenIs", "2.5 s after", "right"):
        assert words in text
    assert text.endswith("GREEN")


def test_verdicts_that_are_alike_share_a_line(good: Evidence) -> None:
    """Twenty files that are right are one line; one that is not has its own, with the reasons."""
    judged = [Judged(f"/append-{number}", 10, Judgement.LINEARIZABLE) for number in range(20)]
    judged.append(Judged("/append-20", 10, Judgement.BROKEN, "lost\nbadly"))
    text = table(msgspec.structs.replace(summary(good), verdicts=Verdicts(tuple(judged), {})))
    assert re.search(r"/append-\* +200  right \(20 of them\)\n +/append-20 +10  WRONG\n +lost\n +badly", text)


def test_a_finding_makes_it_red(good: Evidence) -> None:
    """Even if every history is right; so do no verdicts at all, and a verdict against."""
    assert table(summary(good, "replica 3 ended by itself")).endswith("RED")
    assert "FOUND: replica 3 ended by itself" in table(summary(good, "replica 3 ended by itself"))
    assert not msgspec.structs.replace(summary(good), verdicts=None).passed
    lossy = msgspec.structs.replace(good, sets={**good.sets, SetKind.FENCED: []})
    text = table(summary(lossy))
    assert text.endswith("RED") and "WRONG" in text and "acknowledged and lost" in text
