"""What the tests of sessions share."""

from __future__ import annotations

from chubby.errors import ErrorCode
from chubby.types.stream import (
    Refused,
)
from tests.master.cell import Client


def refusal(client: Client) -> ErrorCode | None:
    """Why the stream was refused, if it was."""
    return client.end.failure.code if isinstance(client.end, Refused) else None
