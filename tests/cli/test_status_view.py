"""The picture of a cell from what its replicas say, with and without a master (pains: the true quorum margin)."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.cli import exits
from chubby.cli import status as status_module
from chubby.cli.status_view import Picture, margin_text, picture_of
from chubby.types.status import CellStatus
from tests.cli.conftest import Typed
from tests.cli.statuses import address, answers, status


def picture(*statuses: CellStatus, errors: dict[str, str] | None = None) -> Picture:
    """The picture, which there is."""
    found = picture_of(answers(*statuses), errors or {})
    assert found is not None
    return found


def test_a_healthy_cell() -> None:
    """The master's own count of the margin, nothing to warn of."""
    found = picture(status(1, margin=2), *(status(number) for number in (2, 3, 4, 5)))
    assert (found.master, found.epoch, found.margin, found.margin_known) == (1, 9, 2, True)
    assert found.serving and found.warnings == ()
    assert found.headline() == "cell local: master is replica 1 at 10.0.0.1:7201, epoch 9; 2 more replicas may fail"
    assert found.figures() == "revision 12, 3 sessions, 1 lock, master lease 1.0 s left"
    assert found.usage() == "nodes 4 of 1,000,000; 12.3 MiB of 1 GiB"
    assert [row[0] for row in found.rows()] == ["1*", "2", "3", "4", "5"]


def test_nobody_answers() -> None:
    """Then there is no picture."""
    assert picture_of({}, {address(1): "no connection"}) is None


@pytest.mark.parametrize(("up", "margin"), [((1, 2, 3, 4, 5), 2), ((2, 4, 5), 0), ((2, 3), -1), ((3,), -2)])
def test_without_a_master_the_answers_are_counted(up: tuple[int, ...], margin: int) -> None:
    """Works without a quorum: how many voters answer, against how many it takes."""
    errors = {address(number): "no connection" for number in range(1, 6) if number not in up}
    found = picture(*(status(number, master=0) for number in up), errors=errors)
    assert (found.margin, found.margin_known, found.serving) == (margin, False, False)
    assert found.warnings[0] == "no replica knows a master"
    assert [view.answers for view in found.replicas] == [number in up for number in range(1, 6)]
    assert sum("does not answer: no connection" in warning for warning in found.warnings) == 5 - len(up)


def test_learners_do_not_count() -> None:
    """DESIGN §3: joiners are non-voting."""
    found = picture(*(status(number, master=0, members=3, learners=(4, 5)) for number in (1, 2, 4, 5)))
    assert found.margin == 0


def test_the_newest_epoch_is_right_about_the_master() -> None:
    """A deposed master that does not know it yet is not believed."""
    found = picture(status(1, master=1, epoch=9, margin=2), status(2, master=2, epoch=12, margin=1), status(3, epoch=9))
    assert (found.master, found.epoch, found.margin) == (2, 12, 1)


def test_a_master_that_does_not_answer_is_named() -> None:
    """Its address is what one looks for."""
    found = picture(*(status(number) for number in (2, 3, 4)), errors={address(1): "no answer in time"})
    assert "the master, replica 1 at 10.0.0.1:7201, does not answer" in found.warnings
    assert found.replicas[0].error == "no answer in time"
    assert found.rows()[0][1] == "master, does not answer"


def test_lag_is_behind_the_furthest() -> None:
    """Each replica is right about itself."""
    found = picture(status(1, margin=1, chosen=100), status(2, chosen=90), status(3, chosen=100))
    assert [view.lag for view in found.replicas][:3] == [0, 10, 0]


def test_what_is_wrong_is_said() -> None:
    """Another cell at an address, versions, digests at one slot, a stranger, and the replicas' own warnings."""
    found = picture(
        status(1, margin=0, warnings=("no further replica may fail",)),
        status(2, digest="d2"),
        status(3, chosen=99, digest="d3"),
        status(4, version="1.1"),
        status(5, cell_id=88),
        status(6),
    )
    assert "10.0.0.5:7201 belongs to another cell, local (0x58)" in found.warnings
    assert "replicas run different versions: 1.0, 1.1" in found.warnings
    assert "the states of replicas 1, 2 differ at slot 100" in found.warnings
    assert "replica 6 is no member of the cell" in found.warnings
    assert "replica 1: no further replica may fail" in found.warnings


def test_a_replica_that_has_no_state_yet() -> None:
    """It joins: it knows no members, and is shown."""
    blank = msgspec.structs.replace(status(6), replicas=(), chosen=0, digest="")
    found = picture(status(1, margin=2), blank)
    assert found.replicas[-1].role == "joining" and found.replicas[-1].answers


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ({"nodes": 1_234}, "nodes 1,234 of 1,000,000; 12.3 MiB of 1 GiB"),
        ({"nodes_quota": 0}, "nodes 4; 12.3 MiB of 1 GiB"),
        ({"bytes_quota": 0}, "nodes 4 of 1,000,000; 12.3 MiB"),
        ({"nodes_quota": 0, "bytes_quota": 0, "content_bytes": 0}, "nodes 4; 0 B"),
        ({"bytes_quota": 1_000, "content_bytes": 1_024}, "nodes 4 of 1,000,000; 1 KiB of 1,000 B"),
        ({"nodes_quota": 0, "bytes_quota": 0, "content_bytes": 0, "content_limit": 0}, "nodes 4"),
    ],
)
def test_how_full_the_cell_is(held: dict[str, int], text: str) -> None:
    """DESIGN §4: against each quota there is; and of what a release does not tell, nothing is made up."""
    assert picture(msgspec.structs.replace(status(1), **held)).usage() == text


