"""Faults made on purpose, each in one line of the product: what is here must find them, or it proves little.

Nothing is shrunk, and the search is the same each time: a fault found today is found tomorrow.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from chubby.client.cache import Cache
from chubby.client.call_desk import CallDesk
from chubby.master import calls, opening
from chubby.master.session import Session
from chubby.namespace import snapshot
from chubby.storage import records, scan
from chubby.transport import codec, links
from chubby.transport.framing import FRAME_LIMIT, FrameDecoder
from tests.fuzzing.mutation import spoilt
from tests.fuzzing.table import TARGETS
from tests.fuzzing.test_directory_machine import DiskThatRots
from tests.fuzzing.test_link_machine import AnyPeer
from tests.fuzzing.test_session_machine import AnyTalk
from tests.fuzzing.test_stream_machine import AnyCrowd

QUIETLY = settings(
    max_examples=300,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def by_machine(machine: type[RuleBasedStateMachine]) -> Callable[[], None]:
    """The state machine, run until it fails."""
    return lambda: run_state_machine_as_test(machine, settings=QUIETLY)


def by_target(name: str) -> Callable[[], None]:
    """Near misses of a target, tried until one is a finding; its bombs first."""

    def search() -> None:
        target = TARGETS[name]
        for make in target.bombs.values():
            target.taste(make(5000))

        @QUIETLY
        @given(spoilt(target.samples()))
        def near_misses(data: bytes) -> None:
            target.taste(data)

        near_misses()

    return search


def no_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of the log are taken as they are."""
    monkeypatch.setattr(scan, "body_checksum", lambda data, head, seed: head.checksum)


def no_limit_for_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not introduced himself may announce as much as a peer."""
    monkeypatch.setattr(links, "FrameDecoder", lambda limit: FrameDecoder(FRAME_LIMIT))


def no_nesting_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only msgspec's own errors are caught: of links, of the log, of snapshots."""
    for room in (codec, records, snapshot):
        monkeypatch.setattr(room, "MALFORMED", (ValueError,))


def cache_outlives_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """In jeopardy the cache is switched off, but not emptied."""
    monkeypatch.setattr(Cache, "disable", lambda cache: None)


def calls_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the session is told to nobody."""
    monkeypatch.setattr(CallDesk, "end", lambda desk, failure: None)


def handles_without_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session may open as many handles as it likes."""
    monkeypatch.setattr(opening, "malformed", lambda desk, session, call: None)


def repeats_of_other_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number's stored answer is given to whatever call bears it."""
    monkeypatch.setattr(calls, "refused_repeat", lambda desk, session, call, reply: None)


def cache_lease_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session's lease is never found to be over."""
    monkeypatch.setattr(Session, "extend_lease", lambda session, until: setattr(session, "lease_until", 1 << 62))


FAULTS = {
    "no checksum of records": (no_checksum, by_machine(DiskThatRots)),
    "no limit for strangers": (no_limit_for_strangers, by_machine(AnyPeer)),
    "no nesting expected in links": (no_nesting_expected, by_target("link_message")),
    "no nesting expected in the log": (no_nesting_expected, by_target("log_record")),
    "no nesting expected in snapshots": (no_nesting_expected, by_target("state_slices")),
    "the cache outlives its lease": (cache_outlives_its_lease, by_machine(AnyTalk)),
    "calls are forgotten": (calls_forgotten, by_machine(AnyTalk)),
    "handles without number": (handles_without_number, by_machine(AnyCrowd)),
    "repeats of other calls": (repeats_of_other_calls, by_machine(AnyCrowd)),
    "sessions for ever": (cache_lease_for_ever, by_machine(AnyCrowd)),
}


@pytest.mark.parametrize(("fault", "search"), FAULTS.values(), ids=FAULTS)
def test_faults_are_found(
    fault: Callable[[pytest.MonkeyPatch], None], search: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the search that is named beside it."""
    fault(monkeypatch)
    with pytest.raises((Exception, ExceptionGroup)):
        search()
