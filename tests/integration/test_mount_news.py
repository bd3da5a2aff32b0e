"""On a mount: what happens on another one is seen, by who opens, who has open, who maps, polls, tails and watches.

A write is done when the shell's `echo >` has returned: an open that begins after that sees it, on every mount. Whoever
had the file open before sees it as soon as the watch has told.
"""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import pytest

from tests.integration.cells import Cell, wait_for
from tests.integration.mounts import WORKER, Mount, mounts, sh
from tests.integration.programs import Program, Starter

pytestmark = pytest.mark.fuse

TIMES = 200
CHANGES = 30


def reader(tool: Starter, path: Path, mode: str = "r") -> Program:
    """A process that has the file open, and does what it is told."""
    program = tool(*WORKER, "obey", str(path), mode)
    assert program.answer() == {"opened": str(path)}
    return program


def writes(tool: Starter, here: Path) -> Program:
    """A shell that writes each line it is told into `f`, with `echo`, and says when that is done."""
    script = 'cd "$0"; while read line; do echo "$line" > f; echo "{}"; done'
    return tool("sh", "-c", script, str(here))


def test_what_was_written_is_read_by_every_open_that_begins_later(here: Path, there: Path, tool: Starter) -> None:
    """`echo >` on one mount, then `cat` on the other, 200 times; a reader that has it open all the time sees it too."""
    sh("echo 0 > f", here)
    shell = writes(tool, here)
    cat = tool("sh", "-c", 'cd "$0"; while read line; do cat f; done', str(there))
    opened = reader(tool, there / "f")
    late = 0
    for number in range(1, TIMES + 1):
        shell.ask(str(number))
        cat.tell("again")
        assert cat.hear() == str(number), "an open that begins after the write sees it"
        seen = opened.ask("read")["result"]
        late += seen != f"{number}\n"
    wait_for(lambda: opened.ask("read")["result"] == f"{TIMES}\n", "the open descriptor to see the last")
    print(f"{late} of {TIMES} reads of the open descriptor came before the news")


def test_a_file_that_was_made_again_is_opened_and_looked_at(here: Path, there: Path, tool: Starter) -> None:
    """Removed and made anew on one mount: on the other the new one can be read, and fstat of it answers to the end."""
    for number in range(CHANGES):
        sh(f"rm -f f; echo {number} > f", here)
        assert sh("cat f", there) == f"{number}\n"
    opened = reader(tool, there / "f")
    sh("echo other > g", here)
    watch = tool("tail", "-n", "1", "-F", str(there / "g"))
    assert watch.hear() == "other"
    sh("echo more >> g", here)
    assert watch.hear() == "more", "so the news of the file have passed, too"
    assert opened.ask("stat")["result"] == len(f"{CHANGES - 1}\n")


def test_a_directory_that_was_just_made_can_be_worked_in(here: Path, there: Path) -> None:
    """On another mount, at once and for good: it does not vanish when watchers are told of it."""
    for number in range(CHANGES):
        sh(f"mkdir {number}", here)
        assert sh(f"cd {number}; echo text > f; cat f; /bin/pwd", there) == f"text\n{there}/{number}\n"


def wait_shown(program: Program, what: str, number: int) -> None:
    """Until an open file shows this number, and until then the one before; `what` is how it reads."""
    allowed = {f"{number - 1}\n", f"{number}\n"}

    def shown() -> bool:
        text = str(program.ask(what)["result"])
        assert text in allowed, f"{text!r} is neither of {allowed}"
        return text == f"{number}\n"

    wait_for(shown, f"{number} by {what}")


def test_an_open_descriptor_sees_each_change_though_nobody_opens_it_anew(
    here: Path, there: Path, tool: Starter
) -> None:
    """By nothing but the watch that tells: read(2) and a mapping, never torn and never backwards."""
    sh("echo 1000 > f", here)
    shell, opened, mapping = writes(tool, here), reader(tool, there / "f"), reader(tool, there / "f")
    assert mapping.ask("mapped")["result"] == "1000\n"
    for number in range(1001, 1001 + CHANGES):
        shell.ask(str(number))
        wait_shown(opened, "read", number)
        wait_shown(mapping, "mapped", number)


def test_a_mapping_shows_what_an_open_saw(here: Path, there: Path, tool: Starter) -> None:
    """Once an open on a mount has shown a new version, a mapping there shows it too."""
    sh("echo 1000 > f", here)
    shell, mapping = writes(tool, here), reader(tool, there / "f")
    assert mapping.ask("mapped")["result"] == "1000\n"
    for number in range(1001, 1001 + CHANGES):
        shell.ask(str(number))
        assert sh("cat f", there) == f"{number}\n"
        assert mapping.ask("mapped")["result"] == f"{number}\n"


