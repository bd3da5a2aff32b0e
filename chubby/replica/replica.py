"""The replica: `paxos.Peer`, `namespace.Machine` and `master.Master` behind one door, still sans-IO.

Inputs arrive with the time, `step` hands out what is to be done. In between, chosen entries are applied to the machine
in slot order, each outcome is told to the master's room, and what that wants proposed goes back to Paxos: a step runs
until nothing moves any more.
"""

from __future__ import annotations

import msgspec

from chubby.errors import ErrorCode, Failure
from chubby.master.effects import ChangeMembers, Deliver, EndStream, HandOver, Propose
from chubby.master.master import Master
from chubby.namespace import commands
from chubby.namespace.commands import CheckDigest
from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Configuration, Member
from chubby.paxos.messages import NO_BALLOT, Ballot, Entry, ValueKind
from chubby.paxos.peer import Peer, PeerStatus
from chubby.paxos.ready import Ready, Recovered, Role
from chubby.replica import members
from chubby.replica.door import StreamId
from chubby.replica.gathering import Gathering
from chubby.replica.links import DigestReport, LinkMessage
from chubby.replica.settings import ReplicaSettings, Surroundings
from chubby.replica.step import Halt, SnapshotOrder, Step
from chubby.replica.vigil import Vigil
from chubby.types.identity import CellId, Epoch, ReplicaId, Slot
from chubby.types.stream import ClientFrame, Redirect
from chubby.types.time import NEVER, Duration, Instant


