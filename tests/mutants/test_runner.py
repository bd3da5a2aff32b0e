"""Trials beside each other: what becomes of a mutant, told by processes that stand in for real ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest

from tests.mutants.records import Catch
from tests.mutants.runner import KINSHIP, Hunt, Outcome, TrialFailed, Trials, run
from tests.mutants.trial import Report

PLAN = msgspec.Raw(b'{"seed":5}')


class FakeTrials(Trials):
    """Trials whose reports are made here: a mutant fails at `fatal` seeds, the product as it is at `broken` ones."""

    def __init__(self, fatal: set[int], broken: frozenset[int] = frozenset(), gross: bool = False) -> None:
        super().__init__()
        self.fatal = fatal
        self.broken = broken
        self.gross = gross
        self.calls: list[tuple[str, ...]] = []

    def reports(self, name: str, *arguments: str) -> Iterator[Report]:
        """As a trial would."""
        self.calls.append((name, *arguments))
        if name == "none":
            seed = msgspec.json.decode(arguments[1])["seed"] % KINSHIP
            yield Report(seed, False, seed not in self.broken, 1.0, 30.0)
            return
        if "--plan" in arguments:
            yield Report(5, False, 5 not in self.fatal, 2.0, 30.0, "c", "said", PLAN)
            return
        if "--smoke" in arguments:
            yield Report(1, True, not self.gross, 1.0, 9.0, "c", "at once")
        start, seeds = int(arguments[1]), int(arguments[3])
        for seed in range(start, start + seeds):
            plan = msgspec.Raw(msgspec.json.encode({"seed": seed}))
            failed = seed in self.fatal or seed in self.broken
            yield Report(seed, False, not failed, 1.0, 0.0 if failed else 30.0, "c", "said", plan)
            if failed:
                return


def test_the_first_seed_that_fails_catches_it() -> None:
    """Told with all that was needed: seeds from the first, seconds, who said what, and the plan."""
    outcome = FakeTrials({7, 9}).hunt("m", Hunt(seeds=100))
    assert outcome.catch == Catch(8, 8.0, 210.0, "c", "said", msgspec.Raw(b'{"seed":7}'))
    assert (outcome.seeds, outcome.gross, outcome.innocent) == (8, "", ())
    assert outcome.told() == "m: caught after 8 seeds, 8 s, by c: said"


def test_who_is_never_caught_survives() -> None:
    """After all seeds, and only then."""
    trials = FakeTrials({100})
    outcome = trials.hunt("m", Hunt(seeds=100))
    assert outcome.catch is None and outcome.seeds == 100
    assert outcome.told() == "m: SURVIVES 100 seeds, 100 s"


def test_a_seed_that_fails_without_it_proves_nothing() -> None:
    """The hunt goes on behind it, and says so."""
    trials = FakeTrials({7}, broken=frozenset({2, 4}))
    outcome = trials.hunt("m", Hunt(seeds=100))
    assert outcome.innocent == (2, 4)
    assert outcome.catch is not None and outcome.catch.plan == msgspec.Raw(b'{"seed":7}')
    assert outcome.seeds == 8, "they count as tried"
    assert outcome.told().endswith("fail without it: seeds 2 4")
    assert sum("--smoke" in call for call in trials.calls) == 1


def test_a_plan_that_is_dangerous_by_itself_proves_nothing() -> None:
    """The product as it is comes through that very seed, but not through others of the same plan."""

    class Fragile(FakeTrials):
        def reports(self, name: str, *arguments: str) -> Iterator[Report]:
            if name != "none":
                yield from super().reports(name, *arguments)
            else:
                seed = msgspec.json.decode(arguments[1])["seed"]
                yield Report(seed, False, seed != 2 + KINSHIP, 1.0, 30.0)

    outcome = Fragile({2, 7}).hunt("m", Hunt(seeds=100))
    assert outcome.innocent == (2,) and outcome.seeds == 8


def test_only_innocent_seeds_end_in_survival() -> None:
    """There is an end to it, though the last seed is such a one."""
    outcome = FakeTrials(set(), broken=frozenset({3})).hunt("m", Hunt(seeds=4))
    assert outcome.catch is None and outcome.seeds == 4 and outcome.innocent == (3,)


def test_the_hunt_begins_where_it_is_told() -> None:
    """Another slice of seeds, and another duration."""
    trials = FakeTrials({23})
    outcome = trials.hunt("m", Hunt(seeds=10, start=20, duration=40))
    assert outcome.seeds == 24, "those before it count as tried"
    assert trials.calls[0] == ("m", "--start", "20", "--seeds", "10", "--duration", "40", "--smoke")


def test_one_that_breaks_a_quiet_run_is_too_gross() -> None:
    """It may be caught, and is not worth much."""
    outcome = FakeTrials({0}, gross=True).hunt("m", Hunt(seeds=10))
    assert outcome.gross == "c: at once" and "TOO GROSS" in outcome.told()


@pytest.mark.parametrize("caught", [True, False])
def test_the_recorded_plan_is_tried_alone(caught: bool) -> None:
    """One run, and it decides."""
    trials = FakeTrials({5} if caught else set())
    outcome = trials.again("m", Catch(8, 8.0, 210.0, "c", "said", PLAN))
    assert (outcome.catch is not None) is caught and outcome.seeds == 1
    assert trials.calls == [("m", "--plan", '{"seed":5}')]


def test_outcomes_come_as_they_are_there() -> None:
    """Several at a time: a long one holds up nobody."""
    held = threading.Event()

    def trial(name: str) -> Outcome:
        if name == "long":
            assert held.wait(30)
        return Outcome(name, None, 1, 0.0)

    found = []
    for outcome in run(["long", "a", "b"], trial, 2, held.set):
        found.append(outcome.name)
        if len(found) == 2:
            held.set()
    assert found == ["a", "b", "long"]


def test_trouble_is_told_and_holds_up_nobody() -> None:
    """A trial that ends in another way than it should says nothing of its mutant."""

    def trial(name: str) -> Outcome:
        if name == "bad":
            raise TrialFailed("Misfit: bad: 0 places")
        return Outcome(name, None, 1, 0.0)

    told = {outcome.name: outcome.told() for outcome in run(["bad", "good"], trial, 1, lambda: None)}
    assert told["bad"] == "bad: TROUBLE: Misfit: bad: 0 places"
    assert told["good"].startswith("good: SURVIVES")


def test_who_stops_asking_ends_what_is_under_way() -> None:
    """Ctrl-C, or an error of the asker's own."""
    stopped = threading.Event()

    def trial(name: str) -> Outcome:
        if name != "first":
            assert stopped.wait(30)
        return Outcome(name, None, 1, 0.0)

    outcomes = run(["first", *(f"m{number}" for number in range(20))], trial, 2, stopped.set)
    assert next(outcomes).name == "first"
    outcomes.close()
    assert stopped.is_set()


def test_a_trial_of_nobody_is_trouble() -> None:
    """A real process, that ends with what it has to say."""
    with pytest.raises(TrialFailed, match="KeyError: 'nobody'"):
        list(Trials().reports("nobody", "--seeds", "1"))


def test_stopped_trials_end() -> None:
    """A real process: it would try seeds for an hour."""
    trials = Trials()
    reports = trials.reports("none", "--seeds", "2000", "--duration", "1")
    next(reports)
    trials.stop()
    with pytest.raises(TrialFailed):
        list(reports)
