"""Bad input to running replicas: an error or a closed link, and the cell goes on (DESIGN §1 bad input, §6)."""

from __future__ import annotations

import os
import queue
import random
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import grpc
import pytest

import chubby
from chubby.client.sequencer import SequencerBytes
from chubby.errors import (
    BadPath,
    ErrorCode,
    Failure,
    GenerationMismatch,
    LockNotHeld,
    NoNode,
    NotEmpty,
    SequencerInvalid,
    TooLarge,
)
from chubby.types.calls import Call, CreateMode, GetStat, Open
from chubby.types.events import EventMask
from chubby.types.stream import (
    CallFrame,
    ClientFrame,
    HandleClaim,
    OpenSession,
    Push,
    Refused,
    Reply,
    Resume,
    Resumed,
    ServerFrame,
    SessionOpened,
)
from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.codec import decode_server, encode_client
from tests.integration.cells import PATIENCE, Cell

HALF_OPEN = 400
"""Connections to each port; more than a replica's link port holds half open."""


@pytest.fixture
def session(cell: Cell) -> Iterator[chubby.Session]:
    """An honest client, before and after."""
    with cell.connect() as session:
        yield session


@pytest.fixture(autouse=True)
def goes_on(cell: Cell) -> Iterator[None]:
    """After each test every replica lives, says no word of a bug, and the cell takes writes."""
    yield
    with cell.connect() as session, session.open("/ls/test/still", create=True) as handle:
        handle.set_contents(b"alive")
    for replica, process in cell.processes.items():
        assert process.poll() is None, f"replica {replica} died"
        assert "Traceback" not in cell.log(replica), cell.log(replica)[-3000:]
    cell.wait_whole()


class Stream:
    """A session stream to the master, without a client library that minds its manners."""

    def __init__(self, cell: Cell, first: ClientFrame) -> None:
        """Begun with the frame `first`, whose answer is `opening`."""
        self._channel = grpc.insecure_channel(cell.members[cell.wait_master()][1])
        self._packets: queue.SimpleQueue[pb.ClientPacket | None] = queue.SimpleQueue()
        self._call = CellStub(self._channel).Session(iter(self._packets.get, None), timeout=PATIENCE)
        self._frames = (frame for packet in self._call for frame in decode_server(packet))
        self.opening = self.say(first)

    def __enter__(self) -> Stream:
        """Nothing beyond construction."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the stream."""
        self._packets.put(None)
        self._call.cancel()
        self._channel.close()

    def say(self, frame: ClientFrame) -> ServerFrame:
        """Say something; the next thing the master says that is no push of its own."""
        self._packets.put(encode_client([frame]))
        return next(answer for answer in self._frames if not isinstance(answer, Push))

    def code(self, call: Call) -> ErrorCode:
        """The code with which the master refuses call number 1."""
        reply = self.say(CallFrame(1, 0, 0, call))
        assert isinstance(reply, Reply) and isinstance(reply.answer, Failure), reply
        return reply.answer.code


def refusal(cell: Cell, first: ClientFrame) -> ErrorCode:
    """Why a stream that begins with `first` is refused."""
    with Stream(cell, first) as stream:
        assert isinstance(stream.opening, Refused), stream.opening
        return stream.opening.failure.code


def test_too_large_contents(session: chubby.Session) -> None:
    """300 KiB are more than the 256 KiB of DESIGN §4 Node; 256 KiB are not."""
    with session.open("/ls/test/large", create=True) as handle:
        with pytest.raises(TooLarge):
            handle.set_contents(bytes(300 * 1024))
        assert handle.get_contents_and_stat()[0] == b""
        handle.set_contents(bytes(256 * 1024))
        with pytest.raises(TooLarge):
            handle.set_contents(bytes(2 * 1024 * 1024))
        with pytest.raises(TooLarge):
            handle.set_attributes({"a": bytes(2000)})
    with pytest.raises(TooLarge):
        session.open("/ls/test/larger", create=True, contents=bytes(300 * 1024))
    with pytest.raises(NoNode):
        session.open("/ls/test/larger")


@pytest.mark.parametrize(
    "name",
    [
        "/ls",
        "/ls/test//a",
        "/ls/test/../a",
        "/ls/test/.",
        "/ls/test/a/",
        "/ls/test/a\0b",
        "/ls/test/\ud800",
        "/ls/test/" + "x" * 300,
        "/ls/test" + "/d" * 65,
        "/ls/test/.contents",
        "/ls/test/.chubby",
    ],
)
def test_bad_paths(session: chubby.Session, name: str) -> None:
    """What is no name is refused as one, before and at the door (DESIGN §4: reserved at every door)."""
    with pytest.raises(BadPath):
        session.open(name, create=True)


@pytest.mark.parametrize("path", ["", "a", "//", "/a/../b", "/a\0", "/.chubby", "/" + "x" * 300, "/d" * 65])
def test_bad_paths_from_a_client_that_does_not_look(cell: Cell, path: str) -> None:
    """The master checks again what another client's library may not."""
    with Stream(cell, OpenSession(secrets.randbits(62))) as stream:
        assert stream.code(Open(1, path, create=CreateMode.MAY)) is ErrorCode.BAD_PATH


