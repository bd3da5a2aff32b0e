"""The handshake automaton: every cell of its table, and two of them talking to each other."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.paxos.configuration import Identity
from chubby.transport.doorkeeper import Doorkeeper
from chubby.transport.greetings import Goodbye, Hello, Reason, Welcome, decode_control, encode_control
from chubby.transport.handshake import (
    TRANSITIONS,
    Action,
    CellLearned,
    Effect,
    Established,
    Handshake,
    Input,
    Parted,
    Send,
    State,
)

CELL, OTHER_CELL, BLANK = 700, 701, 0


def keeper(replica: int, cell: int = CELL, expected: tuple[int, ...] = (1, 2, 3), nonce: int = 0) -> Doorkeeper:
    """The doorkeeper of one replica; its incarnation is 10 times its number."""
    return Doorkeeper(Identity(cell, replica, 10 * replica), expected, nonce or replica)


def believe(hello: Hello) -> bool:
    """Whoever it is."""
    return True


def doubt(hello: Hello) -> bool:
    """Nobody."""
    return False


def make(state: State, doorkeeper: Doorkeeper | None = None) -> Handshake:
    """Replica 1's side of a link with replica 2, brought to `state` by legal steps."""
    doorkeeper = doorkeeper or keeper(1)
    dialling = state in (State.DIALLED, State.SENDING)
    handshake = Handshake(doorkeeper, 2 if dialling else None, believe)
    handshake.start()
    if state in (State.SENDING, State.CONFIRMING, State.RECEIVING):
        handshake.receive(encode_control(keeper(2).hello()))
    if state is State.RECEIVING:
        handshake.receive(encode_control(Welcome()))
    if state is State.CLOSED:
        handshake.lost()
    assert handshake.state is state
    return handshake


def said(effects: tuple[Effect, ...]) -> list[object]:
    """Effects, with payloads read."""
    return [decode_control(each.payload) if isinstance(each, Send) else each for each in effects]


HELLO_OF_1 = keeper(1).hello()
HELLO_OF_2 = keeper(2).hello()
GIVEN: dict[Input, bytes] = {
    Input.HELLO: encode_control(HELLO_OF_2),
    Input.STRANGER: encode_control(keeper(9).hello()),
    Input.WELCOME: encode_control(Welcome()),
    Input.GOODBYE: encode_control(Goodbye(Reason.VERSION)),
}
"""A frame for each input that is one."""


def give(handshake: Handshake, given_input: Input) -> tuple[Effect, ...]:
    """Bring about `given_input`."""
    if given_input is Input.FAULT:
        return handshake.fail(Reason.TIMEOUT)
    if given_input is Input.LOST:
        return handshake.lost()
    return handshake.receive(GIVEN[given_input])


def refuse(reason: Reason) -> list[object]:
    """Goodbye, and close."""
    return [Goodbye(reason), Parted(reason, by_peer=False)]


