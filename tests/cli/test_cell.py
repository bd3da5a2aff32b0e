"""`chubby cell`: formatting, and one real replica from start to stop."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chubby.cli import exits
from chubby.cli.main import chubby
from chubby.config.load import load_cell
from chubby.daemon.founding import first_incarnation
from chubby.storage.directory import Condition, DataDirectory
from chubby.storage.files import OsFiles
from tests.cli.configured import configured

LIMIT = 60.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A cell of three replicas below `tmp_path`."""
    return configured(tmp_path / "three.toml", 3, tmp_path / "data")


def typed(*arguments: str) -> Result:
    """Run `chubby cell` with these arguments."""
    return CliRunner().invoke(chubby, ["cell", *arguments])


def condition(directory: Path, replica: int) -> Condition:
    """What a data directory holds."""
    with DataDirectory(OsFiles(str(directory)), replica) as opened:
        return opened.inspect().condition


def test_format_makes_all_directories_of_one_cell(config: Path, tmp_path: Path) -> None:
    """DESIGN §3: formatting is explicit; the second time nothing is touched."""
    result = typed("format", "--config", str(config))
    assert result.exit_code == exits.OK
    assert result.output.startswith("formatted cell three, number 0x")
    cell = int(result.output.split()[-1], 0)
    for number in (1, 2, 3):
        with DataDirectory(OsFiles(str(tmp_path / "data" / f"replica-{number}")), number) as directory:
            opened = directory.open()
            assert opened.identity.cell == cell
            assert opened.identity.incarnation == first_incarnation(cell, number)
    again = typed("format", "--config", str(config))
    assert (again.exit_code, again.stdout) == (exits.NO, "")
    assert again.stderr == f"chubby: {tmp_path}/data/replica-1 is not empty; nothing was formatted\n"


def test_one_lost_directory_is_never_formatted_with_the_others(config: Path, tmp_path: Path) -> None:
    """DESIGN §3 Incarnations: an empty directory among others is a lost disk, and an empty directory never votes."""
    data = tmp_path / "elsewhere"
    assert typed("format", "--config", str(config), "--data", str(data)).exit_code == exits.OK
    for file in sorted((data / "replica-2").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    assert typed("format", "--config", str(config), "--data", str(data)).exit_code == exits.NO
    assert condition(data / "replica-2", 2) is Condition.EMPTY


def test_a_refused_format_changes_nothing(config: Path, tmp_path: Path) -> None:
    """Neither what is in the way nor what is not there; of one replica or of all."""
    data = tmp_path / "elsewhere"
    (data / "replica-3").mkdir(parents=True)
    (data / "replica-3" / "holiday.jpg").write_bytes(b"x")
    for arguments in ([], ["--replica", "3", "--cell-id", "7"]):
        refused = typed("format", "--config", str(config), "--data", str(data), *arguments)
        assert refused.exit_code == exits.NO and f"{data}/replica-3 is not empty" in refused.stderr
    assert sorted(each.name for each in data.rglob("*")) == ["holiday.jpg", "replica-3"]


@pytest.mark.parametrize(
    "command",
    [
        ["format"],
        ["format", "--replica", "1", "--cell-id", "7"],
        ["start"],
        ["recover", "--yes", "--from", "unused"],
    ],
)
def test_no_cell_begins_with_an_even_number_of_replicas(config: Path, tmp_path: Path, command: list[str]) -> None:
    """A clear error that names file, key and remedy; nothing is made."""
    lines = config.read_text().replace("{id = 3,", "# {id = 3,").replace("]\n[storage]", "\n]\n[storage]")
    config.write_text(lines)
    result = typed(*command, "--config", str(config))
    assert result.exit_code == exits.CONFIG
    assert result.stderr == (
        f"chubby: {config}: [cell] replicas: 2 replicas bear no more failures than 1: name an odd number, 1 or 3\n"
    )
    assert not (tmp_path / "data").exists()


def test_format_for_programs(config: Path, tmp_path: Path) -> None:
    """The number that all machines need, as a number."""
    shape = json.loads(typed("format", "--config", str(config), "--json").output)
    assert shape["cell"] == "three" and shape["cell_id"] > 0
    assert shape["directories"] == {str(number): f"{tmp_path}/data/replica-{number}" for number in (1, 2, 3)}


@pytest.mark.parametrize("command", ["format", "start"])
def test_a_place_for_data_that_cannot_be_made(config: Path, tmp_path: Path, command: str) -> None:
    """74 and its name, no traceback."""
    (tmp_path / "file").write_bytes(b"")
    result = typed(command, "--config", str(config), "--data", str(tmp_path / "file" / "below"))
    assert result.exit_code == exits.STORAGE
    assert result.stderr.startswith(f"chubby: {tmp_path}/file/below") and "Not a directory" in result.stderr


def test_format_of_one_replica_on_its_machine(config: Path, tmp_path: Path) -> None:
    """A common number, given to each."""
    for number in (1, 2):
        result = typed("format", "--config", str(config), "--replica", str(number), "--cell-id", "0x2a")
        assert result.exit_code == exits.OK and "number 0x2a" in result.output
        assert condition(tmp_path / "data" / f"replica-{number}", number) is not Condition.EMPTY
    assert not (tmp_path / "data" / "replica-3").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--replica", "1"], "--replica needs --cell-id"),
        (["--replica", "9", "--cell-id", "1"], "has no replica 9"),
        (["--replica", "1", "--cell-id", "x"], "is not a number"),
        (["--replica", "1", "--cell-id", "0"], "between 1 and 2^63 - 1"),
        (["--cell-id", "7"], "--cell-id is for one --replica"),
    ],
)
def test_format_refuses(config: Path, arguments: list[str], complaint: str) -> None:
    """With what is missing."""
    result = typed("format", "--config", str(config), *arguments)
    assert result.exit_code == exits.USAGE and complaint in result.stderr


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    """78, and the file's name."""
    result = typed("start", "--config", str(tmp_path / "none.toml"))
    assert result.exit_code == exits.CONFIG and "none.toml" in result.stderr


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """A cell of one replica."""
    file = configured(tmp_path / "single.toml", 1)
    assert load_cell(file).name == "single"
    return file