def test_conditions_that_do_not_hold(session: chubby.Session) -> None:
    """Wrong generation, no such node, children, a lock not held: final, and nothing changed."""
    with session.open("/ls/test/conditions", create=True, contents=b"as it was") as handle:
        generation = handle.get_stat().content_generation
        for wrong in (generation + 1, generation - 1, 1 << 62):
            with pytest.raises(GenerationMismatch):
                handle.set_contents(b"changed", generation=wrong)
        with pytest.raises(NoNode):
            session.open("/ls/test/conditions/none/below", create=True)
        with pytest.raises(LockNotHeld):
            handle.release()
        session.open("/ls/test/conditions/child", create=True)
        with pytest.raises(NotEmpty):
            handle.delete()
        assert handle.get_contents_and_stat()[0] == b"as it was"


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[:-1] + b"\0", lambda data: b"", bytes])
def test_forged_sequencers(session: chubby.Session, change: Callable[[bytes], bytes]) -> None:
    """A sequencer cannot be made up or altered (DESIGN §4 Token); unaltered it holds."""
    with session.open("/ls/test/sequenced", create=True) as handle:
        token = handle.acquire().token
        genuine = handle.get_sequencer()
        assert isinstance(genuine, SequencerBytes)
        forged = change(bytes(genuine))
        if forged == genuine:
            assert session.check_sequencer(forged).token == token
        else:
            with pytest.raises(SequencerInvalid):
                session.check_sequencer(forged)


@pytest.mark.parametrize("ticket", [b"", b"forged", bytes(1024)])
def test_unknown_sessions(cell: Cell, session: chubby.Session, ticket: bytes) -> None:
    """Neither a session that never was nor somebody else's can be resumed."""
    for claimed in (session.id, 1 << 40):
        assert refusal(cell, Resume(claimed, ticket, 1 << 30, 0, 0)) is ErrorCode.SESSION_UNKNOWN
    with session.open("/ls/test/mine", create=True) as handle:
        handle.set_contents(b"still mine")


def test_forged_handles(cell: Cell) -> None:
    """A handle is presented with check digits, or is lost (DESIGN §5 Handles)."""
    with Stream(cell, OpenSession(secrets.randbits(62))) as stream:
        opened = stream.opening
        assert isinstance(opened, SessionOpened)
    claims = (HandleClaim(7, b"forged", EventMask.ALL), HandleClaim(8, os.urandom(100), EventMask.NONE))
    with Stream(cell, Resume(opened.session, opened.ticket, 9, opened.epoch, opened.revision, claims)) as stream:
        resumed = stream.opening
        assert isinstance(resumed, Resumed)
        lost = {number: failure.code for number, failure in resumed.lost}
        assert lost == {7: ErrorCode.HANDLE_INVALID, 8: ErrorCode.HANDLE_INVALID}
        assert stream.code(GetStat(7)) is ErrorCode.HANDLE_INVALID


def test_frames_out_of_order(cell: Cell) -> None:
    """A stream begins with OpenSession or Resume, and has no second beginning."""
    assert refusal(cell, CallFrame(1, 0, 0, GetStat(1))) is ErrorCode.BAD_ARGUMENT
    nonce = secrets.randbits(62)
    with Stream(cell, OpenSession(nonce)) as stream:
        refused = stream.say(OpenSession(nonce))
        assert isinstance(refused, Refused) and refused.failure.code is ErrorCode.BAD_ARGUMENT


def test_empty_packets_do_no_harm(cell: Cell) -> None:
    """A client that says nothing at all is closed, not waited for."""
    address = cell.members[cell.wait_master()][1]
    with grpc.insecure_channel(address) as channel:
        stream = CellStub(channel).Session(iter([pb.ClientPacket()] * 10), timeout=PATIENCE)
        try:
            frames = [frame for packet in stream for frame in decode_server(packet)]
            assert all(isinstance(frame, Refused) for frame in frames)
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)


def garbage() -> list[bytes]:
    """What might arrive at a port: noise, other protocols, huge lengths, a greeting cut off."""
    noise = random.Random(5)
    return [
        b"",
        b"\0" * 4096,
        b"\xff" * 4096,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + noise.randbytes(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\xff\xff\xff\1\5\0\0\0\1" * 50,
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x7f\xff\xff\xff" + noise.randbytes(100),
        *(noise.randbytes(noise.randrange(1, 70_000)) for _ in range(20)),
    ]


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    """A plain connection; both ends may close it."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as link:
        yield link


def test_garbage_on_both_ports(cell: Cell, session: chubby.Session) -> None:
    """Whatever arrives, the connection is closed in the end and nobody else notices."""
    with session.open("/ls/test/noisy", create=True) as handle:
        for peer, client in cell.members.values():
            for address in (peer, client):
                for piece in garbage():
                    with connected(address) as link:
                        try:
                            link.sendall(piece)
                            link.shutdown(socket.SHUT_WR)
                            while link.recv(65_536):
                                pass
                        except TimeoutError:
                            raise
                        except OSError:
                            continue
            handle.set_contents(peer.encode())


def test_hundreds_of_half_open_connections_on_both_ports(cell: Cell, session: chubby.Session) -> None:
    """Who connects and says nothing, or half a greeting, keeps nobody else out, replicas neither."""
    follower = cell.followers()[0]
    master = cell.wait_master()
    with ExitStack() as stack, session.open("/ls/test/crowded", create=True) as handle:
        for address in (*cell.members[master], *cell.members[follower]):
            for number in range(HALF_OPEN):
                link = stack.enter_context(connected(address))
                if number % 2:
                    link.send(b"PRI")
        handle.set_contents(b"while they hang")
        with cell.connect() as another, another.open("/ls/test/crowded") as reader:
            assert reader.get_contents_and_stat()[0] == b"while they hang"
        cell.kill(follower)
        cell.start(follower)
        cell.wait_whole()
        handle.set_contents(b"and after a replica found its way through them")
