"""The master behind one façade: inputs in, effects out, no clock, no I/O (DESIGN §5).

The shell (chubby.replica) owes it this:

- `applied` for every command the machine applied, in log order, right after `Machine.apply`, ours or not, also while we
  are not the master.
- `lease_until` is the end of the master lease as Paxos knows it when the input is handed in; `now` was read after the
  input's bytes and before any state. When the lease is given up early, `deposed` comes before any other input.
- After a stall: `stalled` first, then the inputs that piled up, then `tick`.
- `tick` at `wake_at`, and after Paxos renewed a master lease that had run out.
- `divided` when the digests of the replicas show that nobody can tell who is right, and when they agree again.
- `take_effects` after any number of inputs; `Propose` effects go to Paxos in order.
"""

from __future__ import annotations

from collections.abc import Callable

from chubby.errors import Failure
from chubby.master import telling
from chubby.master.answers import Answers
from chubby.master.calls import Calls
from chubby.master.desk import Desk
from chubby.master.effects import MasterEffect
from chubby.master.ending import Endings
from chubby.master.failover import Failover, Permission, Phase, Recovery, Trigger
from chubby.master.greeting import Greeter
from chubby.master.invalidation import Invalidations
from chubby.master.leases import Leases
from chubby.master.moment import Moment
from chubby.master.pipeline import Pipeline, WorkPlan
from chubby.master.proposals import Proposals
from chubby.master.reception import Reception
from chubby.master.session import Session, SessionState
from chubby.master.settings import MasterSettings
from chubby.master.statistics import MasterStatistics, gather
from chubby.master.streams import Streams
from chubby.master.upkeep import Upkeep
from chubby.namespace.commands import Body
from chubby.namespace.machine import Machine
from chubby.namespace.outcomes import Outcome
from chubby.types.identity import Epoch, SessionId
from chubby.types.limits import HEARTBEAT_INTERVAL
from chubby.types.stream import ClientFrame
from chubby.types.time import NEVER, Duration, Instant

