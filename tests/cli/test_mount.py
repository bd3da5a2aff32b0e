"""`chubby mount` and `chubby unmount`: what is refused before anything starts, and everything else for real."""

from __future__ import annotations

import configparser
import fcntl
import os
import re
import select
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from chubby.cli import exits
from chubby.cli.main import chubby
from chubby.cli.mount import EXITS, mount_command
from chubby.config import cell_names
from fuse_mount import mount_table
from fuse_mount.troubles import Trouble
from tests.cli.mounts import PATIENCE, Machine, cell, here, nobody
from tests.integration.cells import alive, free_ports, wait_for

__all__ = ["cell", "here", "nobody"]

ROOT = Path(__file__).resolve().parents[2]


def typed(*words: str) -> Result:
    """Type `chubby` and these words, in this process: only what fails before it starts anything."""
    return CliRunner().invoke(chubby, words, prog_name="chubby")


# ----------------------------------------------------------------------------------------- refused before it starts


def test_directories_that_will_not_do(nobody: Path) -> None:
    """64, and what to do."""
    (nobody / "note").write_text("x")
    for name, complaint in (("none", "is not there: make the directory first"), ("place", "is not empty (note, ...)")):
        result = typed("mount", name)
        assert result.exit_code == exits.USAGE
        assert result.stderr.startswith(f"chubby: {nobody.parent}/{name}") and complaint in result.stderr


def test_a_cell_that_is_nowhere(nobody: Path) -> None:
    """78, and where it was looked for."""
    result = typed("mount", "place")
    assert result.exit_code == exits.CONFIG and "no configuration of the cell 'local'" in result.stderr
    assert typed("mount", "--config", "none.toml", "place").exit_code == exits.CONFIG
    assert typed("mount", "--cell", "a b", "place").exit_code == exits.USAGE
    assert typed("mount", "--address", "nonsense", "place").exit_code == exits.USAGE


@pytest.mark.parametrize("option", [["--cell", "x"], ["--config", "x"], ["--address", "a:1"]])
def test_all_cells_and_one_of_them(nobody: Path, option: list[str]) -> None:
    """A contradiction is not guessed away."""
    result = typed("mount", "--all", *option, "place")
    assert result.exit_code == exits.USAGE and "--all shows the configured cells" in result.stderr


def test_a_log_that_cannot_be_written(nobody: Path) -> None:
    """74, before anything starts."""
    result = typed("mount", "--address", "127.0.0.1:1", "--log", "none/log", "place")
    assert (result.exit_code, result.stderr) == (exits.STORAGE, "chubby: none/log: No such file or directory\n")


def test_unmounting_what_is_not_mounted(nobody: Path) -> None:
    """1: the answer is no. 64: it is not for us."""
    assert typed("unmount", "place").stderr == f"chubby: nothing is mounted at {nobody}\n"
    assert typed("unmount", "place").exit_code == exits.NO
    foreign = typed("unmount", "/proc")
    assert foreign.exit_code == exits.USAGE and "use umount" in foreign.stderr


def test_each_trouble_has_an_exit_code_of_the_table() -> None:
    """And those that a script tells apart differ."""
    assert set(EXITS) == set(Trouble)
    assert set(EXITS.values()) <= {exits.NO, exits.USAGE, exits.UNAVAILABLE, exits.TRY_AGAIN, exits.NO_PERMISSION}
    assert len({EXITS[trouble] for trouble in (Trouble.NOT_MOUNTED, Trouble.BUSY, Trouble.DIRECTORY)}) == 3


# ---------------------------------------------------------------------------------------------------------- for real


@pytest.mark.fuse
def test_from_mount_to_unmount(here: Machine) -> None:
    """In the background: mounted when the command returns, its session closed when the other one does."""
    assert here.run("mount", "place") == (exits.OK, "")
    (here.place / "svc").mkdir()
    (here.place / "svc" / "addr").write_text("10.0.0.7:80")
    process = here.server()
    assert os.getsid(process) == process and len(here.new_sessions()) == 1
    with here.cell.connect() as session, session.open("/ls/test/svc/addr") as handle:
        assert handle.get_contents_and_stat()[0] == b"10.0.0.7:80"
    assert here.run("mount", "place") == (exits.NO, f"chubby: local is mounted at {here.place} already\n")
    assert here.run("unmount", "place") == (exits.OK, "")
    assert not here.mounted() and not alive(process) and not here.new_sessions()
    assert here.run("unmount", "place")[0] == exits.NO


