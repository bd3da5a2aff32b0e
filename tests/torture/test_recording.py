"""What is written down can be read again, whatever became of the writer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.recording import Begun, Ended, Met, Recorder, Sure, Tally, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where it is written."""
    return tmp_path / "x.jsonl"


@pytest.fixture
def recorder(file: Path) -> Iterator[Recorder]:
    """Who writes it."""
    made = Recorder(file)
    yield made
    made.close()


def test_what_is_written_is_read(file: Path, recorder: Recorder) -> None:
    """Each kind of line, each field."""
    number = recorder.begin("c", "write", "/a", "/b", contents="x", expected=(1, 2), instance=3, owner="o", token=4)
    recorder.end(number, "wrote", instance=5, generations=(6,), contents="y", made=7, saw=8, token=9)
    recorder.sure("c", 10)
    recorder.met("c", "session")
    begun, ended, sure, met = read(file)
    assert isinstance(begun, Begun) and isinstance(ended, Ended) and isinstance(met, Met)
    assert begun == Begun(1, "c", begun.at, "write", ("/a", "/b"), "x", (1, 2), 3, "o", 4)
    assert ended == Ended(1, ended.at, "wrote", 5, (6,), "y", 7, 8, 9)
    assert begun.at < ended.at < met.at
    assert sure == Sure("c", 10)


def test_numbers_name_calls(recorder: Recorder) -> None:
    """Each begin has its own."""
    assert [recorder.begin("c", "look", "/a") for _ in range(3)] == [1, 2, 3]


def test_a_line_that_was_not_finished_is_left_out(file: Path, recorder: Recorder) -> None:
    """Its writer was killed; what it had begun before is there."""
    recorder.begin("c", "look", "/a")
    with file.open("ab") as stream:
        stream.write(b'{"type":"end')
    assert [type(line) for line in read(file)] == [Begun]


def test_a_tally_reads_what_was_added(file: Path, recorder: Recorder) -> None:
    """Answers, errors by name, and since when it has been served."""
    tally = Tally(file)
    tally.look()
    assert (tally.answered, tally.failed, tally.latest) == (0, 0, 0)
    first = recorder.begin("c", "look", "/a")
    tally.look()
    assert tally.answered == 0
    recorder.end(first, "view")
    second = recorder.begin("c", "look", "/a")
    recorder.end(second, "NoQuorum")
    tally.look()
    tally.look()
    assert (tally.answered, tally.failed, tally.errors) == (1, 1, {"NoQuorum": 1})
    begun = next(read(file))
    assert isinstance(begun, Begun) and tally.latest == begun.at


def test_a_tally_waits_for_the_end_of_a_line(file: Path) -> None:
    """It may look while somebody writes."""
    tally = Tally(file)
    line = b'{"type":"begun","number":1,"client":"c","at":5,"verb":"look","paths":["/a"]}\n'
    with file.open("ab", buffering=0) as stream:
        stream.write(line[:20])
        tally.look()
        stream.write(line[20:])
        tally.look()
    assert tally.begun == {1: 5}
