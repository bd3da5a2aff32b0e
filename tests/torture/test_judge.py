"""From what clients wrote down to verdicts: good histories pass, each way of being wrong is found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.checking.verdict import Judgement
from tests.torture.judge import LOCK_VERBS, NODE_VERBS, Histories, Judged, judge
from tests.torture.recording import Begun, Ended, Line, Sure
from tests.torture.work_files import PAIR

NODE, LOCK = "/node", "/lock"


class Script:
    """Lines of one process, call by call: each takes ten instants, one after the other."""

    def __init__(self, client: str, start: int = 0) -> None:
        self.lines: list[Line] = []
        self._client = client
        self._count = 0
        self._at = start

    def call(self, begun: Begun, ended: Ended | None) -> Script:
        """One call; None: it is never answered."""
        self._count += 1
        self.lines.append(
            Begun(
                self._count,
                self._client,
                self._at,
                begun.verb,
                begun.paths,
                begun.contents,
                begun.expected,
                begun.instance,
                begun.owner,
                begun.token,
            )
        )
        if ended is not None:
            self.lines.append(
                Ended(
                    self._count,
                    self._at + 5,
                    ended.said,
                    ended.instance,
                    ended.generations,
                    ended.contents,
                    ended.made,
                    ended.saw,
                    ended.token,
                )
            )
        self._at += 10
        return self

    def sure(self) -> Script:
        """Its session lease runs, now."""
        self.lines.append(Sure(self._client, self._at))
        self._at += 10
        return self


def begun(verb: str, *paths: str, contents: str = "", expected: tuple[int, ...] = (), owner: str = "o") -> Begun:
    """A call, of instance 1 where that matters."""
    return Begun(0, "", 0, verb, paths or (NODE,), contents, expected, 1, owner if verb in LOCK_VERBS else "")


def ended(said: str, *generations: int, contents: str = "", made: int = 0, saw: int = 0, token: int = 0) -> Ended:
    """An answer, of instance 1 where that matters."""
    return Ended(0, 0, said, 1, generations, contents, made, saw, token)


def verdict(*scripts: Script) -> Judged:
    """Of a history of one object."""
    histories = Histories()
    for script in scripts:
        histories.add(script.lines)
    (found,) = judge(histories)
    return found


def made(path: str = NODE) -> Script:
    """Somebody makes the node with "first" in it."""
    return Script("desk").call(begun("create", path, contents="first"), ended("made", made=10))


LATER = 100


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (begun("look"), ended("view", 1, contents="first", saw=10)),
        (begun("write", contents="x"), ended("wrote", 2, made=11)),
        (begun("write", contents="x", expected=(1,)), ended("wrote", 2, made=11)),
        (begun("append", contents="x", expected=(1,)), ended("wrote", 2, made=11)),
        (begun("write", contents="x", expected=(7,)), ended("mismatch")),
        (begun("create", contents="x"), ended("exists")),
        (begun("may_create", contents="x"), ended("stat", 1, saw=10)),
        (begun("delete"), ended("deleted", made=11)),
        (begun("write", contents="x"), ended("NoQuorum")),
        (begun("write", contents="x"), ended("OutcomeUnknown")),
        (begun("write", contents="x"), None),
        (begun("look"), ended("HandleInvalid")),
    ],
)
def test_good_calls_on_a_node(call: Begun, answer: Ended | None) -> None:
    """Every verb with every answer that it may have."""
    assert verdict(made(), Script("c", LATER).call(call, answer)).passed


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (begun("look"), ended("absent")),
        (begun("look"), ended("view", 1, contents="other", saw=10)),
        (begun("look"), ended("view", 2, contents="first", saw=11)),
        (begun("write", contents="x"), ended("wrote", 3, made=11)),
        (begun("append", contents="x", expected=(7,)), ended("wrote", 2, made=11)),
        (begun("write", contents="x", expected=(1,)), ended("mismatch")),
        (begun("create", contents="x"), ended("made", made=11)),
    ],
)
def test_broken_calls_on_a_node(call: Begun, answer: Ended) -> None:
    """Stale, made up, twice."""
    broken = verdict(made(), Script("c", LATER).call(call, answer))
    assert broken.judgement is Judgement.BROKEN and broken.reasons


def test_a_lost_update_and_a_stale_read() -> None:
    """A write of which a later read knows nothing."""
    wrote = Script("one", LATER).call(begun("write", contents="x"), ended("wrote", 2, made=11))
    stale = Script("two", 2 * LATER).call(begun("look"), ended("view", 1, contents="first", saw=10))
    assert verdict(made(), wrote, stale).judgement is Judgement.BROKEN


def test_what_failed_for_certain_may_not_be_seen() -> None:
    """An error that promises no effect is held to that; one that leaves it open is not."""
    seen = Script("two", 2 * LATER).call(begun("look"), ended("view", 2, contents="x", saw=11))
    for error, passed in (("NoQuorum", False), ("OutcomeUnknown", True), ("SessionExpired", True)):
        tried = Script("one", LATER).call(begun("write", contents="x"), ended(error))
        assert verdict(made(), tried, seen).passed is passed, error


def pair(*calls: tuple[Begun, Ended]) -> Judged:
    """Of the two nodes that are changed together."""
    scripts = [Script("desk")]
    for path, revision in zip(PAIR, (10, 11), strict=True):
        scripts[0].call(begun("create", path, contents="first"), ended("made", made=revision))
    scripts.append(Script("c", LATER))
    for call, answer in calls:
        scripts[1].call(call, answer)
    return verdict(*scripts)


BOTH = begun("pair", *PAIR, contents="x", expected=(1, 1))


@pytest.mark.parametrize(
    "calls",
    [
        [(BOTH, ended("wrote", 2, 2, made=12))],
        [(begun("pair", *PAIR, contents="x", expected=(1, 7)), ended("guard_failed"))],
        [(BOTH, ended("wrote", 2, 2, made=12)), (begun("look", PAIR[1]), ended("view", 2, contents="x", saw=12))],
    ],
)
def test_good_changes_of_two_nodes(calls: Sequence[tuple[Begun, Ended]]) -> None:
    """Both or none."""
    assert pair(*calls).passed


@pytest.mark.parametrize(
    "calls",
    [
        [(BOTH, ended("guard_failed"))],
        [(begun("pair", *PAIR, contents="x", expected=(1, 7)), ended("wrote", 2, 2, made=12))],
        [(BOTH, ended("wrote", 2, 2, made=12)), (begun("look", PAIR[1]), ended("view", 1, contents="first", saw=11))],
    ],
)
def test_broken_changes_of_two_nodes(calls: Sequence[tuple[Begun, Ended]]) -> None:
    """One of both; against its guard."""
    assert pair(*calls).judgement is Judgement.BROKEN


def lock(
    verb: str, said: str | None, owner: str = "o", token: int = 0, mode: str = "exclusive"
) -> tuple[Begun, Ended | None]:
    """A call on the lock."""
    call = Begun(0, "", 0, verb, (LOCK,), mode, (), 0, "" if verb == "validate" else owner, token)
    return call, None if said is None else ended(said, token=token)


def locked(*clients: Sequence[tuple[Begun, Ended | None]], sure: bool = True) -> Judged:
    """Each client after the other; all of them awake to the last unless said."""
    scripts = []
    for number, calls in enumerate(clients):
        script = Script(f"c{number}", number * LATER)
        for each in calls:
            script.call(*each)
        scripts.append(script)
    if sure:
        for script in scripts:
            script.lines.append(Sure(f"c{scripts.index(script)}", 10 * LATER))
    return verdict(*scripts)


GRANTED = lock("acquire", "granted", token=5)


@pytest.mark.parametrize(
    "clients",
    [
        [[GRANTED, lock("release", "released")], [lock("try", "granted", "p", 6)]],
        [
            [
                GRANTED,
                lock("validate", "valid", token=5),
                lock("release", "released"),
                lock("validate", "invalid", token=5),
            ]
        ],
        [[lock("acquire", "granted", token=5, mode="shared")], [lock("try", "granted", "p", 5, mode="shared")]],
        [[GRANTED, lock("let_go", None)], [lock("acquire", "granted", "p", 6)]],
        [[lock("acquire", "OutcomeUnknown"), lock("let_go", None)], [lock("acquire", "granted", "p", 6)]],
        [[lock("acquire", "DeadlineExceeded")], [lock("acquire", "granted", "p", 6)]],
    ],
)
def test_good_locks(clients: Sequence[Sequence[tuple[Begun, Ended | None]]]) -> None:
    """Given back, shared, proved, let go of."""
    assert locked(*clients).passed


@pytest.mark.parametrize(
    "clients",
    [
        [[GRANTED], [lock("acquire", "granted", "p", 6)]],
        [[GRANTED, lock("release", "released")], [lock("acquire", "granted", "p", 5)]],
        [[GRANTED, lock("validate", "invalid", token=5)]],
        [[GRANTED, lock("release", "not_held")]],
        [[GRANTED, lock("release", "released")], [lock("validate", "valid", token=5)]],
    ],
)
def test_broken_locks(clients: Sequence[Sequence[tuple[Begun, Ended | None]]]) -> None:
    """Two holders, a token twice, a proof that fails too early or holds too long, a loss that nobody was told of."""
    assert locked(*clients).judgement is Judgement.BROKEN


def test_a_lock_may_be_lost_once_its_session_may_be() -> None:
    """From the last instant on at which its client knew its lease to run: somebody else may be granted it then."""
    clients = ([GRANTED], [lock("acquire", "granted", "p", 6)])
    assert locked(*clients, sure=False).passed
    assert not locked(*clients, sure=True).passed


def test_other_lines_are_no_ones_business_here() -> None:
    """Sets, lines and counts have judges of their own."""
    histories = Histories()
    histories.add([Begun(1, "c", 0, "add", ("bare",), "x"), Ended(1, 5, "added")])
    assert judge(histories) == []
    assert not NODE_VERBS & LOCK_VERBS