@pytest.mark.fuse
@pytest.mark.parametrize("how", ["config", "address", "cell"])
def test_the_cell_is_found_as_by_other_commands(here: Machine, how: str) -> None:
    """By a file that is named relative to here, by addresses, by a name in ./cell_config; the table shows which."""
    del here.environment["CHUBBY_CONFIG"]
    (here.directory / "cell_config").mkdir()
    (here.directory / "cell_config" / "test.toml").write_bytes(here.cell.file.read_bytes())
    relative = os.path.relpath(here.cell.file, here.directory)
    words, source = {
        "config": (["--config", relative], f"{here.directory}/{relative}"),
        "address": (["--address", here.cell.addresses[0]], here.cell.addresses[0]),
        "cell": (["--cell", "test"], "test"),
    }[how]
    assert here.run("mount", *words, "place") == (exits.OK, "")
    mount = mount_table.at(str(here.place))
    assert mount is not None and mount.source == source
    assert here.run("unmount", "place") == (exits.OK, "")


@pytest.mark.fuse
def test_options_of_the_mount(here: Machine) -> None:
    """Read-only, for others, over what is there, with a log."""
    (here.place / "hidden").write_text("x")
    words = ["--read-only", "--allow-other", "--nonempty", "--log", "log"]
    assert here.run("mount", *words, "place") == (exits.OK, "")
    line = next(line for line in mount_table.TABLE.read_text().splitlines() if f" {here.place} " in line)
    assert " ro," in line and "allow_other" in line
    assert not (here.place / "hidden").exists()
    assert here.run("unmount", "place") == (exits.OK, "")
    assert (here.place / "hidden").exists()
    log = (here.directory / "log").read_text()
    assert f"local is mounted at {here.place}" in log and f"{here.place} is unmounted" in log


@pytest.mark.fuse
def test_a_mount_in_use(here: Machine) -> None:
    """75 and by whom; with --lazy it goes at once, and its process with the last user."""
    here.run("mount", "place")
    process = here.server()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd=here.place) as inside:
        code, said = here.run("unmount", "place")
        assert code == exits.TRY_AGAIN and f"cat (process {inside.pid}" in said and "--lazy" in said
        assert here.run("unmount", "--lazy", "place")[0] == exits.OK
        assert not here.mounted() and alive(process)
    wait_for(lambda: not alive(process), "the end of its process")


@pytest.mark.fuse
def test_a_mount_whose_process_was_killed(here: Machine) -> None:
    """libfuse clears it; if it is left stale nevertheless, `chubby unmount` does, and a new one can be mounted."""
    here.run("mount", "place")
    os.kill(here.server(), signal.SIGKILL)
    wait_for(lambda: not here.mounted(), "libfuse")
    assert here.run("mount", "place") == (exits.OK, "")
    helpers = [found for found in fusermounts() if str(here.place) in found[1]]
    assert len(helpers) == 1, "the helper that unmounts when its process is killed"
    os.kill(helpers[0][0], signal.SIGKILL)
    process = here.server()
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: not alive(process), "its end")
    code, said = here.run("mount", "place")
    assert code == exits.USAGE and "clear it away with `chubby unmount place`" in said
    assert here.run("unmount", "place")[0] == exits.OK
    assert here.run("mount", "place") == (exits.OK, "")
    assert here.run("unmount", "place") == (exits.OK, "")


def fusermounts() -> list[tuple[int, str]]:
    """The helpers of libfuse that wait for the end of a mount's process."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and alive(int(process.name)):
            words = (process / "cmdline").read_text().split("\0")
            if words[0].endswith("fusermount3"):
                found.append((int(process.name), " ".join(words)))
    return found


@pytest.mark.fuse
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_in_the_foreground(here: Machine, number: signal.Signals) -> None:
    """It stays, logs to stderr, and is unmounted by a signal: locks are free at once, and that is success."""
    process = here.start("mount", "--foreground", "place")
    try:
        here.wait_mounted()
        assert here.server() == process.pid
        with (here.place / "lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == exits.OK and not here.mounted() and not here.new_sessions()
    assert said.splitlines() == [
        f"chubby: local is mounted at {here.place}",
        f"chubby: unmounting: {number.name} came",
        f"chubby: {here.place} is unmounted",
    ]


@pytest.mark.fuse
def test_in_the_foreground_until_somebody_unmounts_it(here: Machine) -> None:
    """By umount(8), or by us."""
    for command in (["umount"], ["fusermount3", "-u"]):
        process = here.start("mount", "--foreground", "place")
        try:
            here.wait_mounted()
            subprocess.run([*command, str(here.place)], check=True)
            assert process.wait(PATIENCE) == exits.OK
        finally:
            process.kill()
            process.communicate()


@pytest.mark.fuse
def test_systemd_is_told(here: Machine) -> None:
    """Type=notify: READY when it is mounted, and not before."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(here.directory / "notify"))
        listener.settimeout(PATIENCE)
        here.environment["NOTIFY_SOCKET"] = str(here.directory / "notify")
        process = here.start("mount", "--foreground", "place")
        try:
            assert listener.recv(4096).decode().split("\n") == [
                "READY=1",
                f"STATUS=local is mounted at {here.place}",
            ]
            assert here.mounted()
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


