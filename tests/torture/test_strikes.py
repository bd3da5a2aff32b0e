"""Every strike hits whom it should and is undone, whatever happens meanwhile; here on networks and cells of paper."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import pytest

from chubby.types.identity import ReplicaId
from chubby.types.status import CellStatus
from tests.torture.cell import TornCell
from tests.torture.crew import Crew
from tests.torture.machines import DESK, Machine
from tests.torture.plan import Kind, Strike, Track, chosen, kinds, strikes
from tests.torture.strikes import NO_MASTER, Acts, Board, Striker
from tests.torture.strikes_clients import ClientStriker
from tests.torture.strikes_disks import flip_bit
from tests.torture.strikes_network import NetworkStriker
from tests.torture.strikes_replicas import ReplicaStriker
from tests.torture.switch import CUT, Network, Way, Weather

REPLICAS = range(1, 6)
MACHINES = {number: Machine(number, -1, -1) for number in (*REPLICAS, 101, 102, 103, DESK)}
PROCESSES = (Kind.KILL, Kind.KILL_MASTER, Kind.KILL_TWO, Kind.KILL_ALL, Kind.STOP, Kind.STOP_MASTER)


class PaperNetwork(Network):
    """Notes what is imposed."""

    def __init__(self) -> None:
        self.imposed: list[Mapping[Way, Weather]] = []

    def impose(self, name: str, ways: Mapping[Way, Weather]) -> None:
        """Note it."""
        self.imposed.append(ways)


class PaperCell(TornCell):
    """Five replicas without processes; `master` is the master, if any."""

    def __init__(self, master: ReplicaId | None) -> None:
        self.members = dict.fromkeys(REPLICAS, ("", ""))
        self.processes = {}
        self.master = master
        self.done: list[tuple[str, tuple[int, ...]]] = []

    def master_status(self) -> CellStatus | None:
        """Only who it is."""
        if self.master is None:
            return None
        return CellStatus("test", 1, 1, "", self.master, "", 1, 1, 1, 1, 0, 1, 0, 0, 0, 2, "", ())

    def wait_whole(self, patience: float = 0) -> ReplicaId:
        """It never is."""
        raise AssertionError("waited for a cell without a gap")

    def kill(self, *replicas: ReplicaId, number: int = signal.SIGKILL) -> None:
        """Note it."""
        self.done.append(("kill", replicas))

    def start(self, *replicas: ReplicaId) -> None:
        """Note it."""
        self.done.append(("start", replicas))

    def signal(self, replica: ReplicaId, number: int) -> None:
        """Note it."""
        self.done.append((signal.Signals(number).name, (replica,)))


class PaperCrew(Crew):
    """Nobody."""

    def __init__(self) -> None:
        self.clients = []
        self.mounts = []


@pytest.fixture
def board() -> Board:
    """One on which no time passes."""
    made = Board()
    made.stopped.set()
    return made


def strike_of(kind: Kind, track: Track) -> Strike:
    """One of that kind."""
    return next(strike for strike in strikes(1, track) if strike.kind is kind)


@pytest.mark.parametrize("kind", [kind for kind in kinds(Track.NETWORK) if kind is not Kind.UNPLUG])
def test_weather_comes_and_goes(kind: Kind, board: Board) -> None:
    """Some ways are struck, none of them the desk's, and then none."""
    network = PaperNetwork()
    striker = NetworkStriker(board, 1, PaperCell(3), network, MACHINES)
    striker.acts()[kind](strike_of(kind, Track.NETWORK))
    struck, cleared = network.imposed
    assert struck and not cleared
    assert all(DESK not in way and way[0] != way[1] for way in struck)


def ways_of(kind: Kind, board: Board, master: ReplicaId | None = 3) -> tuple[Strike, list[ReplicaId], set[Way]]:
    """A strike, the order of its victims, and the ways that it cuts."""
    network = PaperNetwork()
    striker = NetworkStriker(board, 1, PaperCell(master), network, MACHINES)
    strike = strike_of(kind, Track.NETWORK)
    striker.acts()[kind](strike)
    cut = {way for way, weather in network.imposed[0].items() if weather == CUT}
    return strike, [REPLICAS[index] for index in chosen(strike, 5)], cut


def test_one_way_faults_are_one_way(board: Board) -> None:
    """Deaf: nothing arrives there. Mute: nothing leaves. One way: exactly that."""
    _, (deaf, *_), cut = ways_of(Kind.DEAF, board)
    assert {target for _, target in cut} == {deaf}
    _, (mute, *_), cut = ways_of(Kind.MUTE, board)
    assert {source for source, _ in cut} == {mute}
    _, (one, other, *_), cut = ways_of(Kind.ONE_WAY, board)
    assert cut == {(one, other)}