def start(single: Path, data: Path, *options: str) -> subprocess.Popen[str]:
    """`chubby cell start`."""
    command = [sys.executable, "-m", "chubby.cli", "cell", "start", "--config", str(single), "--data", str(data)]
    return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture
def running(single: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`chubby cell start` of it, until the test ends."""
    process = start(single, tmp_path / "d")
    yield process
    process.kill()
    process.communicate(timeout=LIMIT)


def lines_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Lines of output up to the one that contains `text`."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or text not in lines[-1]:
        line = process.stdout.readline()
        assert line, f"ended before saying {text!r}: {lines}"
        lines.append(line)
    return lines


def chubby_at(single: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `chubby` against the cell."""
    command = [sys.executable, "-m", "chubby.cli", *arguments, "--config", str(single)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)


def test_a_cell_from_start_to_stop(running: subprocess.Popen[str], single: Path) -> None:
    """Formatted, started, served, shown line by line when piped, stopped by SIGINT with nothing left behind."""
    lines = lines_until(running, "replica 1 (pid")
    replica = int(lines[-1].split("pid ")[1].split(")")[0])
    lines_until(running, ": master\n")
    assert lines[0].startswith("formatted a new cell single")
    assert chubby_at(single, "put", "/svc/addr", "10.0.0.7:80").returncode == exits.OK
    read = chubby_at(single, "cat", "/ls/local/svc/addr")
    assert (read.returncode, read.stdout, read.stderr) == (exits.OK, "10.0.0.7:80", "")
    shape = json.loads(chubby_at(single, "status", "--json").stdout)
    assert (shape["cell"], shape["master"], shape["margin"], shape["serving"]) == ("single", 1, 0, True)
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=LIMIT)
    assert running.returncode == 0
    assert output.splitlines()[-1] == "stopping all replicas"
    with pytest.raises(ProcessLookupError):
        os.kill(replica, 0)
    assert chubby_at(single, "status", "--timeout", "5").returncode == exits.UNAVAILABLE


def test_replicas_do_not_outlive_a_killed_parent(running: subprocess.Popen[str]) -> None:
    """However it is killed."""
    line = lines_until(running, "replica 1 (pid")[-1]
    replica = int(line.split("pid ")[1].split(")")[0])
    lines_until(running, ": master\n")
    pidfd = os.pidfd_open(replica)
    try:
        running.kill()
        ended, _, _ = select.select([pidfd], [], [], LIMIT)
        assert ended
    finally:
        os.close(pidfd)


def test_what_happens_as_json(single: Path, tmp_path: Path) -> None:
    """An object a line, up to the end."""
    process = start(single, tmp_path / "d", "--json")
    try:
        lines_until(process, '"state":"master"')
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        assert json.loads(output.splitlines()[-1]) == {"stopping": True}
    finally:
        process.kill()
        process.communicate(timeout=LIMIT)


def test_a_reader_who_has_seen_enough_ends_the_cell(single: Path, tmp_path: Path) -> None:
    """`chubby cell start | head -1`: 128 + SIGPIPE, and no replica is left."""
    process = start(single, tmp_path / "d")
    try:
        line = lines_until(process, "replica 1 (pid")[-1]
        replica = int(line.split("pid ")[1].split(")")[0])
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(LIMIT) == 128 + signal.SIGPIPE
        with pytest.raises(ProcessLookupError):
            os.kill(replica, 0)
    finally:
        process.kill()
        process.wait(LIMIT)


def test_a_port_that_is_taken_is_told(single: Path, tmp_path: Path) -> None:
    """Exit code 1, where the log is and how to start again; the log says why."""
    address = load_cell(single).replicas[0].client
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        process = start(single, tmp_path / "d")
        output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == exits.NO
    line = next(line for line in output.splitlines() if "start it again with" in line)
    assert "replica 1 ended (exit code 78)" in line and f"its log is {tmp_path}/d/replica-1.log" in line
    assert address in (tmp_path / "d" / "replica-1.log").read_text()