LEAVE: list[object] = [Parted(Reason.VERSION, by_peer=True)]
LOST: list[object] = [Parted(Reason.LOST, by_peer=False)]
EXPECTED: list[tuple[State, Input, State, list[object]]] = [
    (State.DIALLED, Input.HELLO, State.SENDING, [Welcome(), Established(HELLO_OF_2, joining=False)]),
    (State.DIALLED, Input.STRANGER, State.CLOSED, refuse(Reason.UNKNOWN_REPLICA)),
    (State.DIALLED, Input.WELCOME, State.CLOSED, refuse(Reason.PROTOCOL)),
    (State.DIALLED, Input.GOODBYE, State.CLOSED, LEAVE),
    (State.DIALLED, Input.FAULT, State.CLOSED, refuse(Reason.TIMEOUT)),
    (State.DIALLED, Input.LOST, State.CLOSED, LOST),
    (State.ACCEPTED, Input.HELLO, State.CONFIRMING, [HELLO_OF_1]),
    (State.ACCEPTED, Input.STRANGER, State.CLOSED, refuse(Reason.UNKNOWN_REPLICA)),
    (State.ACCEPTED, Input.WELCOME, State.CLOSED, refuse(Reason.PROTOCOL)),
    (State.ACCEPTED, Input.GOODBYE, State.CLOSED, LEAVE),
    (State.ACCEPTED, Input.FAULT, State.CLOSED, refuse(Reason.TIMEOUT)),
    (State.ACCEPTED, Input.LOST, State.CLOSED, LOST),
    (State.CONFIRMING, Input.HELLO, State.CLOSED, refuse(Reason.PROTOCOL)),
    (State.CONFIRMING, Input.STRANGER, State.CLOSED, refuse(Reason.PROTOCOL)),
    (State.CONFIRMING, Input.WELCOME, State.RECEIVING, [Established(HELLO_OF_2, joining=False)]),
    (State.CONFIRMING, Input.GOODBYE, State.CLOSED, LEAVE),
    (State.CONFIRMING, Input.FAULT, State.CLOSED, refuse(Reason.TIMEOUT)),
    (State.CONFIRMING, Input.LOST, State.CLOSED, LOST),
    (State.SENDING, Input.HELLO, State.CLOSED, refuse(Reason.PROTOCOL)),
    (State.SENDING, Input.STRANGER, State.CLOSED, refuse(Reason.PROTOCOL)),
    (State.SENDING, Input.WELCOME, State.CLOSED, refuse(Reason.PROTOCOL)),
    (State.SENDING, Input.GOODBYE, State.CLOSED, LEAVE),
    (State.SENDING, Input.FAULT, State.CLOSED, [Parted(Reason.TIMEOUT, by_peer=False)]),
    (State.SENDING, Input.LOST, State.CLOSED, LOST),
    (State.RECEIVING, Input.FAULT, State.CLOSED, refuse(Reason.TIMEOUT)),
    (State.RECEIVING, Input.LOST, State.CLOSED, LOST),
    *((State.CLOSED, each, State.CLOSED, []) for each in Input),
]
"""What the table of the module should say, written a second time, with the words that are said."""


@pytest.mark.parametrize(("before", "given_input", "after", "effects"), EXPECTED)
def test_every_cell_of_the_table(before: State, given_input: Input, after: State, effects: list[object]) -> None:
    """States times inputs."""
    handshake = make(before)
    assert said(give(handshake, given_input)) == effects
    assert handshake.state is after


def test_no_cell_is_left_out() -> None:
    """Neither above nor in the module; what a made receiving link reads are messages, so it has no control inputs."""
    assert {(before, given_input) for before, given_input, _, _ in EXPECTED} == {
        (state, given_input) for state, row in TRANSITIONS.items() for given_input in row
    }
    assert set(TRANSITIONS) == set(State)
    for state, row in TRANSITIONS.items():
        assert set(row) == ({Input.FAULT, Input.LOST} if state is State.RECEIVING else set(Input))


def test_the_table_has_the_shape_of_a_handshake() -> None:
    """Closed is for ever; only the three greetings open anything; in the direction of messages nothing is said."""
    for state, row in TRANSITIONS.items():
        for given_input, (after, action) in row.items():
            if state is State.CLOSED:
                assert (after, action) == (State.CLOSED, Action.NOTHING)
            elif after is not State.CLOSED:
                assert given_input in (Input.HELLO, Input.WELCOME)
                assert action in (Action.ENTER, Action.ANSWER, Action.ADMIT)
            else:
                assert action in (Action.DISMISS, Action.LEAVE)
    assert TRANSITIONS[State.SENDING][Input.FAULT][1] is Action.LEAVE


@pytest.mark.parametrize("state", [state for state in State if state not in (State.RECEIVING, State.CLOSED)])
@pytest.mark.parametrize("payload", [b"", b"GET / HTTP/1.1", b"\xc1", encode_control(Welcome())[:-1]])
def test_what_is_no_control_frame_is_garbage(state: State, payload: bytes) -> None:
    """In every state that reads control frames."""
    handshake = make(state)
    effects = said(handshake.receive(payload))
    assert effects[-1] == Parted(Reason.GARBAGE, by_peer=False)
    assert handshake.state is State.CLOSED


def test_messages_do_not_pass_through_the_handshake() -> None:
    """A made receiving link hands its payloads elsewhere; asking the automaton is a bug."""
    with pytest.raises(AssertionError):
        make(State.RECEIVING).receive(encode_control(Welcome()))


def test_only_the_dialling_side_speaks_first() -> None:
    """An accepting side tells a stranger nothing, not even its name."""
    assert said(Handshake(keeper(1), 2, believe).start()) == [HELLO_OF_1]
    assert Handshake(keeper(1), None, believe).start() == ()