def test_a_split_leaves_a_majority_in_touch(board: Board) -> None:
    """Two against three, cut both ways; within each side nothing is."""
    _, order, cut = ways_of(Kind.SPLIT, board)
    for few in order[:2]:
        assert all({(few, many), (many, few)} <= cut for many in order[2:])
    assert not any((one, other) in cut for one in order[2:] for other in order[2:])


def test_the_master_is_who_is_it_at_the_time(board: Board) -> None:
    """If there is none, somebody is hit."""
    _, _, cut = ways_of(Kind.CUT_MASTER, board, master=4)
    assert {way for way in cut if 4 not in way} == set()
    assert not board.notes
    _, (somebody, *_), cut = ways_of(Kind.CUT_MASTER, board, master=None)
    assert all(somebody in way for way in cut)
    assert board.notes == {NO_MASTER: 1}, "and that is said"


@pytest.mark.parametrize("kind", PROCESSES)
def test_replicas_that_are_struck_run_again(kind: Kind, board: Board) -> None:
    """The same ones, and the right number of them; the master where the master is meant."""
    cell = PaperCell(2)
    strike = strike_of(kind, Track.REPLICAS)
    ReplicaStriker(board, 1, cell).acts()[kind](strike)
    (struck, victims), (mended, same) = cell.done
    assert victims == same
    assert (struck, mended) in (("kill", "start"), ("SIGSTOP", "SIGCONT"))
    assert len(victims) == {Kind.KILL_TWO: 2, Kind.KILL_ALL: 5}.get(kind, 1)
    if kind in (Kind.KILL_MASTER, Kind.STOP_MASTER):
        assert victims == (2,)


class Clumsy(Striker):
    """Its strikes fail."""

    def acts(self) -> Acts:
        """One error for all."""

        def fail(strike: Strike) -> None:
            raise OSError("it cannot be undone")

        return dict.fromkeys(Kind, fail)


def test_a_strike_that_fails_is_a_finding(board: Board) -> None:
    """It is counted, told, and no longer what is wrong now; the track goes on."""
    strike = strike_of(Kind.KILL, Track.REPLICAS)
    striker = Clumsy(board, Track.REPLICAS, 1)
    with board.strike(striker.track, strike):
        assert board.wrong() == "replica kill -9"
        striker.acts()[strike.kind](strike)
    assert board.counts == {Kind.KILL: 1}
    assert board.findings == ["replica kill -9: OSError: it cannot be undone"]
    assert board.wrong() == "calm"


@pytest.mark.parametrize("kind", [Kind.ROT, Kind.WIPE, Kind.REPLACE])
def test_no_second_memory_is_lost_before_all_vote_again(kind: Kind, board: Board) -> None:
    """It is put off, does not count, and nobody is touched (DESIGN §3 Incarnations: one at a time)."""
    cell = PaperCell(2)
    strike = strike_of(kind, Track.REPLICAS)
    with board.strike(Track.REPLICAS, strike):
        ReplicaStriker(board, 1, cell).acts()[kind](strike)
    assert not cell.done and not board.findings
    assert board.counts[kind] == 0
    assert board.notes[f"{kind.value}: put off, not all voted"] == 1


def test_a_track_that_is_told_to_stop_is_over_and_lives_on(board: Board) -> None:
    """Processes that it started would die with it."""
    striker = Clumsy(board, Track.CLIENTS, 1)
    striker.start()
    assert striker.finish(60)
    assert striker._thread.is_alive()
    striker.release()
    striker._thread.join(60)
    assert not striker._thread.is_alive()


@pytest.mark.parametrize("track", Track)
def test_every_kind_of_a_track_has_an_act(track: Track, board: Board) -> None:
    """Whatever is dealt can be done."""
    striker: Striker
    match track:
        case Track.NETWORK:
            striker = NetworkStriker(board, 1, PaperCell(1), PaperNetwork(), MACHINES)
        case Track.REPLICAS:
            striker = ReplicaStriker(board, 1, PaperCell(1))
        case Track.CLIENTS:
            striker = ClientStriker(board, 1, PaperCrew())
    assert striker.acts().keys() == set(kinds(track)) == {strike.kind for strike in islice(strikes(1, track), 60)}


def test_one_bit_flips(tmp_path: Path) -> None:
    """And no other."""
    file = tmp_path / "x"
    file.write_bytes(bytes(range(16)))
    flip_bit(file, 3, 6)
    assert file.read_bytes() == bytes([0, 1, 2, 3 ^ 64, *range(4, 16)])
