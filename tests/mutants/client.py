"""Mutants of the client (`chubby.client`, DESIGN §5, §6)."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

_CORE = "chubby.client.session_core"

MUTANTS: Final = (
    Mutant(
        "cache_lease_counted_from_receipt",
        "a cache lease is counted from the send of its call (§5 Three leases)",
        _CORE,
        (("self._tenure.renew(flight.sent, 0, frame.cache_lease)", "self._tenure.renew(now, 0, frame.cache_lease)"),),
    ),
    Mutant(
        "session_lease_counted_from_receipt",
        "a session lease is counted from the send of its KeepAlive (§5 KeepAlive)",
        _CORE,
        (
            (
                "            self._tenure.answered(frame)\n",
                "            self._tenure.keep_alive.answered(frame)\n"
                "            self._tenure.renew(now, frame.session_lease, frame.cache_lease)\n",
            ),
        ),
    ),
    Mutant(
        "session_lease_not_shortened",
        "the client's deadline is shortened by the clock-rate bound (§5 KeepAlive)",
        "chubby.client.lease",
        (("return lease * (_MILLION - drift_ppm) // (_MILLION + drift_ppm)", "return lease"),),
    ),
    Mutant(
        "cache_kept_over_resume",
        "the client empties its cache before Resume (§5 Fail-over)",
        "chubby.client.pushes",
        (("        self._owed.clear()\n        self.empty()\n", "        self._owed.clear()\n"),),
    ),
    Mutant(
        "acknowledged_before_carried_out",
        "an acknowledgement says that nobody reads the old value here any more (§5 Invalidate first)",
        "chubby.client.pushes",
        (("        for key in push.invalidate:\n", "        for key in push.invalidate[1:]:\n"),),
    ),
    Mutant(
        "own_copy_kept",
        "the writer drops its own copies before it sends (§5 Invalidate first)",
        "chubby.client.cache_rules",
        (
            (
                "    elif isinstance(call, SetContents | SetAcl | SetAttributes):\n        cache.drop_own(",
                "    elif isinstance(call, SetAcl | SetAttributes):\n        cache.drop_own(",
            ),
        ),
    ),
    Mutant(
        "older_answer_refills",
        "an older call's answer does not bring back what an own change dropped (§5 Invalidate first)",
        "chubby.client.cache",
        (
            (
                "return self._own_changes.get(path, 0) <= number and self._own_wide <= number",
                "return self._own_wide <= number",
            ),
        ),
    ),
    Mutant(
        "retried_under_a_new_number",
        "a call keeps its number across streams and masters (§4 Sessions)",
        "chubby.client.in_flight",
        (
            (
                "        self._waiting = deque(self)\n",
                "        for flight in self:\n"
                "            if flight.stream:\n"
                "                del self._by_number[flight.number]\n"
                "                flight.formerly.append(flight.number)\n"
                "                self._renumbered[flight.number] = flight\n"
                "                flight.number, self._next = self._next, self._next + 1\n"
                "                self._by_number[flight.number] = flight\n"
                "        self._advance()\n"
                "        self._waiting = deque(self)\n",
            ),
        ),
    ),
    Mutant(
        "stale_stream_input_accepted",
        "older input is dropped: the highest stream number wins (§6)",
        "chubby.client.stream",
        (
            (
                "return stream == self.number and self.phase not in (Phase.IDLE, Phase.RESTING)",
                "return stream <= self.number and self.phase not in (Phase.IDLE, Phase.RESTING)",
            ),
        ),
    ),
)
