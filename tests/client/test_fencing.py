"""The resource's side: a former holder is refused, whatever overtakes what (paper §2.4; DESIGN §4 Token)."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.client.recipes.fencing import AsyncGuard, Guard
from chubby.client.sequencer import meaning_of
from chubby.errors import SequencerInvalid
from chubby.master.sequencer import seal
from chubby.types.nodes import LockMode, Sequencer

KEYS, CELL = (b"some key",), 5


def sequencer(token: int, path: str = "/svc/leader") -> bytes:
    """What the cell would issue."""
    return seal(KEYS, CELL, Sequencer(path, 3, LockMode.EXCLUSIVE, 1, token))


def test_we_read_what_the_cell_writes() -> None:
    """The two sides of the format stand in different rooms; this keeps them together."""
    meaning = Sequencer("/svc/leader", 3, LockMode.SHARED, 9, 77)
    assert meaning_of(seal(KEYS, CELL, meaning)) == meaning


@given(st.binary(max_size=200))
def test_bytes_that_are_none_are_refused(data: bytes) -> None:
    """Whatever arrives, it is an answer or SequencerInvalid."""
    with contextlib.suppress(SequencerInvalid):
        assert isinstance(meaning_of(data), Sequencer)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 16,
        b"x" * 40,
        msgspec.msgpack.encode([1, 2, 3]) + bytes(16),
        b"\x97" + b"\xb4" * 37,
        b"\x96\xa1/\x01\x01\x01\x01" + b"\x91" * 5000,
    ],
)
def test_for_instance(data: bytes) -> None:
    """Too short, noise, something else well formed, text that is none, a nesting without end."""
    with pytest.raises(SequencerInvalid):
        Guard("/svc/leader").check(data)


class TestGuard:
    """For threads."""

    def test_lower_tokens_are_refused_once_a_higher_was_seen(self) -> None:
        """pains: "locks aren't really locks"."""
        guard = Guard("/ls/local/svc/leader")
        assert guard.check(sequencer(5)).token == 5
        assert guard.check(sequencer(5)).token == 5, "the same hold period goes on; shared holders have the same"
        guard.check(sequencer(9))
        with pytest.raises(SequencerInvalid, match="token 5 is older than 9"):
            guard.check(sequencer(5))
        assert guard.highest == 9

    @given(st.lists(st.integers(1, 50), max_size=40))
    def test_whatever_comes_in_whatever_order(self, tokens: list[int]) -> None:
        """Admitted are exactly those not below any before."""
        guard, highest = Guard("/svc/leader"), 0
        for token in tokens:
            if token < highest:
                with pytest.raises(SequencerInvalid):
                    guard.check(sequencer(token))
            else:
                guard.check(sequencer(token))
                highest = token
            assert guard.highest == highest

    def test_another_lock_is_none_of_ours(self) -> None:
        """Its tokens grow in the same cell, and would lock out the right holder."""
        guard = Guard("/svc/leader")
        with pytest.raises(SequencerInvalid, match="/other"):
            guard.check(sequencer(99, "/other"))
        assert guard.highest == 0

    def test_what_was_seen_before_a_restart(self) -> None:
        """`highest` is kept with the data, and given back."""
        with pytest.raises(SequencerInvalid):
            Guard("/svc/leader", highest=8).check(sequencer(7))

    def test_decorated(self) -> None:
        """The function runs only for the present holder."""
        guard = Guard("/svc/leader")
        written: list[bytes] = []

        @guard
        def write(block: bytes, *, twice: bool = False) -> int:
            written.extend([block] * (2 if twice else 1))
            return len(written)

        assert write(sequencer(5), b"a", twice=True) == 2
        write(sequencer(6), b"b")
        with pytest.raises(SequencerInvalid):
            write(sequencer(5), b"late")
        assert written == [b"a", b"a", b"b"]

    def test_a_newer_deed_waits_for_an_older_one_and_shuts_the_door_behind_it(self) -> None:
        """Else the older one could finish after it, which is what fencing is to prevent."""
        guard, order = Guard("/svc/leader"), list[str]()
        inside, go, newer_waits = threading.Event(), threading.Event(), threading.Event()

        def old() -> None:
            with guard.admit(sequencer(5)):
                inside.set()
                go.wait(30)
                order.append("old")

        def new() -> None:
            newer_waits.set()
            with guard.admit(sequencer(6)):
                order.append("new")

        threads = [threading.Thread(target=old)]
        threads[0].start()
        assert inside.wait(30)
        threads.append(threading.Thread(target=new))
        threads[1].start()
        assert newer_waits.wait(30)
        while guard.highest < 6:
            pass
        with pytest.raises(SequencerInvalid), guard.admit(sequencer(5)):
            order.append("never")
        assert order == []
        go.set()
        for thread in threads:
            thread.join()
        assert order == ["old", "new"]

    def test_holders_of_one_token_do_not_wait_for_each_other(self) -> None:
        """Shared locks are shared."""
        guard = Guard("/svc/leader")
        with guard.admit(sequencer(5)), guard.admit(sequencer(5)) as meaning:
            assert meaning.token == 5

    def test_a_deed_that_fails_is_over(self) -> None:
        """The next one gets in."""
        guard = Guard("/svc/leader")
        with pytest.raises(ValueError, match="disk"), guard.admit(sequencer(5)):
            raise ValueError("disk")
        with guard.admit(sequencer(6)):
            pass

    def test_many_threads(self) -> None:
        """Never two tokens inside at once, and never an older one after a newer one."""
        guard, log, lock = Guard("/svc/leader"), list[int](), threading.Lock()
        inside: dict[int, int] = {}

        def work(token: int) -> None:
            try:
                with guard.admit(sequencer(token)):
                    with lock:
                        inside[token] = inside.get(token, 0) + 1
                        assert len(inside) == 1
                        log.append(token)
                    with lock:
                        inside[token] -= 1
                        if not inside[token]:
                            del inside[token]
            except SequencerInvalid:
                pass

        threads = [threading.Thread(target=work, args=(1 + index % 20,)) for index in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log == sorted(log) and log[-1] == 20


class TestAsyncGuard:
    """For the tasks of one loop."""

    async def test_the_same_rule(self) -> None:
        """Lower tokens are refused; a newer deed waits for an older one."""
        guard, order = AsyncGuard("/svc/leader"), list[str]()
        go = asyncio.Event()

        async def old() -> None:
            async with guard.admit(sequencer(5)):
                await go.wait()
                order.append("old")

        async def new() -> None:
            async with guard.admit(sequencer(6)):
                order.append("new")

        tasks = [asyncio.ensure_future(old())]
        await asyncio.sleep(0)
        tasks.append(asyncio.ensure_future(new()))
        await asyncio.sleep(0)
        assert guard.highest == 6 and order == []
        with pytest.raises(SequencerInvalid):
            guard.check(sequencer(5))
        go.set()
        await asyncio.gather(*tasks)
        assert order == ["old", "new"]

    async def test_overtaken_while_waiting_one_is_refused(self) -> None:
        """A third holder came before the second one's turn."""
        guard, go = AsyncGuard("/svc/leader"), asyncio.Event()

        async def deed(token: int) -> None:
            async with guard.admit(sequencer(token)):
                await go.wait()

        first, second = asyncio.ensure_future(deed(5)), None
        await asyncio.sleep(0)
        second = asyncio.ensure_future(deed(6))
        await asyncio.sleep(0)
        third = asyncio.ensure_future(deed(7))
        await asyncio.sleep(0)
        go.set()
        await first
        with pytest.raises(SequencerInvalid):
            await second
        await third

    async def test_one_cancelled_while_waiting_holds_nobody_up(self) -> None:
        """Neither before nor after it."""
        guard, go = AsyncGuard("/svc/leader"), asyncio.Event()

        async def deed(token: int) -> None:
            async with guard.admit(sequencer(token)):
                await go.wait()

        first = asyncio.ensure_future(deed(5))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(deed(6))
        await asyncio.sleep(0)
        second.cancel()
        third = asyncio.ensure_future(deed(7))
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, third)
        assert second.cancelled()
