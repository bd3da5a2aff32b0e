"""Following the master's whereabouts: the present one, then every newest one."""

from __future__ import annotations

import asyncio

from chubby.daemon.compass import Compass
from chubby.types.status import Location


def location(epoch: int, master: int = 1) -> Location:
    """A location of that epoch."""
    return Location("test", 7, master, f"127.0.0.1:{master}", epoch, ("127.0.0.1:1",))


async def test_a_follower_hears_the_present_location_at_once() -> None:
    """No waiting for a change to learn who is master."""
    compass = Compass(location(1))
    follower = compass.follow()
    assert await anext(follower) == location(1)


async def test_a_follower_hears_each_change() -> None:
    """DESIGN §6: an idle watch on another replica tells of a new epoch at once."""
    compass = Compass(location(1))
    follower = compass.follow()
    await anext(follower)
    waiting = asyncio.ensure_future(anext(follower))
    await asyncio.sleep(0)
    assert not waiting.done()
    compass.turn(location(2))
    assert await asyncio.wait_for(waiting, 30) == location(2)


async def test_a_slow_follower_hears_only_the_newest() -> None:
    """Nothing queues up for those who do not listen."""
    compass = Compass(location(1))
    follower = compass.follow()
    await anext(follower)
    for epoch in range(2, 10):
        compass.turn(location(epoch))
    assert await asyncio.wait_for(anext(follower), 30) == location(9)


async def test_the_same_location_again_is_no_news() -> None:
    """Turning to where it points already wakes nobody."""
    compass = Compass(location(1))
    follower = compass.follow()
    await anext(follower)
    waiting = asyncio.ensure_future(anext(follower))
    await asyncio.sleep(0)
    compass.turn(location(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