@pytest.mark.parametrize("dialled", [None, 2])
def test_who_cannot_prove_it_is_not_believed(dialled: int | None) -> None:
    """The seam for certificates."""
    handshake = Handshake(keeper(1), dialled, doubt)
    handshake.start()
    assert said(handshake.receive(GIVEN[Input.HELLO])) == refuse(Reason.UNPROVEN)


def test_proof_is_asked_only_of_those_who_would_be_let_in() -> None:
    """The hook may be expensive, and need not know strangers."""
    asked: list[Hello] = []

    def ask(hello: Hello) -> bool:
        asked.append(hello)
        return True

    stranger = Handshake(keeper(1), None, ask)
    stranger.receive(GIVEN[Input.STRANGER])
    friend = Handshake(keeper(1), None, ask)
    friend.receive(GIVEN[Input.HELLO])
    assert asked == [HELLO_OF_2]


def test_a_peer_removed_during_the_handshake_is_not_let_in() -> None:
    """The address book may change between Hello and Welcome."""
    door = keeper(1)
    handshake = make(State.CONFIRMING, door)
    door.expect((3,))
    assert said(handshake.receive(GIVEN[Input.WELCOME])) == refuse(Reason.UNKNOWN_REPLICA)


def test_an_established_link_knows_its_peer() -> None:
    """And nothing of it before."""
    assert make(State.DIALLED).peer is None
    assert not make(State.CONFIRMING).established
    for state in (State.SENDING, State.RECEIVING):
        assert make(state).established
        assert make(state).peer == HELLO_OF_2


class Line:
    """Two automata and the frames between them; each direction keeps its order."""

    def __init__(self, dialling: Doorkeeper, accepting: Doorkeeper, dialled: int) -> None:
        """The connection is made."""
        self.sides = (Handshake(dialling, dialled, believe), Handshake(accepting, None, believe))
        self.under_way: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self.effects: tuple[list[Effect], list[Effect]] = ([], [])
        for side in (0, 1):
            self.carry_out(side, self.sides[side].start())

    def carry_out(self, side: int, effects: tuple[Effect, ...]) -> None:
        """Send what is to be sent, note the rest."""
        for effect in effects:
            if isinstance(effect, Send):
                self.under_way[1 - side].append(effect.payload)
            else:
                self.effects[side].append(effect)

    def deliver(self, side: int) -> bool:
        """The next frame arrives at `side`, if one is under way and the side still reads."""
        if not self.under_way[side] or self.sides[side].state in (State.RECEIVING, State.CLOSED):
            return False
        self.carry_out(side, self.sides[side].receive(self.under_way[side].popleft()))
        return True

    def run(self) -> tuple[list[Effect], list[Effect]]:
        """Until nothing is under way."""
        while self.deliver(0) or self.deliver(1):
            pass
        return self.effects


def test_two_replicas_of_a_cell_meet() -> None:
    """One for sending, the other for receiving."""
    line = Line(keeper(1), keeper(2), dialled=2)
    assert line.run() == ([Established(HELLO_OF_2, joining=False)], [Established(HELLO_OF_1, joining=False)])
    assert [side.state for side in line.sides] == [State.SENDING, State.RECEIVING]


def test_a_blank_dialler_learns_its_cell() -> None:
    """And is known as joining to the other side."""
    blank = keeper(1, BLANK)
    learned, seen = Line(blank, keeper(2), dialled=2).run()
    assert learned == [CellLearned(CELL), Established(HELLO_OF_2, joining=False)]
    assert seen == [Established(Hello(1, 1, BLANK, 1, 10, 1), joining=True)]
    assert blank.identity.cell == CELL


def test_a_blank_acceptor_learns_its_cell_and_answers_with_it() -> None:
    """What it says is what it knows by then."""
    blank = keeper(2, BLANK)
    seen, learned = Line(keeper(1), blank, dialled=2).run()
    assert learned == [CellLearned(CELL), Established(HELLO_OF_1, joining=False)]
    assert seen == [Established(HELLO_OF_2, joining=False)]