def test_limits_for_programs() -> None:
    """Whole numbers of bytes and nodes; null where there is no quota, or where the replica does not tell."""

    def limits(**changed: int) -> list[object]:
        shape = picture(msgspec.structs.replace(status(1), **changed)).json()
        return [shape[name] for name in ("nodes", "nodes_quota", "content_bytes", "bytes_quota", "content_limit")]

    assert limits() == [4, 1_000_000, 12_900_000, 1 << 30, 256 << 10]
    assert limits(nodes_quota=0, bytes_quota=0, content_bytes=0) == [4, None, 0, None, 256 << 10]
    assert limits(nodes_quota=0, bytes_quota=0, content_bytes=0, content_limit=0) == [4, None, None, None, None]


def test_usage_is_of_the_furthest() -> None:
    """All its figures are of one replica's state: the master's, and without one that of the furthest in the log."""
    behind = msgspec.structs.replace(status(2, master=0, chosen=90), nodes=3, content_bytes=1, nodes_quota=7)
    assert picture(behind, status(3, master=0)).usage() == "nodes 4 of 1,000,000; 12.3 MiB of 1 GiB"
    assert picture(behind).usage() == "nodes 3 of 7; 1 B of 1 GiB"


@given(
    st.lists(
        st.builds(
            status,
            st.integers(1, 7),
            master=st.integers(0, 7),
            epoch=st.integers(0, 3),
            chosen=st.integers(0, 5),
            members=st.sampled_from([1, 3, 5]),
            learners=st.lists(st.integers(1, 7), max_size=2, unique=True).map(tuple),
            margin=st.none() | st.integers(-3, 3),
            cell_id=st.integers(1, 2),
            digest=st.sampled_from(["", "d1", "d2"]),
        ),
        min_size=1,
    )
)
def test_whatever_they_say_there_is_a_picture(statuses: list[CellStatus]) -> None:
    """Contradictory answers are shown, not stumbled over; the order of answers does not matter."""
    said = answers(*statuses)
    found = picture_of(said, {})
    assert found is not None
    assert found == picture_of(dict(sorted(said.items())), {})
    assert len(found.rows()) == len({view.replica for view in found.replicas})
    json.loads(msgspec.json.encode(found.json()))


@pytest.mark.parametrize(
    ("margin", "text"),
    [
        (2, "2 more replicas may fail"),
        (1, "1 more replica may fail"),
        (0, "no further replica may fail"),
        (-1, "no quorum, 1 replica short"),
        (-2, "no quorum, 2 replicas short"),
    ],
)
def test_the_margin_in_words(margin: int, text: str) -> None:
    """What an operator wants to know first."""
    assert margin_text(margin) == text


def ask_with(monkeypatch: pytest.MonkeyPatch, *statuses: CellStatus) -> None:
    """Let the replicas answer so."""

    async def ask_all(addresses: list[str], timeout: float) -> tuple[dict[str, CellStatus], dict[str, str]]:
        said = answers(*statuses)
        return said, {each: "no connection" for each in addresses if each not in said}

    monkeypatch.setattr(status_module, "ask_all", ask_all)


def test_the_command(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0, a line for each replica, JSON with the same."""
    ask_with(monkeypatch, status(1, margin=2), *(status(number) for number in (2, 3, 4, 5)))
    result = typed("status", "--address", address(1))
    assert result.exit_code == exits.OK
    assert len(result.output.splitlines()) == 4 + 1 + 5
    assert result.output.splitlines()[2] == "nodes 4 of 1,000,000; 12.3 MiB of 1 GiB"
    shape = json.loads(typed("status", "--json", "--address", address(1)).output)
    assert (shape["master"], shape["margin"], shape["serving"]) == (1, 2, True)
    assert [each["replica"] for each in shape["replicas"]] == [1, 2, 3, 4, 5]


def test_the_command_without_a_quorum(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows what there is, and fails."""
    ask_with(monkeypatch, status(2, master=0))
    result = typed("status", "--address", address(1))
    assert result.exit_code == exits.UNAVAILABLE
    assert result.output.startswith("cell local: no master, epoch 9; no quorum, 2 replicas short")
    assert "warning: replica 1 does not answer: no connection" in result.output


def test_the_command_without_any_replica(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line: who was asked, and where the addresses are from."""
    ask_with(monkeypatch)
    result = typed("status", "--address", address(1))
    assert (result.exit_code, result.stdout) == (exits.UNAVAILABLE, "")
    assert "no replica of the cell local answers (10.0.0.1:7201: no connection)" in result.stderr
