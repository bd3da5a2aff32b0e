"""The twin: one method for each kind of command."""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import (
    AcquireLock,
    Action,
    BeginEpoch,
    CancelAcquire,
    CheckDigest,
    CloseHandle,
    CloseSession,
    Command,
    EndLockDelay,
    ExpireSession,
    OpenSession,
    RaiseCaps,
    ReleaseLock,
    Request,
    RotateKey,
    SetLimits,
    SetVersion,
    Transaction,
)
from chubby.namespace.outcomes import Applied, LockAnswer, LockStanding, Outcome, Reply, SessionMade
from tests.namespace.twin import locks
from tests.namespace.twin.transactions import transact
from tests.namespace.twin.world import TwinSession, Void, World


class Twin(World):
    """The machine, written to be obviously right."""

    def apply(self, slot: int, command: Command) -> Outcome:
        """Apply one command."""
        self.begin(slot, command.time_ms)
        void = False
        try:
            reply = self._body(command)
        except Void as reason:
            void, reply = True, reason.failure
        if self.told:
            self.revision += 1
            self.history += self.told
            self.changes += len(self.told)
        self._trim()
        if isinstance(reply, Applied) and not self.repeated:
            reply = Applied(self.revision)
        return Outcome(
            slot,
            command.epoch,
            command.sequence,
            reply,
            void,
            self.repeated,
            self.of_session,
            self.of_number,
            tuple(self.told),
            tuple(self.grants),
            tuple(self.conflicts),
            tuple(self.delays),
            tuple(self.orphaned),
            tuple(self.ended),
        )

    def _trim(self) -> None:
        while len(self.history) > self.limits.history:
            self.forgotten = self.history.pop(0).revision

    def _body(self, command: Command) -> Reply:
        body = command.body
        if isinstance(body, BeginEpoch):
            self.epoch, self.master = self.applied, body.master
            return Applied()
        if command.epoch != self.epoch:
            raise Void(ErrorCode.NOT_MASTER)
        if isinstance(body, Request):
            return self._request(body)
        if isinstance(body, OpenSession):
            return self._open_session(body)
        if isinstance(body, CloseSession):
            return self._end_session(body.session, died=False)
        if isinstance(body, ExpireSession):
            return self._end_session(body.session, died=True)
        if isinstance(body, EndLockDelay):
            return self._end_lock_delay(body)
        return self._administer(body)

    def _administer(self, body: RaiseCaps | SetLimits | RotateKey | CheckDigest | SetVersion) -> Reply:
        bad = Failure(ErrorCode.BAD_ARGUMENT, "")
        if isinstance(body, RaiseCaps):
            if body.caps.session_lease < 1 or body.caps.cache_lease < 0:
                return bad
            self.caps = body.caps
        elif isinstance(body, SetLimits):
            new = body.limits
            for limit in (new.content, new.nodes, new.children, new.total_bytes, new.sessions, new.history):
                if limit < 0:
                    return bad
            self.limits = new
        elif isinstance(body, RotateKey):
            if len(body.key) == 0 or len(body.key) > 64:
                return bad
            if body.key != self.keys[0]:
                self.keys = [body.key, self.keys[0]]
        elif isinstance(body, SetVersion):
            if body.version < 1 or body.version not in (self.version - 1, self.version, self.version + 1):
                return bad
            self.version = body.version
        return Applied()

    def _open_session(self, body: OpenSession) -> Reply:
        for number, session in self.sessions.items():
            if session.nonce == body.nonce and session.principal == body.principal:
                self.of_session, self.repeated = number, True
                return SessionMade(number)
        if self.limits.sessions and len(self.sessions) >= self.limits.sessions:
            return Failure(ErrorCode.QUOTA_EXCEEDED, "")
        self.last_session += 1
        self.of_session = self.last_session
        self.sessions[self.last_session] = TwinSession(body.principal, body.caching, body.nonce)
        return SessionMade(self.last_session)

    def _end_session(self, number: int, *, died: bool) -> Reply:
        self.of_session = number
        if number not in self.sessions:
            raise Void(ErrorCode.SESSION_EXPIRED)
        touched = []
        for path in sorted(self.nodes):
            node = self.nodes[path]
            owners = [owner for owner, _ in node.holders] + [owner for owner, _, _ in node.waiters]
            mine = [owner for owner in owners if owner[0] == number]
            for owner in mine:
                locks.withdraw(node, owner, died=died)
            if mine:
                touched.append(path)
        for node in self.nodes.values():
            node.opens = [owner for owner in node.opens if owner[0] != number]
        self.reap()
        for path in touched:
            if path in self.nodes:
                locks.settle(self, path)
        del self.sessions[number]
        self.ended.append(number)
        return Applied()

    def _end_lock_delay(self, body: EndLockDelay) -> Reply:
        node = self.nodes.get(body.path)
        if node is None or (node.instance, node.lock_generation) != (body.instance, body.generation):
            raise Void(ErrorCode.GENERATION_MISMATCH)
        if not node.delayed:
            raise Void(ErrorCode.GENERATION_MISMATCH)
        node.delayed, node.owed = False, 0
        locks.settle(self, body.path)
        return Applied()

    def _request(self, request: Request) -> Reply:
        self.of_session, self.of_number = request.session, request.number
        session = self.sessions.get(request.session)
        if session is None:
            raise Void(ErrorCode.SESSION_EXPIRED)
        session.acknowledged = max(session.acknowledged, request.acknowledged)
        for number in list(session.replies):
            if number <= session.acknowledged:
                del session.replies[number]
        if request.number <= session.acknowledged:
            raise Void(ErrorCode.CANCELLED)
        if request.number in session.replies:
            self.repeated = True
            return self.remembered(request.session, request.number)
        if len(session.replies) >= 1024:
            raise Void(ErrorCode.OVERLOADED)
        reply = self._action(request.session, request.action)
        if isinstance(reply, Applied):
            reply = Applied(self.revision + 1 if self.told else self.revision)
        waits = isinstance(reply, LockAnswer) and reply.standing == LockStanding.WAITING
        if waits and isinstance(request.action, AcquireLock):
            session.replies[request.number] = request.action
        else:
            session.replies[request.number] = reply
        return reply

    def remembered(self, number: int, call: int) -> Reply:
        """The answer to a call that was carried out already."""
        stored = self.sessions[number].replies[call]
        if not isinstance(stored, AcquireLock):
            return stored
        node = self.nodes.get(stored.path)
        if node is None or node.instance != stored.instance:
            return Failure(ErrorCode.HANDLE_INVALID, "")
        return locks.standing(node, (number, stored.handle))

    def _action(self, session: int, action: Action) -> Reply:
        if isinstance(action, Transaction):
            return transact(self, session, action)
        if action.handle < 1:
            return Failure(ErrorCode.BAD_ARGUMENT, "")
        owner = (session, action.handle)
        node = self.nodes.get(action.path)
        if node is not None and node.instance != action.instance:
            node = None
        if isinstance(action, CloseHandle):
            if node is not None:
                locks.withdraw(node, owner, died=False)
                if owner in node.opens:
                    node.opens.remove(owner)
                    self.reap()
                if action.path in self.nodes:
                    locks.settle(self, action.path)
            return Applied()
        if node is None:
            return Failure(ErrorCode.HANDLE_INVALID, "")
        if isinstance(action, AcquireLock):
            return locks.acquire(self, action.path, node, owner, action)
        if isinstance(action, CancelAcquire):
            if locks.standing(node, owner).standing == LockStanding.WAITING:
                locks.withdraw(node, owner, died=False)
                locks.settle(self, action.path)
            return locks.standing(node, owner)
        assert isinstance(action, ReleaseLock)
        if locks.standing(node, owner).standing != LockStanding.HELD:
            return Failure(ErrorCode.LOCK_NOT_HELD, "")
        locks.withdraw(node, owner, died=False)
        locks.settle(self, action.path)
        return LockAnswer(LockStanding.NONE)
