"""`chubby replica`: what is refused, what is asked, and how a joining replica is followed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

from chubby.cli import asking, exits
from chubby.cli import replica as replica_module
from chubby.cli.members import Advice, Progress, advice, progress_of
from chubby.cli.status_view import Picture, picture_of
from chubby.types.calls import MemberAction
from chubby.types.status import CellStatus
from tests.cli.conftest import Typed
from tests.cli.fake_cell import FakeCell
from tests.cli.statuses import answers, status

HEALTHY = (status(1, margin=2), *(status(number) for number in (2, 3, 4, 5)))
ADDRESSES = ("--address", "10.0.0.1:7201")
NEW = ("--peer", "10.0.0.6:7101", "--client", "10.0.0.6:7201")


def seen(*statuses: CellStatus) -> Picture:
    """The cell."""
    found = picture_of(answers(*statuses), {})
    assert found is not None
    return found


def test_add() -> None:
    """A new number is admitted without a question; a known one is refused with what to do instead."""
    assert advice(seen(*HEALTHY), MemberAction.ADD, 6).refusal == ""
    assert advice(seen(*HEALTHY), MemberAction.ADD, 6).question == ""
    assert "chubby replica replace" in advice(seen(*HEALTHY), MemberAction.ADD, 3).refusal


def test_an_addition_made_again_goes_on_where_the_first_one_was() -> None:
    """After an unknown outcome one gives the same command again: it is for the master to say whether it is the same."""
    admitted = seen(status(1, margin=2, learners=(6,)))
    found = advice(admitted, MemberAction.ADD, 6, "10.0.0.6:7201")
    assert found == Advice(done="replica 6 was admitted already; start it now if it does not run")
    assert "chubby replica replace" in advice(admitted, MemberAction.ADD, 6, "10.0.0.7:7201").refusal


@pytest.mark.parametrize("action", [MemberAction.REMOVE, MemberAction.REPLACE])
def test_strangers_and_the_master_are_refused(action: MemberAction) -> None:
    """With the members, or the way to make it possible."""
    assert advice(seen(*HEALTHY), action, 9).refusal == "replica 9 is not a member; members are 1, 2, 3, 4, 5"
    assert "chubby step-down" in advice(seen(*HEALTHY), action, 1).refusal


def test_removal_is_asked_for_with_the_margin_after_it() -> None:
    """Four voters of four answer: one more may fail, where it were two before."""
    found = advice(seen(*HEALTHY), MemberAction.REMOVE, 5)
    assert found.question == "Remove replica 5? Afterwards 1 more replica may fail."
    dead = advice(seen(*HEALTHY[:4]), MemberAction.REMOVE, 5)
    assert dead.question == "Remove replica 5? Afterwards 1 more replica may fail."


def test_a_removal_that_would_cost_the_quorum_is_refused() -> None:
    """Three of five answer; without one of these two of four are left."""
    found = advice(seen(*HEALTHY[:3]), MemberAction.REMOVE, 3)
    assert found.refusal == "without replica 3 the cell would have no quorum: no quorum, 1 replica short"
    assert advice(seen(*HEALTHY[:3]), MemberAction.REMOVE, 5).refusal == ""


def test_a_dead_replica_is_replaced_without_a_question_a_living_one_is_not() -> None:
    """The usual case is one word; a mistyped number asks back."""
    assert advice(seen(*HEALTHY[:4]), MemberAction.REPLACE, 5).question == ""
    assert "Replica 5 answers" in advice(seen(*HEALTHY), MemberAction.REPLACE, 5).question
    tight = (status(1, margin=0), status(2), status(3))
    assert "no quorum" in advice(seen(*tight), MemberAction.REPLACE, 3).refusal


def test_a_cell_without_a_master_cannot_change() -> None:
    """pains: members are replaced one at a time, the quorum checked first."""
    assert "no master" in advice(seen(*(status(n, master=0) for n in (1, 2, 3))), MemberAction.ADD, 6).refusal
    assert "no quorum" in advice(seen(status(1, master=0)), MemberAction.ADD, 6).refusal


def test_learners_go_without_a_question() -> None:
    """They have no vote to lose."""
    cell = seen(*(status(n, learners=(6,), margin=2 if n == 1 else None) for n in range(1, 7)))
    assert advice(cell, MemberAction.REMOVE, 6) == Advice(
        done="replica 6 is no member any more; stop its process if it runs"
    )


def test_a_newcomer_that_is_catching_up_is_not_replaced_unasked() -> None:
    """Whoever gives the command a second time means the one that is dead, not the one that came in its place."""
    coming = (status(1, margin=0, learners=(3,)), status(3, learners=(3,), chosen=40))
    found = advice(seen(*coming), MemberAction.REPLACE, 3)
    assert found.question == "Replica 3 answers, and is catching up. Replace it nevertheless?" and not found.refusal
    assert advice(seen(coming[0]), MemberAction.REPLACE, 3).question == ""


def test_progress() -> None:
    """From unknown to voting."""
    assert progress_of(seen(*HEALTHY), 6) == Progress("not yet known to the replicas that answer")
    waiting = (status(1, margin=2, learners=(6,)),)
    assert progress_of(seen(*waiting), 6) == Progress("waiting for it to start")
    behind = (*waiting, status(6, learners=(6,), chosen=40))
    assert progress_of(seen(*behind), 6) == Progress("catching up, 60 slots behind")
    caught_up = (*waiting, status(6, learners=(6,)))
    assert progress_of(seen(*caught_up), 6) == Progress("has caught up, waits for promotion")
    assert progress_of(seen(status(1, margin=2, members=6), status(6, members=6)), 6) == Progress("votes", voting=True)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[CellStatus, ...]]:
    """What the replicas say, look after look; the last stays."""
    script: list[tuple[CellStatus, ...]] = []

    def looks() -> Iterator[tuple[CellStatus, ...]]:
        yield from script
        while True:
            yield script[-1]

    looking = looks()

    async def ask_all(_addresses: list[str], _timeout: float) -> tuple[dict[str, CellStatus], dict[str, str]]:
        return answers(*next(looking)), {}

    monkeypatch.setattr(asking, "ask_all", ask_all)
    monkeypatch.setattr(replica_module, "POLL", 0.001)
    return script


def test_add_is_followed_until_it_votes(cell: FakeCell, typed: Typed, stages: list[tuple[CellStatus, ...]]) -> None:
    """Each stage is told once."""
    stages += [
        HEALTHY,
        (status(1, margin=2, learners=(6,)),),
        (status(1, margin=2, learners=(6,)), status(6, learners=(6,), chosen=40)),
        (status(1, margin=2, learners=(6,)), status(6, learners=(6,), chosen=40)),
        (status(1, margin=2, members=6), status(6, members=6)),
    ]
    result = typed("replica", "add", "6", *NEW, *ADDRESSES)
    assert result.exit_code == exits.OK
    assert cell.asked == [(MemberAction.ADD, 6, "10.0.0.6:7101", "10.0.0.6:7201", None)]
    assert result.output.splitlines() == [
        "replica 6 is admitted and will vote once it has caught up; start it now",
        "replica 6: waiting for it to start",
        "replica 6: catching up, 60 slots behind",
        "replica 6: votes",
    ]


def test_progress_for_programs(typed: Typed, stages: list[tuple[CellStatus, ...]]) -> None:
    """A line of JSON for each stage."""
    stages += [HEALTHY, (status(1, margin=2, learners=(6,)),), (status(1, margin=2, members=6), status(6, members=6))]
    lines = typed("replica", "add", "6", "--json", *NEW, *ADDRESSES).output.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"replica": 6, "done": "add"},
        {"replica": 6, "progress": "waiting for it to start", "voting": False},
        {"replica": 6, "progress": "votes", "voting": True},
    ]


def test_a_refusal_changes_nothing(cell: FakeCell, typed: Typed, stages: list[tuple[CellStatus, ...]]) -> None:
    """And is exit code 1."""
    stages.append(HEALTHY)
    result = typed("replica", "remove", "1", "--yes", *ADDRESSES)
    assert result.exit_code == exits.NO and "is the master" in result.stderr
    assert cell.asked == []


def test_what_is_dangerous_wants_a_yes(cell: FakeCell, typed: Typed, stages: list[tuple[CellStatus, ...]]) -> None:
    """Without a terminal there is nobody to ask."""
    stages.append(HEALTHY)
    result = typed("replica", "remove", "5", *ADDRESSES)
    assert result.exit_code == exits.USAGE and "--yes" in result.stderr
    assert cell.asked == []
    assert typed("replica", "remove", "5", "--yes", *ADDRESSES).exit_code == exits.OK
    assert cell.asked == [(MemberAction.REMOVE, 5, "", "", 1005)]


def test_replace_keeps_addresses_unless_told(
    cell: FakeCell, typed: Typed, stages: list[tuple[CellStatus, ...]]
) -> None:
    """Empty addresses mean: as before."""
    stages.append(HEALTHY[:4])
    assert typed("replica", "replace", "5", "--no-wait", *ADDRESSES).exit_code == exits.OK
    assert typed("replica", "replace", "5", "--no-wait", *NEW, *ADDRESSES).exit_code == exits.OK
    assert cell.asked == [
        (MemberAction.REPLACE, 5, "", "", 1005),
        (MemberAction.REPLACE, 5, "10.0.0.6:7101", "10.0.0.6:7201", 1005),
    ]


def test_a_command_made_again_is_followed_to_its_end(
    cell: FakeCell, typed: Typed, stages: list[tuple[CellStatus, ...]]
) -> None:
    """Its first answer was lost: the second time ends as the first would have, with exit code 0."""
    stages += [(status(1, margin=2, learners=(6,)),), (status(1, margin=2, members=6), status(6, members=6))]
    result = typed("replica", "add", "6", *NEW, *ADDRESSES)
    assert result.exit_code == exits.OK and cell.asked[0][:2] == (MemberAction.ADD, 6)
    assert result.output.splitlines() == [
        "replica 6 was admitted already; start it now if it does not run",
        "replica 6: votes",
    ]


def test_the_incarnation_that_was_seen_is_the_one_that_is_meant(
    cell: FakeCell, typed: Typed, stages: list[tuple[CellStatus, ...]]
) -> None:
    """While a person thinks, another one may come: what is asked is about the one that was looked at. A release that
    tells none is asked about whichever is there.
    """
    first = status(1, margin=2)
    untold = tuple(msgspec.structs.replace(line, incarnation=None) for line in first.replicas)
    stages += [HEALTHY[:4], (msgspec.structs.replace(first, replicas=untold), *HEALTHY[1:4])]
    for _ in range(2):
        assert typed("replica", "remove", "5", "--yes", *ADDRESSES).exit_code == exits.OK
    assert cell.asked == [(MemberAction.REMOVE, 5, "", "", 1005), (MemberAction.REMOVE, 5, "", "", None)]


def test_a_bad_address_is_named(typed: Typed, stages: list[tuple[CellStatus, ...]]) -> None:
    """Before anybody is asked."""
    stages.append(HEALTHY)
    result = typed("replica", "add", "6", "--peer", "nowhere", "--client", "10.0.0.6:1", *ADDRESSES)
    assert result.exit_code == exits.USAGE and "'nowhere' is no address" in result.stderr
