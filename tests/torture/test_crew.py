"""Who takes part in a run, where, and who has been served since when."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.torture.crew import MOUNTS, ON_MOUNTS, PLACES, Crew
from tests.torture.machines import Machine
from tests.torture.recording import Recorder, Tally, now


@pytest.fixture
def crew(tmp_path: Path) -> Crew:
    """Of a cell at two addresses; nobody runs."""
    machines = {number: Machine(number, 40 + number, -1) for number in (101, 102, 103)}
    return Crew(machines, ["10.77.0.1:1", "10.77.0.2:1"], tmp_path / "cell.toml", tmp_path, seed=7)


def test_everybody_has_a_name_and_a_place(crew: Crew) -> None:
    """Each client on its own machine; a program of each kind on each mount."""
    names = [client.name for client in crew.everybody]
    assert len(set(names)) == len(names)
    found = Counter(client.program for client in crew.clients)
    assert found == {program: len(places) for program, places in PLACES.items()}
    assert Counter(worker.program for worker in crew.workers) == dict.fromkeys(ON_MOUNTS, len(MOUNTS))
    for client in crew.clients:
        number = 100 + int(client.name[-1])
        assert f"fd/{40 + number}" in client._command[1], "in the network of that machine"
        assert client._command[-1] == "10.77.0.1:1,10.77.0.2:1"
    for mount in crew.mounts:
        assert mount.machine.name in mount.directory.name


def served(crew: Crew, name: str, said: str) -> int:
    """That client makes a call, and is told this; when it began."""
    client = next(each for each in crew.everybody if each.name == name)
    file = crew.history / f"{name}-{len(client.tallies)}.jsonl"
    recorder = Recorder(file)
    began = now()
    recorder.end(recorder.begin(name, "look", "/a"), said)
    recorder.close()
    client.tallies.append(Tally(file))
    return began


def test_who_is_idle(crew: Crew) -> None:
    """Whoever was not answered well since: an error does not count, nor does what was begun before."""
    assert len(crew.idle(since=0)) == len(crew.everybody)
    served(crew, "files-c1", "view")
    calm = now()
    served(crew, "files-c2", "view")
    served(crew, "files-c3", "NoQuorum")
    idle = crew.idle(since=calm)
    assert {"files-c1", "files-c3"} <= set(idle)
    assert "files-c2" not in idle
    assert crew.look()["files"] == (2, 1)
    assert crew.errors() == {"NoQuorum": 1}


def test_all_lives_of_a_client_count(crew: Crew) -> None:
    """It was killed and followed by another one."""
    calm = now()
    served(crew, "files-c1", "view")
    served(crew, "files-c1", "NoQuorum")
    assert "files-c1" not in crew.idle(since=calm)
    assert crew.look()["files"] == (1, 1)
