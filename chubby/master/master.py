"""The master behind one façade: inputs in, effects out, no clock, no I/O (DESIGN §5).

The shell (chubby.replica) owes it this:

- `applied` for every command the machine applied, in log order, right after `Machine.apply`, ours or not, also while we
  are not the master.
- `lease_until` is the end of the master lease as Paxos knows it when the input is handed in; `now` was read after the
  input's bytes and before any state. When the lease is given up early, `deposed` comes before any other input.
- After a stall: `stalled` first, then the inputs that piled up, then `tick`.
- `tick` at `wake_at`, and after Paxos renewed a master lease that had run out.
- `take_effects` after any number of inputs; `Propose` effects go to Paxos in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chubby.errors import Failure
from chubby.master.effects import MasterEffect
from chubby.master.settings import MasterSettings
from chubby.master.statistics import MasterStatistics
from chubby.namespace.commands import Body
from chubby.namespace.outcomes import Outcome
from chubby.types.identity import Epoch
from chubby.types.stream import ClientFrame
from chubby.types.time import Instant

if TYPE_CHECKING:
    from chubby.namespace.machine import Machine


class Master:
    """The master's memory of one replica; inert until `elected`.

    `fresh_key` gives 32 random bytes, `jitter` a number in [0, 1).
    """

    def __init__(
        self,
        machine: Machine,
        settings: MasterSettings,
        fresh_key: Callable[[], bytes],
        jitter: Callable[[], float],
    ) -> None:
        """A master that is none yet; `machine` is read directly and never changed."""
        raise NotImplementedError

    @property
    def serving(self) -> bool:
        """Whether our epoch has begun: the machine has applied our BeginEpoch and we were not deposed since."""
        raise NotImplementedError

    @property
    def wake_at(self) -> Instant:
        """When `tick` is due next; NEVER if nothing is waiting for time to pass."""
        raise NotImplementedError

    def replace_machine(self, machine: Machine) -> None:
        """Read another machine from now on (one restored from a snapshot); only while we are not the master."""
        raise NotImplementedError

    def elected(self, now: Instant, wall_ms: int = 0) -> None:
        """Paxos made us master: ask for BeginEpoch; until it is applied we only say where the master is."""
        raise NotImplementedError

    def deposed(self, now: Instant, address: str, epoch: Epoch) -> None:
        """We are not the master; `address` is (empty: nobody known). Streams are answered Redirect and ended.

        To be called also while we are a follower, whenever the known master changes, so that new streams get the right
        answer. Pending calls are forgotten: their outcome is unknown and the clients resume elsewhere.
        """
        raise NotImplementedError

    def attach(self, stream: int, principal: str, now: Instant) -> None:
        """A stream begins; its caller was proven to be `principal`."""
        raise NotImplementedError

    def detach(self, stream: int, now: Instant) -> None:
        """A stream's connection is gone; its session lives on until it resumes or its lease runs out."""
        raise NotImplementedError

    def receive(self, stream: int, frame: ClientFrame, now: Instant, lease_until: Instant) -> None:
        """One frame of a client, in order. Frames of unknown (already ended) streams are ignored."""
        raise NotImplementedError

    def applied(self, outcome: Outcome, now: Instant, wall_ms: int) -> None:
        """The machine has just applied a command; `wall_ms` is the wall clock, for display alone."""
        raise NotImplementedError

    def tick(self, now: Instant, lease_until: Instant) -> None:
        """Time has passed; cheap when nothing is due."""
        raise NotImplementedError

    def stalled(self, duration: int, now: Instant) -> None:
        """The process slept for `duration`: every session and cache deadline moves by as much (DESIGN §3)."""
        raise NotImplementedError

    def propose(self, body: Body, now: Instant) -> None:
        """Put a command of the replica's own making (CheckDigest, SetVersion) into the log under our epoch.

        Ignored unless `serving`.
        """
        raise NotImplementedError

    def membership_answered(self, ticket: int, failure: Failure | None, now: Instant) -> None:
        """What became of a `ChangeMembers` effect."""
        raise NotImplementedError

    def take_effects(self) -> list[MasterEffect]:
        """What the master asks for since the last time; proposals first, then frames per stream in order."""
        raise NotImplementedError

    def statistics(self) -> MasterStatistics:
        """Figures of this moment."""
        raise NotImplementedError
