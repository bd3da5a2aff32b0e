"""Programs as users write them, on production recipes, sessions and handles, each with the checker of what it proves.

Everything above the pure session core is asyncio. Here it runs on `VirtualLoop`, a loop on virtual time; its
network is `ProgramNetwork`, its clock that of the simulated machine, its chances those of the seed. So the whole client
is production code but for what `chubby.client.driver.Driver` is given: network, addresses, clock, jitter and nonce.

| module     | recipe                   | what must hold                                                               |
|------------|--------------------------|------------------------------------------------------------------------------|
| `process`  | -                        | the loop, the sessions and the fate of one process                           |
| `wire`     | -                        | `chubby.client.network.Network` over simulated links                         |
| `leaders`  | Election, fencing.Guard  | one leader acts at a time; tokens grow; the guard refuses former leaders     |
| `counters` | Lock, sequencers         | no count is lost, though locks are                                           |
| `services` | ServiceRegistry          | who is registered is seen until it leaves or dies                            |
| `settings` | ConfigWatcher            | newer and newer values, in the end the last; no read older than a write      |
| `parties`  | Barrier                  | nobody is let in before all are there, nor out while somebody is inside      |

After the faults each must serve everybody again: a leader is elected and seen, all count, all see who is there and
which value is the last, parties pass the barrier. Then all processes end, and leave nothing behind.
"""