@pytest.mark.parametrize(
    ("dialling", "accepting", "dialled", "reason", "who"),
    [
        (keeper(1), keeper(2, OTHER_CELL), 2, Reason.WRONG_CELL, 1),
        (keeper(1, BLANK), keeper(2, BLANK), 2, Reason.BOTH_BLANK, 1),
        (keeper(1), keeper(2, expected=(3,)), 2, Reason.UNKNOWN_REPLICA, 1),
        (keeper(1, BLANK), keeper(2, expected=(3,)), 2, Reason.UNKNOWN_REPLICA, 1),
        (keeper(1), keeper(3), 2, Reason.WRONG_REPLICA, 0),
        (keeper(1, expected=(2,)), keeper(3), 2, Reason.UNKNOWN_REPLICA, 0),
        (keeper(1), keeper(1), 2, Reason.SELF, 1),
        (keeper(1), keeper(1, nonce=99), 2, Reason.TWIN, 1),
    ],
    ids=["cell", "blanks", "unknown", "blank unknown", "wrong", "unknown answers", "self", "twin"],
)
def test_who_must_not_meet_does_not(
    dialling: Doorkeeper, accepting: Doorkeeper, dialled: int, reason: Reason, who: int
) -> None:
    """One side refuses, the other is told why, nobody takes the link for made."""
    effects = Line(dialling, accepting, dialled).run()
    assert effects[who] == [Parted(reason, by_peer=False)]
    assert effects[1 - who] == [Parted(reason, by_peer=True)]


def test_two_blanks_meet_once_one_of_them_has_learned() -> None:
    """The polite refusal is not the last word."""
    first, second = keeper(1, BLANK), keeper(2, BLANK)
    Line(first, second, dialled=2).run()
    Line(first, keeper(3), dialled=3).run()
    learned = Line(first, second, dialled=2).run()[1]
    assert learned[0] == CellLearned(CELL)
    assert isinstance(learned[1], Established)


def test_a_blank_learns_from_the_first_and_refuses_another_cell() -> None:
    """Two handshakes at once: the second is judged by what the first has taught."""
    blank = keeper(1, BLANK)
    first, second = Line(blank, keeper(2), dialled=2), Line(blank, keeper(3, OTHER_CELL), dialled=3)
    first.run()
    assert second.run()[0] == [Parted(Reason.WRONG_CELL, by_peer=False)]
    assert blank.identity.cell == CELL


cells = st.sampled_from([CELL, OTHER_CELL, BLANK])
replicas = st.integers(1, 3)
steps = st.lists(st.sampled_from(["deliver 0", "deliver 1", "fail 0", "fail 1", "lose 0", "lose 1"]), max_size=12)


@given(cells, cells, replicas, replicas, st.integers(2, 3), steps)
def test_any_course_of_a_handshake_keeps_the_promises(
    own: int, theirs: int, first: int, second: int, dialled: int, course: list[str]
) -> None:
    """Established at most once and before Parted, Parted at most once and last; nobody meets the wrong cell or replica.

    The accepting side is never made while the dialling one refuses.
    """
    dialling, accepting = keeper(first, own, nonce=5), keeper(second, theirs, nonce=6)
    line = Line(dialling, accepting, dialled)
    for step in course:
        what, side = step.split()
        if what == "deliver":
            line.deliver(int(side))
        elif what == "fail":
            line.carry_out(int(side), line.sides[int(side)].fail(Reason.TIMEOUT))
        else:
            line.carry_out(int(side), line.sides[int(side)].lost())
    line.run()
    for effects in line.effects:
        kinds = [type(effect) for effect in effects if not isinstance(effect, CellLearned)]
        assert kinds in ([], [Established], [Parted], [Established, Parted])
    made = [any(isinstance(effect, Established) for effect in effects) for effects in line.effects]
    if any(made):
        assert first != second == dialled
        assert dialling.identity.cell == accepting.identity.cell or BLANK in (own, theirs)
        assert {own, theirs} != {CELL, OTHER_CELL} and {own, theirs} != {BLANK}
    assert made[0] or not made[1]


@given(st.sampled_from([State.DIALLED, State.ACCEPTED, State.CONFIRMING, State.SENDING]), st.binary(max_size=60))
def test_arbitrary_frames_only_ever_close(state: State, payload: bytes) -> None:
    """No exception, and one reason."""
    handshake = make(state)
    effects = handshake.receive(payload)
    assert handshake.state is State.CLOSED
    assert isinstance(effects[-1], Parted)
    assert handshake.receive(payload) == ()
