"""Health checks, `grpc.health.v1.Health`: of the whole server (the empty name) and of each service by its name.

Our own, though the library has one: that one writes to watchers under the lock that guards the status, so a watcher
that does not read keeps the truth from all others, and its watchers outlive every stop to the end of the grace period.
Here a change is an event that each watcher notices for itself, and a stop tells the watchers and lets them go.
"""

from __future__ import annotations

import asyncio

import grpc.aio
from grpc_health.v1 import health, health_pb2

from chubby.errors import NoNode
from chubby.wire.status import abort

_Request = health_pb2.HealthCheckRequest
_Response = health_pb2.HealthCheckResponse


class Health:
    """What a daemon says of itself, for load balancers and orchestrators."""

    def __init__(self, *services: str) -> None:
        """NOT_SERVING, until told otherwise."""
        self._services = (health.OVERALL_HEALTH, *services)
        self._status: int = _Response.NOT_SERVING
        self._stopped = False
        self._changed = asyncio.Event()

    def set(self, serving: bool) -> None:
        """Say this from now on. After `stop` it has no effect."""
        if not self._stopped:
            self._tell(_Response.SERVING if serving else _Response.NOT_SERVING)

    def stop(self) -> None:
        """Say NOT_SERVING to the end, and let every watcher go who has heard it."""
        self._stopped = True
        self._tell(_Response.NOT_SERVING)

    def _tell(self, status: int) -> None:
        self._status = status
        self._changed.set()
        self._changed = asyncio.Event()

    async def check(self, request: _Request, context: grpc.aio.ServicerContext[_Request, _Response]) -> _Response:
        """The status now; NO_NODE for a service that is not here."""
        if request.service not in self._services:
            await abort(context, NoNode(f"no service {request.service!r} here"))
        return _Response(status=self._status)

    async def watch(self, request: _Request, context: grpc.aio.ServicerContext[_Request, _Response]) -> None:
        """The status now and each later one, until the caller or the server stops."""
        told: int | None = None
        known = request.service in self._services
        while True:
            changed, stopped = self._changed, self._stopped
            status = self._status if known else _Response.SERVICE_UNKNOWN
            if status != told:
                await context.write(_Response(status=status))
                told = status
            if stopped:
                return
            await changed.wait()
