"""The seam for certificates: both loops' TLS below a link, and a hook that asks what the certificate proves."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chubby.transport.greetings import Hello, Reason
from chubby.transport.settings import Limits, Tls
from tests.transport.conftest import Run
from tests.transport.meshes import (
    SHORT_HANDSHAKE,
    Node,
    Parcel,
    all_connected,
    book_of,
    calling,
    connected,
    descriptors,
    hello,
    started,
    turns,
    until,
    works,
)


def name_of(replica: int) -> x509.Name:
    """The subject of a replica's certificate."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"replica-{replica}")])


class Authority:
    """Signs certificates of replicas."""

    def __init__(self, folder: Path) -> None:
        """With a key of its own; files go to `folder`."""
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {folder.name}")])
        self._certificate = self._sign(self._name, self._key, authority=True)
        (folder / "ca.pem").write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, authority: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(hours=1),
            not_valid_after=now + datetime.timedelta(hours=1),
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("cell")]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def tls_of(self, replica: int) -> Tls:
        """Contexts for a replica: both sides show a certificate and demand one."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self._folder / f"{replica}.pem"
        chain.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + self._sign(name_of(replica), key, authority=False).public_bytes(serialization.Encoding.PEM)
        )
        contexts = []
        for purpose in (ssl.Purpose.CLIENT_AUTH, ssl.Purpose.SERVER_AUTH):
            context = ssl.create_default_context(purpose, cafile=str(self._folder / "ca.pem"))
            context.load_cert_chain(chain)
            context.verify_mode = ssl.CERT_REQUIRED
            contexts.append(context)
        return Tls(accepting=contexts[0], dialling=contexts[1], server_name="cell")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The cell's own."""
    folder = tmp_path / "ours"
    folder.mkdir()
    return Authority(folder)


def certificate_proves(transport: asyncio.Transport, greeting: Hello) -> bool:
    """Whether the certificate names the replica that the Hello names."""
    certificate = transport.get_extra_info("peercert")
    subject = {key: value for relative in certificate["subject"] for key, value in relative}
    return bool(subject["commonName"] == f"replica-{greeting.replica}")


def test_links_over_tls(run: Run, authority: Authority) -> None:
    """Messages of all sizes, both ways; each side's certificate is asked for."""

    async def scenario() -> None:
        book = book_of(3)
        nodes = [
            Node(replica, book, tls=authority.tls_of(replica), authenticate=certificate_proves) for replica in book
        ]
        async with connected(*nodes):
            for number, size in enumerate([1, 3_000_000, 0, 100_000]):
                nodes[0].mesh.broadcast(Parcel(number, bytes(size)))
            await until(lambda: nodes[1].from_peer(1) == nodes[2].from_peer(1) == [0, 1, 2, 3])
            await works(nodes[1], nodes[2])

    run(scenario())


def test_a_restarted_peer_is_found_again_over_tls(run: Run, authority: Authority) -> None:
    """As without."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book, tls=authority.tls_of(1))
        async with started(one):
            for _ in range(2):
                other = Node(2, book, tls=authority.tls_of(2))
                async with started(other):
                    await works(one, other)

    run(scenario())


def test_a_certificate_of_another_replica_proves_nothing(run: Run, authority: Authority) -> None:
    """One replica's stolen key does not speak for another: refused in both directions."""

    async def scenario() -> None:
        book = book_of(3)
        honest = [Node(each, book, tls=authority.tls_of(each), authenticate=certificate_proves) for each in (1, 2)]
        thief = Node(3, book, tls=authority.tls_of(2))
        async with connected(*honest), started(thief):
            await until(lambda: honest[0].refused(Reason.UNPROVEN) >= 2)
            await until(lambda: thief.dismissed(Reason.UNPROVEN) >= 1)
            assert not honest[0].hears(3) and not honest[0].sends_to(3)
            await works(*honest)

    run(scenario())


def test_a_certificate_of_another_authority_is_refused(run: Run, authority: Authority, tmp_path: Path) -> None:
    """Before any Hello is read; the operator sees why."""
    (tmp_path / "theirs").mkdir()
    theirs = Authority(tmp_path / "theirs")

    async def scenario() -> None:
        book = book_of(3)
        one, other = Node(1, book, tls=authority.tls_of(1)), Node(2, book, tls=authority.tls_of(2))
        stranger = Node(3, book, tls=theirs.tls_of(3))
        async with connected(one, other), started(stranger):
            await until(lambda: one.refused(Reason.UNPROVEN) >= 2)
            await until(lambda: one.peer(3).last_reason is Reason.UNPROVEN)
            assert one.from_peer(3) == []
            await works(one, other)
            assert not all_connected([one, stranger])

    run(scenario())


def test_plain_speech_at_a_door_with_tls(run: Run, authority: Authority) -> None:
    """Refused and counted, as any stranger."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book, tls=authority.tls_of(1)), Node(2, book, tls=authority.tls_of(2))
        async with connected(one, other):
            async with calling(book[1]) as caller:
                await caller.say(hello() * 10)
                await until(lambda: one.refused(Reason.UNPROVEN) == 1)
            await works(one, other)
            assert one.mesh.statistics().half_open == 0

    run(scenario())


def test_silence_at_a_door_with_tls(run: Run, authority: Authority) -> None:
    """A TLS handshake that is never begun counts as half-open, and runs out; a place is free again."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book, tls=authority.tls_of(1), timing=SHORT_HANDSHAKE, limits=Limits(half_open=1))
        async with started(one), calling(book[1]) as silent:
            await until(lambda: one.mesh.statistics().half_open == 1)
            await until(lambda: one.refused(Reason.TIMEOUT) == 1)
            assert one.mesh.statistics().half_open == 0
            assert silent.socket.fileno() > 0
            async with started(other := Node(2, book, tls=authority.tls_of(2))):
                await works(one, other)

    run(scenario())


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 20])
def test_stopping_in_the_middle_of_tls(run: Run, authority: Authority, after: int) -> None:
    """At any moment of its handshake, with a silent stranger inside: nothing stays."""

    async def scenario() -> None:
        book = book_of(2)
        nodes = [Node(replica, book, tls=authority.tls_of(replica)) for replica in book]
        before = descriptors()
        async with started(*nodes), calling(book[1]):
            await turns(after)
            for node in nodes:
                await node.mesh.stop()
            assert descriptors() == before + 1, "the caller's end; nothing is left for a later turn to close"

    run(scenario())
