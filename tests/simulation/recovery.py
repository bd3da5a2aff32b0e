"""After the faults: is this client served again?"""

from __future__ import annotations

from chubby.types.calls import CreateMode, GetContentsAndStat, Mode, Open, SetContents
from chubby.types.results import Answer, Contents, Opened, StatResult
from chubby.types.time import MILLISECOND, Duration
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.world import World

PATH = "/probe"
ROUNDS = 3
AGAIN: Duration = 50 * MILLISECOND


class Probe:
    """Opens, writes and reads on a client that lives, until that has worked a few times.

    A session that ends instead (its client slept, or was cut off for too long) is served as well: it was told.
    """

    def __init__(self, world: World, client: ClientHost) -> None:
        self.client = client
        self._world = world
        self._rounds = 0
        self._again()

    @property
    def served(self) -> bool:
        """Whether it has worked."""
        return self._rounds >= ROUNDS or self.client.core.state.final

    def _again(self) -> None:
        self._world.after(AGAIN, self._open)

    def _open(self) -> None:
        client = self.client
        if self.served:
            return
        if self._world.now < client.paused_until:
            self._world.at(client.paused_until, self._open)
            return
        handle = client.new_handle()

        def opened(answer: Answer) -> None:
            if isinstance(answer, Opened):
                contents = f"{client.place}/{self._rounds}".encode()
                client.call(SetContents(handle, contents), written, PATIENCE)
            else:
                self._again()

        def written(answer: Answer) -> None:
            if isinstance(answer, StatResult):
                client.call(GetContentsAndStat(handle), read, PATIENCE)
            else:
                self._again()

        def read(answer: Answer) -> None:
            self._rounds += isinstance(answer, Contents)
            self._again()

        client.call(Open(handle, PATH, Mode.READ | Mode.WRITE, create=CreateMode.MAY), opened, PATIENCE)