@pytest.mark.fuse
@pytest.mark.parametrize("foreground", [[], ["--foreground"]], ids=["", "foreground"])
def test_a_cell_that_does_not_answer(here: Machine, foreground: list[str]) -> None:
    """69 within --timeout, and who was asked; nothing is mounted."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    code, said = here.run("mount", *foreground, "--address", address, "--timeout", "0.5", "place")
    assert code == exits.UNAVAILABLE
    assert re.fullmatch(rf"chubby: no quorum: .*{address}.*\n", said)
    assert not here.mounted()


@pytest.mark.fuse
@pytest.mark.parametrize("foreground", [[], ["--foreground"]], ids=["", "foreground"])
def test_ctrl_c_while_it_waits_for_the_cell(here: Machine, foreground: list[str]) -> None:
    """Nothing is mounted and no process is left, within moments."""
    silent = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{silent.getsockname()[1]}"
    with silent:
        process = here.start("mount", *foreground, "--address", address, "--timeout", "60", "place")
        try:
            assert select.select([silent], [], [], PATIENCE)[0], "it has begun to ask"
            children = wait_for(lambda: family(process.pid, bool(foreground)), "the process of the mount")
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 128 + signal.SIGINT
        finally:
            process.kill()
            process.communicate()
        wait_for(lambda: not any(alive(child) for child in children), "its process to end")
    assert not here.mounted()


def family(process: int, alone: bool) -> list[int]:
    """The process that mounts: it or its child."""
    return (
        [process]
        if alone
        else [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    )


@pytest.mark.fuse
def test_a_machine_without_fuse(here: Machine) -> None:
    """69, and what to install or to do; told at once, before the cell is asked."""
    (here.directory / "dev").mkdir()
    devices = "mount -t tmpfs none dev && mknod dev/null c 1 3 && mknod dev/urandom c 1 9 && mount --move dev /dev"
    code, said = here.run("mount", "place", within=["unshare", "--mount", "sh", "-c", f'{devices} && exec "$@"', "sh"])
    assert (code, said.startswith("chubby: /dev/fuse is not there: ")) == (exits.UNAVAILABLE, True), said


@pytest.mark.fuse
def test_all_cells_as_directories(here: Machine) -> None:
    """The same cell under both its names; one that does not answer keeps nobody from the others."""
    dead = here.cell.file.read_text().replace('"test"', '"dead"').replace(here.cell.addresses[0], "127.0.0.1:1")
    (here.directory / "cell_config").mkdir()
    (here.directory / "cell_config" / "dead.toml").write_text(dead)
    assert here.run("mount", "--all", "--timeout", "1", "place") == (exits.OK, "")
    mount = mount_table.at(str(here.place))
    assert mount is not None and mount.source == "all"
    assert not here.new_sessions(), "nobody has used a cell yet"
    assert {"dead", "local", "test"} <= set(os.listdir(here.place))
    (here.place / "local" / "addr").write_text("10.0.0.7:80")
    assert (here.place / "test" / "addr").read_text() == "10.0.0.7:80"
    with pytest.raises(OSError, match="dead"):
        os.listdir(here.place / "dead")
    with pytest.raises(FileNotFoundError):
        os.listdir(here.place / "unheard-of")
    assert here.run("unmount", "place") == (exits.OK, "")
    assert not here.new_sessions()


@pytest.mark.fuse
def test_no_cell_at_all(here: Machine) -> None:
    """78: there is nothing to show."""
    here.environment.update(CHUBBY_CONFIG="", HOME=str(here.directory))
    if cell_names({}, here.directory):
        here.environment["CHUBBY_CONFIG"] = "none.toml"
        assert here.run("mount", "place")[0] == exits.CONFIG
        return
    code, said = here.run("mount", "--all", "place")
    assert (code, said.startswith("chubby: no cell is configured: ")) == (exits.CONFIG, True)


# --------------------------------------------------------------------------------------------------------- the unit


def unit() -> configparser.ConfigParser:
    """The unit file for systemd."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    parser.read(ROOT / "cell_config" / "chubby-mount@.service")
    return parser


def test_the_unit_says_what_the_command_understands() -> None:
    """Each option of it exists, it stays in the foreground, and is told of when it is mounted."""
    service = unit()["Service"]
    program, command, *words = shlex.split(service["ExecStart"].replace("%i", "staging"))
    assert (program, command, service["Type"]) == ("chubby", "mount", "notify")
    context = mount_command.make_context("mount", words, parent=click.Context(chubby))
    assert context.params["foreground"] and context.params["cell"] == "staging"
    assert context.params["directory"] == "/ls/staging"
    assert service["KillMode"] == "mixed", "SIGTERM is for the mount's process alone"
    assert float(service["TimeoutStartSec"]) > context.params["timeout"]