_NONCE_BYTES = 6


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
        self._fresh_key = fresh_key
        self._sessions: dict[SessionId, Session] = {}
        self._told: dict[SessionId, None] = {}
        self._desk = Desk(machine, settings, self._sessions, self._told)
        self._failover = Failover()
        self._recovery = Recovery()
        self._streams = Streams()
        self._proposals = Proposals()
        self._leases = Leases(settings)
        desk = self._desk
        self._invalidations = Invalidations(self._sessions, desk.registry, desk.counters, self._told)
        self._pipeline = Pipeline(
            self._proposals, self._invalidations, desk.departures, self._may_change, self._may_free
        )
        answers = Answers(desk, self._streams, self._invalidations, self._leases)
        self._calls = Calls(desk, self._pipeline, answers)
        self._endings = Endings(desk, self._pipeline, self._invalidations, self._calls, self._streams)
        self._upkeep = Upkeep(desk, self._pipeline, self._leases, fresh_key)
        self._greeter = Greeter(
            desk,
            self._streams,
            self._pipeline,
            self._endings,
            self._invalidations,
            self._leases,
            self._failover,
            self._recovery,
            jitter,
        )
        self._reception = Reception(
            desk, self._streams, self._greeter, self._calls, self._endings, self._pipeline, self._invalidations
        )
        self._nonce = 0
        self._ticked: Instant = 0
        self._lease_until: Instant = 0

    # --------------------------------------------------------------------------------------------- what others see

    @property
    def serving(self) -> bool:
        """Whether our epoch has begun: the machine has applied our BeginEpoch and we were not deposed since."""
        return self._failover.phase not in (Phase.FOLLOWING, Phase.LOCATION_ONLY)

    @property
    def phase(self) -> Phase:
        """How far our mastership has come."""
        return self._failover.phase

    @property
    def wake_at(self) -> Instant:
        """When `tick` is due next; NEVER if nothing is waiting for time to pass."""
        if not self.serving:
            return NEVER
        due = min(
            self._calls.next_deadline,
            self._invalidations.next_lapse,
            self._endings.next_expiry,
            self._upkeep.next,
            self._recovery.until,
        )
        if due > self._ticked and not self._calls.leaseless and self._greeter.idle:
            return due
        # What the last tick left undone waits for the master lease: look at that again with the next heartbeat.
        again = self._ticked + HEARTBEAT_INTERVAL
        return min(due, again) if due > self._ticked else again

    def statistics(self) -> MasterStatistics:
        """Figures of this moment."""
        phase = self._failover.phase
        return gather(self._desk, phase, self._streams, self._calls, self._pipeline, self._invalidations, self._upkeep)

    # -------------------------------------------------------------------------------------------------- mastership

    def replace_machine(self, machine: Machine) -> None:
        """Read another machine from now on (one restored from a snapshot); only while we are not the master."""
        assert not self.serving, "a master's machine is the newest there is"
        self._desk.machine = machine

    def elected(self, now: Instant, wall_ms: int = 0) -> None:
        """Paxos made us master: ask for BeginEpoch; until it is applied we only say where the master is."""
        if self._failover.phase is not Phase.FOLLOWING:
            self.deposed(now, "", self._desk.machine.epoch)
        self._failover.move(Trigger.ELECTED)
        self._desk.counters.elections += 1
        self._lease_until = 0
        self._nonce = int.from_bytes(self._fresh_key()[:_NONCE_BYTES], "big")
        self._proposals.set_wall(now, wall_ms)
        self._proposals.begin_epoch(self._desk.settings.replica, self._nonce, now)

    def deposed(self, now: Instant, address: str, epoch: Epoch) -> None:
        """We are not the master; `address` is (empty: nobody known). Streams are answered Redirect and ended.

        To be called also while we are a follower, whenever the known master changes, so that new streams get the right
        answer. Pending calls are forgotten: their outcome is unknown and the clients resume elsewhere.
        """
        self._reception.whereabouts = (address, epoch)
        if self._failover.phase is Phase.FOLLOWING:
            return
        self._failover.move(Trigger.DEPOSED)
        for part in (
            self._calls,
            self._pipeline,
            self._invalidations,
            self._endings,
            self._upkeep,
            self._greeter,
            self._desk.departures,
            self._desk.subscriptions,
        ):
            part.clear()
        self._recovery.begin([], now)
        self._proposals.end()
        self._sessions.clear()
        self._told.clear()
        self._desk.requests.clear()
        self._desk.epoch = 0
        self._reception.redirect_all()

    def _begin(self, at: Moment) -> None:
        """Our epoch has begun: rebuild what can be known of sessions, at the longest leases they may have."""
        self._failover.move(Trigger.EPOCH_BEGUN)
        machine = self._desk.machine
        self._desk.epoch = machine.epoch
        self._proposals.begin(machine.epoch)
        caching: list[SessionId] = []
        for number in machine.session_ids():
            session = self._greeter.enter(number, at.now + machine.caps.session_lease, SessionState.AWAITED)
            if session.caching:
                caching.append(number)
        self._recovery.begin(caching, at.now + machine.caps.cache_lease)
        self._upkeep.begin(at)

    # ----------------------------------------------------------------------------------------------------- streams

    def attach(self, stream: int, principal: str, now: Instant) -> None:
        """A stream begins; its caller was proven to be `principal`."""
        self._reception.attach(stream, principal)

    def detach(self, stream: int, now: Instant) -> None:
        """A stream's connection is gone; its session lives on until it resumes or its lease runs out."""
        self._reception.detach(stream)

    def receive(self, stream: int, frame: ClientFrame, now: Instant, lease_until: Instant) -> None:
        """One frame of a client, in order. Frames of unknown (already ended) streams are ignored."""
        if self._failover.phase is Phase.FOLLOWING:
            self._reception.redirect(stream)
            return
        at = self._at(now, lease_until)
        self._reception.receive(stream, frame, at)
        self._run(at)

    # ------------------------------------------------------------------------------------------------ log and time

    def applied(self, outcome: Outcome, now: Instant, wall_ms: int) -> None:
        """The machine has just applied a command; `wall_ms` is the wall clock, for display alone."""
        self._proposals.set_wall(now, wall_ms)
        if self._failover.phase is Phase.FOLLOWING:
            return
        at = self._at(now)
        machine = self._desk.machine
        if self._failover.phase is Phase.LOCATION_ONLY:
            if outcome.sequence == self._nonce and outcome.epoch == 0 and outcome.slot == machine.epoch:
                self._begin(at)
        elif machine.epoch != self._desk.epoch:
            self.deposed(now, "", machine.epoch)  # Another master's epoch has begun: Paxos will tell us soon, too.
            return
        elif outcome.epoch == self._desk.epoch:
            self._carry_on(outcome, at)
        self._run(at)

    def _carry_on(self, outcome: Outcome, at: Moment) -> None:
        """A command of our epoch was applied: tell, answer, and see what can go on now."""
        telling.tell(self._desk, outcome)
        self._upkeep.delay(outcome.delays, at.now)
        self._pipeline.applied(outcome, at)
        for owner in outcome.orphaned:
            self._calls.orphaned(owner, at)
        for grant in outcome.grants:
            self._calls.granted(grant, at)
        self._calls.applied(outcome.sequence)
        session = self._sessions.get(outcome.session)
        if session is not None:
            self._endings.drain(session, at)
        self._bury()
        self._upkeep.applied(at)

    def _bury(self) -> None:
        """Forget the sessions whose end was applied."""
        for number in self._endings.gone:
            session = self._sessions.pop(number)
            for handle in session.handles:
                self._desk.subscriptions.drop_handle(number, handle)
            for watch in session.watches.values():
                self._desk.subscriptions.drop_watch(number, watch)
            self._recovery.over(number)
            self._greeter.forget_session(number)
            self._told.pop(number, None)
        self._endings.gone.clear()

    def tick(self, now: Instant, lease_until: Instant) -> None:
        """Time has passed; cheap when nothing is due."""
        if not self.serving:
            return
        at = self._at(now, lease_until)
        self._ticked = now
        self._calls.expire(at)
        self._pipeline.rounds_clear(self._invalidations.lapse(now))
        self._endings.expire(at)
        self._upkeep.tick(at)
        self._run(at)

    def stalled(self, duration: Duration, now: Instant) -> None:
        """The process slept for `duration`: every session and cache deadline moves by as much (DESIGN §3)."""
        for session in self._sessions.values():
            session.postpone(duration)
        for part in (self._endings, self._invalidations, self._recovery, self._leases):
            part.postpone(duration)

    def propose(self, body: Body, now: Instant) -> None:
        """Put a command of the replica's own making (CheckDigest, SetVersion) into the log under our epoch.

        Ignored unless `serving`.
        """
        if self.serving:
            at = self._at(now)
            self._upkeep.propose(body, at)
            self._run(at)

    def divided(self, divided: bool, now: Instant) -> None:
        """Tell whether replicas disagree about the state with no majority for any (DESIGN §3 Digest); idempotent.

        While they do, calls that need a command are answered REPLICAS_DISAGREE, those that wait to be proposed as
        well, and the master's own commands wait if they touch a file or a lock. Reads, KeepAlives, sessions that hold
        nothing and changes of the members go on; so do BeginEpoch and CheckDigest.
        """
        if divided is self._pipeline.stopped:
            return
        at = self._at(now)
        if divided:
            self._pipeline.stop()
            self._calls.stopped(at)
        else:
            self._pipeline.go_on()
        self._run(at)

    def membership_answered(self, ticket: int, failure: Failure | None, now: Instant) -> None:
        """What became of a `ChangeMembers` effect."""
        at = self._at(now)
        self._calls.membership_answered(ticket, failure, at)
        self._run(at)

    def _at(self, now: Instant, lease_until: Instant | None = None) -> Moment:
        """This input's moment; None: it tells no master lease, and the one told last counts."""
        if lease_until is not None:
            self._lease_until = lease_until
        return Moment(now, self._lease_until)

    def _run(self, at: Moment) -> None:
        """Bring everything as far as it goes."""
        self._move_on(at)
        if at.live:
            self._calls.lease_live()
            self._greeter.run(at)
        self._pipeline.run(at)
        while self._failover.may(Permission.READS_AND_LOCKS) and not self._calls.idle:
            self._calls.run(at)
            self._pipeline.run(at)

    def _move_on(self, at: Moment) -> None:
        if self._failover.phase is Phase.REBUILDING and self._upkeep.has_key:
            self._failover.move(Trigger.REBUILT)
        if self._failover.phase is Phase.RECOVERING and self._recovery.settled(at.now):
            self._failover.move(Trigger.SETTLED)
            self._recovery.begin([], at.now)
            self._pipeline.gate_opened()

    def _may_change(self) -> bool:
        return self._failover.may(Permission.CHANGES)

    def _may_free(self, plan: WorkPlan, at: Moment) -> bool:
        return self._endings.may_free(plan, at)

    # ----------------------------------------------------------------------------------------------------- effects

    def take_effects(self) -> list[MasterEffect]:
        """What the master asks for since the last time; proposals first, then frames per stream in order."""
        for number in self._told:
            session = self._sessions.get(number)
            if session is not None and session.stream is not None:
                while (push := session.mailbox.next_push(self._desk.machine.revision)) is not None:
                    self._streams.send(session.stream, push)
        self._told.clear()
        effects = self._proposals.take_effects()
        effects += self._streams.take_effects()
        effects += self._desk.requests
        self._desk.requests.clear()
        return effects
