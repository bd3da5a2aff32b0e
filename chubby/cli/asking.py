"""Asking every replica for itself, master or not: what works without a quorum."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import grpc.aio

from chubby.cli.options import Connection
from chubby.cli.status_view import Picture, picture_of
from chubby.errors import NoQuorum
from chubby.types.status import CellStatus
from chubby.wire import chubby_pb2 as pb
from chubby.wire.channels import CHANNEL_OPTIONS
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.codec_status import decode_status
from chubby.wire.status import error_of_rpc

PATIENCE = 2.0
"""Seconds a replica has to answer: it does so from memory, at once."""


async def ask_all(addresses: Sequence[str], timeout: float) -> tuple[dict[str, CellStatus], dict[str, str]]:
    """Ask the replicas at `addresses`, and those that they name as members. What they say, and why others do not."""
    answers: dict[str, CellStatus] = {}
    errors: dict[str, str] = {}
    patience = min(timeout, PATIENCE)
    await _ask(addresses, patience, answers, errors)
    named = {member.client_address for status in answers.values() for member in status.replicas}
    await _ask(sorted(named - {""} - answers.keys() - errors.keys()), patience, answers, errors)
    return answers, errors


async def look(connection: Connection) -> Picture:
    """One picture of the cell. Raises NoQuorum if no replica answers, ConfigError."""
    found = connection.find()
    answers, errors = await ask_all(found.addresses, connection.timeout)
    picture = picture_of(answers, errors)
    if picture is None:
        raise NoQuorum(f"no replica of the cell {found.cell} answers; addresses from {found.origin}")
    return picture


async def _ask(
    addresses: Iterable[str], patience: float, answers: dict[str, CellStatus], errors: dict[str, str]
) -> None:
    async def ask(address: str) -> None:
        async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            try:
                answers[address] = decode_status(await CellStub(channel).Status(pb.StatusRequest(), timeout=patience))
            except grpc.aio.AioRpcError as error:
                errors[address] = _why(error)

    await asyncio.gather(*(ask(address) for address in addresses))


def _why(error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return "no connection"
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "no answer in time"
    return str(error_of_rpc(error))
