"""The interpreter of transcripts: commands in, what every replica does in words out (after etcd-io/raft's testdata).

A transcript is a list of blocks: a line of comment or none, commands, `----`, the output, a blank line. Commands:

    new SIZE                        a formatted cell of so many replicas, all up
    quiet COMMAND                   do it without output
    tick DURATION [REPLICA ...]     let time pass, then fire what is due
    run DURATION                    let time pass in small steps, everything delivered and synced at once
    elect REPLICA                   make it master, at rest
    propose REPLICA PAYLOAD ...     in one step
    deliver [LINK] [KIND]           what is queued now; LINK is 1→2, 1→, →2; drop: lose it instead
    repeat LINK KIND                deliver the last one of this kind that was ever sent there, once more
    inject LINK KIND ROUND.REPLICA  a Prepare or Canvass that nobody sent
    persist REPLICA                 its fsync is done
    settle                          deliver and sync until nothing moves
    crash REPLICA [KEEP]            KEEP: so many records of the running fsync survive
    restart REPLICA / wipe REPLICA INCARNATION
    cut LINK ... / heal             a link loses everything
    hand_over REPLICA [SUCCESSOR]
    remove MASTER REPLICA           ask the master for a change of the configuration; demote: make it a learner
    snapshot REPLICA                take one and forget the log before it
    status                          a line per replica
    log                             what every replica holds; `|` stands behind the chosen ones
"""

from __future__ import annotations

from collections.abc import Callable

from chubby.paxos.messages import Ballot, Canvass, Prepare
from chubby.types.identity import ReplicaId
from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.paxos.bench import Bench
from tests.paxos.words import ballot_words, configuration_words, entry_words


class Interpreter:
    """Runs one transcript."""

    def __init__(self) -> None:
        """No cell yet."""
        self._lines: list[str] = []
        self._bench: Bench | None = None
        self._quiet = False

    def run(self, commands: str) -> str:
        """Carry out the commands of a block; returns its output."""
        self._lines = []
        for line in commands.splitlines():
            words = line.split()
            if words and not line.startswith("#"):
                self._quiet = words[0] == "quiet"
                name, *arguments = words[1:] if self._quiet else words
                self._command(name)(*arguments)
                self._quiet = False
        return "".join(f"{line}\n" for line in self._lines) or "ok\n"

    def _command(self, name: str) -> Callable[..., None]:
        commands: dict[str, Callable[..., None]] = {
            "new": self._new,
            "tick": lambda duration, *only: self._on.tick(_duration(duration), [int(each) for each in only]),
            "run": lambda duration: self._on.run(_duration(duration)),
            "elect": lambda replica: self._on.elect(int(replica)),
            "propose": self._propose,
            "deliver": lambda *what: self._note(self._on.deliver(*_link(what)) == 0, "nothing to deliver"),
            "drop": lambda *what: self._say(f"lost {self._on.drop(*_link(what))}"),
            "repeat": self._repeat,
            "inject": self._inject,
            "persist": lambda replica: self._note(not self._on.persist(int(replica)), "nothing to sync"),
            "settle": self._settle,
            "crash": lambda replica, keep="0": self._on.crash(int(replica), int(keep)),
            "restart": lambda replica: self._on.restart(int(replica)),
            "wipe": lambda replica, incarnation: self._on.wipe(int(replica), int(incarnation)),
            "cut": lambda *links: self._on.cut.update(_link((link,))[:2] for link in links),
            "heal": self._heal,
            "hand_over": self._hand_over,
            "remove": lambda master, replica: self._change(int(master), int(replica), learner=False),
            "demote": lambda master, replica: self._change(int(master), int(replica), learner=True),
            "snapshot": lambda replica: self._on.snapshot(int(replica)),
            "status": self._status,
            "log": self._log,
        }
        return commands[name]

    @property
    def _on(self) -> Bench:
        assert self._bench is not None, "a transcript begins with `new`"
        return self._bench

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._lines.append(line)

    def _note(self, condition: bool, line: str) -> None:
        if condition:
            self._say(line)

    def _new(self, size: str) -> None:
        self._bench = Bench(int(size), self._say)

    def _settle(self) -> None:
        self._on.settle()

    def _heal(self) -> None:
        self._on.cut.clear()

    def _propose(self, replica: str, *payloads: str) -> None:
        self._note(not self._on.propose(int(replica), *payloads), "refused")

    def _repeat(self, *what: str) -> None:
        source, target, kind = _link(what)
        message = next(
            message
            for sender, receiver, message in reversed(self._on.sent)
            if (sender, receiver, type(message).__name__) == (source, target, kind)
        )
        self._on.receive(source, target, message)

    def _inject(self, link: str, kind: str, words: str) -> None:
        source, target, _ = _link((link,))
        number, replica = (int(word) for word in words.split("."))
        ballot = Ballot(number, replica, self._on.places[replica].member.incarnation)
        message = Prepare(ballot, 0) if kind == "Prepare" else Canvass(number, 0)
        self._on.receive(source, target, message)

    def _hand_over(self, replica: str, successor: str = "0") -> None:
        self._on.peer(int(replica)).hand_over(self._on.now, int(successor))
        self._on.drain(int(replica))

    def _change(self, master: ReplicaId, replica: ReplicaId, learner: bool) -> None:
        latest = self._on.peer(master).electorate.latest
        member = latest.member(replica)
        assert member is not None
        wanted = latest.with_learner(member) if learner else latest.without(replica)
        self._say(f"answer: {self._on.peer(master).reconfigure(wanted, self._on.now) or 'on its way'}")
        self._on.drain(master)

    def _status(self) -> None:
        for replica, place in self._on.places.items():
            if place.peer is None:
                self._say(f"{replica} down")
                continue
            status = place.peer.status(self._on.now)
            lease = max(0, status.lease_until - self._on.now) // MILLISECOND
            known = configuration_words(status.configuration) if status.configuration else "no configuration"
            self._say(
                f"{replica} {status.role.value}, master {status.master}, promised {ballot_words(status.promised)}, "
                f"chosen {status.chosen}, {known}" + (f", lease {lease}ms" if lease else "")
            )

    def _log(self) -> None:
        for replica, place in self._on.places.items():
            if place.peer is not None:
                held = place.peer._station.log.above(0)
                words = [entry_words(entry) for entry in held]
                chosen = sum(entry.slot <= place.peer.chosen for entry in held)
                self._say(" ".join((str(replica), *words[:chosen], "|", *words[chosen:])))


def _duration(text: str) -> Duration:
    return int(text[:-2]) * MILLISECOND if text.endswith("ms") else int(text[:-1]) * SECOND


def _link(words: tuple[str, ...]) -> tuple[ReplicaId, ReplicaId, str]:
    source = target = 0
    kind = ""
    for word in words:
        if "→" in word:
            left, _, right = word.partition("→")
            source, target = int(left or 0), int(right or 0)
        else:
            kind = word
    return source, target, kind


def replay(text: str) -> str:
    """The transcript `text` with the output that comes now."""
    interpreter = Interpreter()
    blocks = []
    for block in text.strip().split("\n\n"):
        commands, _, _ = block.partition("\n----")
        blocks.append(f"{commands}\n----\n{interpreter.run(commands)}")
    return "\n".join(blocks)