def test_poll_wakes(here: Path, there: Path, tool: Starter) -> None:
    """POLLPRI: something else is shown than what was read last, when it is written on another mount."""
    sh("echo 0 > f", here)
    shell, opened = writes(tool, here), reader(tool, there / "f")
    assert opened.ask("read")["result"] == "0\n"
    assert opened.ask("poll 0")["result"] == 0
    for number in range(1, 4):
        opened.tell("poll 60")
        shell.ask(str(number))
        assert opened.answer()["result"] == select.POLLPRI
        assert opened.ask("read")["result"] == f"{number}\n"


@pytest.mark.needs("inotifywait")
def test_inotify(here: Path, there: Path, tool: Starter) -> None:
    """`inotifywait -m` sees what another mount does: made, changed, given attributes, deleted, directories too."""
    watch = tool("inotifywait", "-m", "--format", "%e %f", str(there))
    while "established" not in watch.hear():
        pass
    expected = {
        "echo one > f": ["CREATE f", "CLOSE_WRITE,CLOSE f"],
        "echo two >> f": ["MODIFY f"],
        "chmod 600 f": ["ATTRIB f"],
        "mkdir d": ["CREATE,ISDIR d"],
        "rm f": ["DELETE f"],
    }
    for command, events in expected.items():
        sh(command, here)
        if command == "echo one > f":
            sh("cat f", there)
        for event in events:
            while watch.hear() != event:
                pass
    sh("echo three > own", there)
    said = [watch.hear() for _ in range(2)]
    assert said[0] == "CREATE own", said


@pytest.mark.needs("tail")
def test_tail_follows_a_file(here: Path, there: Path, tool: Starter) -> None:
    """`tail -F` shows what another mount appends; it begins anew when the file is cut, or put aside for a new one."""
    sh("echo first > log", here)
    tail = tool("tail", "-F", str(there / "log"))
    assert tail.hear() == "first"
    for number in range(3):
        sh(f"echo line {number} >> log", here)
        assert tail.hear() == f"line {number}"
    sh("echo cut > log", here)
    while tail.hear() != "cut":
        pass
    sh("mv log log.1; echo a file of its own > log", here)
    while tail.hear() != "a file of its own":
        pass
    sh("echo and more >> log", here)
    assert tail.hear() == "and more"


LISTEN = """
import select, sys
stream = open(sys.argv[1], 'rb', 0)
ask = select.poll()
ask.register(stream, select.POLLIN)
while ask.poll():
    print(stream.read(65536).decode(), end='', flush=True)
"""


@pytest.mark.needs("tail")
@pytest.mark.parametrize("command", [("tail", "-n", "0", "-f"), (*WORKER[:-1], "-c", LISTEN)], ids=["tail", "poll"])
def test_the_stream_of_events(
    command: tuple[str, ...], two_mounts: tuple[Mount, Mount], here: Path, tool: Starter
) -> None:
    """`.chubby/events`, by `tail -f` and by who polls it: a line for each change in the cell."""
    listener = tool(*command, str(two_mounts[1] / ".chubby/events"))
    name = f"/ls/local/{here.name}/f"
    seen: list[str] = []

    def told() -> bool:
        """A change is made now and then: who begins to listen is told what comes after that."""
        nonlocal seen
        sh("echo one > f; rm f", here)
        seen = [line for line in listener.said if line.endswith(f"\t{name}")]
        return len(seen) >= 9

    wait_for(told, "the stream to tell")
    seen = seen[[line.split("\t")[1] for line in seen].index("created") :]
    assert [line.split("\t")[1] for line in seen[:6]] == ["created", "modified", "deleted"] * 2
    revisions = [int(line.split("\t")[0]) for line in seen]
    assert revisions == sorted(revisions)


def test_a_stopped_mount_sees_nothing_old_when_it_wakes(
    mounted_cell: Cell, here: Path, tmp_path: Path, tool: Starter
) -> None:
    """SIGSTOP beyond its lease: writers do not wait for it any longer; awake, it shows the new and never the old."""
    sh("echo old > f", here)
    with mounts(mounted_cell, tmp_path / "third") as (third,):
        place = third / here.name
        assert sh("cat f", place) == "old\n"
        third.signal(signal.SIGSTOP)
        sh("echo new > f", here)
        cat = tool("cat", str(place / "f"))
        third.signal(signal.SIGCONT)
        assert cat.hear() == "new"
        assert cat.wait() == 0
        assert os.listdir(place) == ["f"]