class Replica:
    """One replica of a cell."""

    def __init__(
        self,
        me: Member,
        cell: CellId,
        recovered: Recovered,
        machine: Machine | None,
        *,
        settings: ReplicaSettings,
        surroundings: Surroundings,
        now: Instant,
    ) -> None:
        """`machine` is the state at `recovered.snapshot`, None for a blank replica that will fetch one."""
        self._settings = settings
        self._surroundings = surroundings
        self._peer = Peer(me, cell, recovered, bootstrap=settings.bootstrap, now=now, jitter=surroundings.jitter)
        self._gathering = Gathering()
        self._vigil = Vigil((me.replica, me.incarnation), now)
        self._changes = members.PendingChanges()
        self._machine = machine
        self._master: Master | None = None
        if machine is not None:
            assert recovered.configuration is not None, "a state comes with the configuration that governs it"
            self._master = self._new_master(machine, recovered.configuration)
        self._term: Ballot = NO_BALLOT
        self._told_whereabouts: tuple[str, Epoch] = ("", 0)
        self._known_whereabouts: tuple[str, Epoch] = ("", 0)
        self._known_position: tuple[ReplicaId, Slot, Epoch, bool] = (0, -1, 0, False)
        self._snapshot_slot = recovered.snapshot
        self._log_since_snapshot = 0
        self._snapshot_after = self._next_snapshot()
        self._snapshot_running = False
        self._digest_at: Instant = NEVER
        self._halted = False

    # --- what others may look at ---------------------------------------------------------------------------------

    @property
    def machine(self) -> Machine | None:
        """The applied state, to be read only; None while a blank replica has none."""
        return self._machine

    @property
    def master(self) -> Master | None:
        """The master's room, for its statistics."""
        return self._master

    @property
    def snapshot_slot(self) -> Slot:
        """The newest durable snapshot."""
        return self._snapshot_slot

    @property
    def lease_until(self) -> Instant:
        """The end of the master lease; 0 for whoever is not master."""
        return self._peer.lease_until

    @property
    def split(self) -> bool:
        """Whether the replicas disagree about the state and no majority agrees: writes are stopped then."""
        return self._vigil.split

    @property
    def serving(self) -> bool:
        """Whether this replica is master under an epoch of its own."""
        return self._master is not None and self._master.serving

    def peer_status(self, now: Instant) -> PeerStatus:
        """Paxos, for displays and checkers."""
        return self._peer.status(now)

    def entry(self, slot: Slot) -> Entry | None:
        """What the log holds at `slot`; None if nothing, or no more. For checkers."""
        return self._peer.entry(slot)

    def location(self) -> tuple[Member | None, Epoch]:
        """Who is master as far as this replica knows, and the newest epoch it has applied."""
        epoch = self._machine.epoch if self._machine is not None else 0
        master = self._peer.master
        if not master or not self._peer.electorate.known or (self._peer.role is Role.MASTER and not self.serving):
            return None, epoch
        return self._peer.electorate.latest.member(master), epoch

    @property
    def configuration(self) -> Configuration | None:
        """The newest chosen configuration."""
        return self._peer.electorate.latest if self._peer.electorate.known else None

    @property
    def acquaintances(self) -> dict[ReplicaId, Member]:
        """See `Electorate.acquaintances`."""
        return self._peer.electorate.acquaintances

    @property
    def wake_at(self) -> Instant:
        """When `tick` has something to do at the latest."""
        if self._master is None:
            return self._peer.wake_at
        return min(self._peer.wake_at, self._master.wake_at, self._digest_at, self._vigil.scrub_at)

    # --- inputs: links and disk ----------------------------------------------------------------------------------

    def receive(self, sender: ReplicaId, message: LinkMessage, now: Instant) -> None:
        """Handle a message of another replica."""
        if isinstance(message, DigestReport):
            if self._peer.electorate.known:
                self._vigil.told(sender, message, self._peer.electorate.latest)
        else:
            self._peer.receive(sender, message, now)

    def persisted(self, number: int, now: Instant) -> None:
        """The records of the `Step` with this number are durable."""
        self._peer.persisted(number, now)

    def tick(self, now: Instant) -> None:
        """Fire what is due. After a stall the shell first drains its inputs."""
        self._peer.tick(now)
        if self._master is not None:
            self._master.tick(now, self._peer.lease_until)
        if now >= self._digest_at:
            self._digest_at = now + self._settings.digest_interval
            if self._master is not None:
                self._master.propose(CheckDigest(), now)
        if self._machine is not None:
            self._vigil.scrub(self._machine, now)

    def stalled(self, duration: Duration, now: Instant) -> None:
        """The process did not run for `duration`: what it could not hear meanwhile is not held against its clients."""
        if self._master is not None:
            self._master.stalled(duration, now)

    def hand_over(self, now: Instant, successor: ReplicaId = 0) -> None:
        """Give mastership away in good order."""
        self._peer.hand_over(now, successor)

    def snapshot_taken(self, slot: Slot, size: int) -> None:
        """A `SnapshotOrder` was carried out: the file is durable and verified."""
        self._snapshot_running = False
        self._snapshot_slot = slot
        self._peer.snapshot_taken(slot, size)

    def snapshot_failed(self) -> None:
        """A `SnapshotOrder` could not be carried out; the next one comes with more log."""
        self._snapshot_running = False

    def chunk_stored(self, slot: Slot, now: Instant) -> None:
        """A `StoreChunk` was carried out."""
        self._peer.chunk_stored(slot, now)

    def snapshot_gone(self, to: ReplicaId) -> None:
        """A `ReadChunk` found its snapshot gone."""
        self._peer.snapshot_gone(to)

    def snapshot_rejected(self, now: Instant) -> None:
        """A fetched snapshot did not verify."""
        self._peer.snapshot_rejected(now)

    def snapshot_installed(
        self, slot: Slot, size: int, configuration: Configuration, machine: Machine, now: Instant
    ) -> None:
        """A fetched snapshot is durable; `machine` is its content. Left aside if this replica got ahead otherwise."""
        if not self._peer.lacks(slot):
            self._peer.snapshot_rejected(now)
            return
        self._follow_term(now)
        self._machine = machine
        if self._master is None:
            self._master = self._new_master(machine, configuration)
        else:
            self._master.replace_machine(machine)
        self._snapshot_slot = slot
        self._log_since_snapshot = 0
        self._peer.snapshot_installed(slot, size, configuration, now)

    # --- inputs: client streams ----------------------------------------------------------------------------------

    def attach(self, stream: StreamId, principal: str, now: Instant) -> None:
        """A client's stream begins."""
        if self._master is not None:
            self._master.attach(stream, principal, now)

    def detach(self, stream: StreamId, now: Instant) -> None:
        """A client's stream is gone."""
        if self._master is not None:
            self._master.detach(stream, now)

    def receive_frame(self, stream: StreamId, frame: ClientFrame, now: Instant) -> None:
        """A client sent `frame`; `now` was read after its bytes had arrived."""
        if self._master is not None:
            self._master.receive(stream, frame, now, self._peer.lease_until)
        else:
            self._gathering.deliver(stream, (Redirect(*self._whereabouts()),))
            self._gathering.end(stream)

    # --- output --------------------------------------------------------------------------------------------------

    def step(self, now: Instant) -> Step | None:
        """Everything that follows from the inputs so far, or None: then nothing more does before the next input."""
        moving = True
        while moving:
            self._follow_term(now)
            ready = self._peer.take_ready(now)
            if ready is not None:
                self._gathering.add(ready)
                self._apply(ready, now)
            moving = self._carry_out(now) or ready is not None or self._notice(now)
        return self._gathering.take()

    # --- inside --------------------------------------------------------------------------------------------------

    def _new_master(self, machine: Machine, configuration: Configuration) -> Master:
        """A master's room. The clock bound it tells clients is the cell's, from the log (DESIGN §3 Master lease)."""
        settings = msgspec.structs.replace(self._settings.master, drift_ppm=configuration.drift_ppm)
        return Master(machine, settings, self._surroundings.fresh_key, self._surroundings.jitter)

    def _next_snapshot(self) -> int:
        """How much log the next snapshot waits for: up to a quarter more, so that replicas do not all write at once."""
        return round(self._settings.snapshot_log_bytes * (1 + self._surroundings.jitter() / 4))

    def _follow_term(self, now: Instant) -> None:
        """Tell the master's room when an office of ours began or ended."""
        term, master = self._peer.term, self._master
        if master is None or term == self._term:
            return
        if self._term != NO_BALLOT:
            self._changes.clear()
            self._digest_at = NEVER
            self._redirect(master, now)
        if term != NO_BALLOT:
            self._digest_at = now + self._settings.digest_interval
            master.elected(now, self._surroundings.wall_ms())
        self._term = term

    def _redirect(self, master: Master, now: Instant) -> None:
        self._told_whereabouts = self._whereabouts()
        master.deposed(now, *self._told_whereabouts)

    def _whereabouts(self) -> tuple[str, Epoch]:
        member, epoch = self.location()
        return (member.client_address if member is not None else "", epoch)

    def _apply(self, ready: Ready, now: Instant) -> None:
        if not ready.chosen:
            return
        machine, master = self._machine, self._master
        assert machine is not None and master is not None, "entries are chosen above a state"
        wall_ms = self._surroundings.wall_ms()
        for entry in ready.chosen:
            if not machine.understood:
                return  # `_notice` halts us: what a newer release has chosen must not be read by our rules.
            assert entry.slot == machine.applied + 1, "entries are applied in slot order"
            self._log_since_snapshot += sum(map(len, entry.value.payloads))
            if entry.value.kind is not ValueKind.COMMANDS:
                machine.apply_noop(entry.slot)
                continue
            self._apply_commands(entry, machine, master, now, wall_ms)

    def _apply_commands(self, entry: Entry, machine: Machine, master: Master, now: Instant, wall_ms: int) -> None:
        for payload in entry.value.payloads:
            if not machine.understood:
                return
            command = commands.decode(payload)
            master.applied(machine.apply(entry.slot, command), now, wall_ms)
            if isinstance(command.body, CheckDigest):
                self._compare(entry.slot, machine)

    def _compare(self, slot: Slot, machine: Machine) -> None:
        latest = self._peer.electorate.latest
        report = self._vigil.note(slot, machine, latest)
        for member in latest.members:
            if member.replica != self._peer.identity.replica:
                self._gathering.send(member.replica, report)

    def _carry_out(self, now: Instant) -> bool:
        """Carry out what the master's room wants; True if Paxos has something new to do."""
        if self._master is None:
            return False
        self._master.divided(self._vigil.split, now)
        proposed = False
        for effect in self._master.take_effects():
            match effect:
                case Propose(command):
                    proposed |= self._peer.propose(commands.encode(command))
                case Deliver(stream, frames):
                    self._gathering.deliver(stream, frames)
                case EndStream(stream):
                    self._gathering.end(stream)
                case HandOver(successor):
                    self._peer.hand_over(now, successor)
                    proposed = True
                case ChangeMembers(ticket, call):
                    latest = self._peer.electorate.latest
                    self._change_members(ticket, members.wanted(call, latest, self._peer.identity.replica), now)
                    proposed = True
        return proposed

    def _change_members(self, ticket: int, wanted: Configuration | Failure | None, now: Instant) -> None:
        assert self._master is not None, "only a master's room asks for changes"
        if wanted is None or isinstance(wanted, Failure):
            self._master.membership_answered(ticket, wanted, now)
            return
        refusal = self._peer.reconfigure(wanted, now)
        if refusal is None:
            self._changes.wait(ticket, wanted)
        else:
            self._master.membership_answered(ticket, Failure(ErrorCode.MEMBERSHIP_REFUSED, refusal), now)

    def _notice(self, now: Instant) -> bool:
        """Tell the shell what changed beyond messages; True if something may follow from that here."""
        if self._log_since_snapshot >= self._snapshot_after and not self._snapshot_running:
            self.order_snapshot()
        position = self._position()
        stirred = position != self._known_position
        if stirred:
            members_changed, self._known_position = position[1] != self._known_position[1], position
            self._notice_position(members_changed, now)
        halt = self._reason_to_halt()
        if halt is not None and self._peer.role is Role.MASTER:
            stirred |= not self._peer.releasing
            self._peer.hand_over(now)
        elif halt is not None and not self._halted:
            self._halted = True
            self._gathering.halt = halt
        return stirred

    def _position(self) -> tuple[ReplicaId, Slot, Epoch, bool]:
        """All that `location` and the members are made of, cheap enough to be compared in each step."""
        since = self._peer.electorate.since if self._peer.electorate.known else -1
        epoch = self._machine.epoch if self._machine is not None else 0
        return self._peer.master, since, epoch, self._peer.role is Role.MASTER and not self.serving

    def _notice_position(self, members_changed: bool, now: Instant) -> None:
        """The members, the master or its epoch changed: tell the shell, and the clients of a follower."""
        if members_changed:
            self._gathering.configuration = latest = self._peer.electorate.latest
            for ticket in self._changes.chosen(latest):
                if self._master is not None:
                    self._master.membership_answered(ticket, None, now)
        whereabouts = self._whereabouts()
        if whereabouts != self._known_whereabouts:
            self._known_whereabouts = whereabouts
            self._gathering.moved = True
        if self._master is not None and self._term == NO_BALLOT and whereabouts != self._told_whereabouts:
            self._redirect(self._master, now)

    def _reason_to_halt(self) -> Halt | None:
        if self._machine is not None and not self._machine.understood:
            return Halt.OUTDATED
        return Halt.EXPELLED if self._peer.expelled else self._vigil.halt

    def order_snapshot(self) -> bool:
        """Have a snapshot written now (for a backup, or because the log grew); False if one is under way or there is
        nothing to write.
        """
        machine = self._machine
        if machine is None or not machine.understood:
            return False
        if self._snapshot_running or machine.applied <= self._snapshot_slot:
            return False
        self._snapshot_running = True
        self._log_since_snapshot = 0
        self._snapshot_after = self._next_snapshot()
        configuration = self._peer.electorate.governing(machine.applied + 1)
        self._gathering.snapshot = SnapshotOrder(machine.applied, configuration, machine.version, machine.snapshot())
        return True
