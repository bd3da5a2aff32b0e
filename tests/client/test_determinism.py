"""What a session takes from its machine can be given to it, and nothing else decides what it does: so that a simulation
has the same run twice.
"""

from __future__ import annotations

from functools import partial

from chubby import aio
from chubby.client.driver import Driver
from chubby.client.state import SessionState
from chubby.types.stream import OpenSession
from tests.client.conftest import cut_off, sleep_through
from tests.client.fake_network import ADDRESSES, FakeNetwork


async def test_the_nonce_can_be_given(network: FakeNetwork) -> None:
    """DESIGN §6: what opens the session bears it; else it is drawn, and differs."""
    greetings = []
    for given in (77, 77, None, None):
        driver = Driver(network, ADDRESSES, nonce=given)
        greeting = driver.core.identity.greeting(1, driver.core.desk)
        assert isinstance(greeting, OpenSession)
        greetings.append(greeting.nonce)
    assert greetings[:2] == [77, 77] and len(set(greetings)) == 3


async def test_those_who_listen_are_told_in_the_order_in_which_they_began(session: aio.Session) -> None:
    """Whatever addresses their mailboxes happen to have."""
    told: list[int] = []
    listeners = [session._driver.listen() for _ in range(40)]
    for number, mailbox in enumerate(listeners):
        mailbox.take()
        mailbox.subscribe(partial(told.append, number))
    cut_off(session)
    sleep_through(session, 13.0)
    assert session.state is SessionState.JEOPARDY
    assert told == list(range(40))


async def test_who_stopped_listening_is_forgotten(session: aio.Session) -> None:
    """A mailbox lasts as long as somebody keeps it."""
    kept = session._driver.listen()
    session._driver.listen()
    assert list(session._driver._state_mail) == [kept]
