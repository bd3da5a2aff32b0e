"""How channels are made: found without a proxy, alive while watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from chubby.wire.channels import CHANNEL_OPTIONS

PATIENCE = 30.0


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """A server that knows no method at all."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def is_ready(address: str, options: tuple[tuple[str, int], ...], patience: float) -> bool:
    """Whether a connection is made within `patience` seconds."""
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        try:
            await asyncio.wait_for(channel.channel_ready(), patience)
        except TimeoutError:
            return False
        return True


async def test_a_proxy_for_the_web_is_not_asked(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell on loopback is found where `http_proxy` is set; by gRPC's own ways it would not be."""
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy", "grpc_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert await is_ready(address, CHANNEL_OPTIONS, PATIENCE)
    assert not await is_ready(address, (), 1.0)
