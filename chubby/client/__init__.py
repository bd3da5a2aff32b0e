"""The client's side of a session: a pure core, an asyncio shell around it, a synchronous face, and recipes.

A session is a promise with an end: until its *session lease* runs out, the cell keeps the session's locks, handles and
ephemeral nodes; until its *cache lease* runs out, no cached value changes behind the client's back. Everything here
serves two sentences of DESIGN §6: *no lock is lost in silence*, and *a cached read is never stale*.

The core (PURE: no clock, no network, no chance; time and jitter are arguments) takes inputs and gives effects:

    connected / disconnected / received / begin / cancel / poison / located / relayed / tick / close
        → Connect, Send, Disconnect, Complete, Deliver, StateChanged, Relay; and `wake_at()`

| module                    | what it holds                                                                         |
|---------------------------|---------------------------------------------------------------------------------------|
| `session_core`            | the door: inputs, effects, and the order in which time, frames and timers count       |
| `state`                   | the automaton of a session, as one literal table                                      |
| `lease`, `tenure`         | deadlines counted from one's own send, shortened by the clock bound, never moved back |
| `keep_alive`              | when to renew the leases, and when silence has lasted too long                        |
| `stream`, `identity`      | one connection after the other: phases, patience, back-off; how each one is greeted   |
| `cache`                   | the consistent cache: hits, fills, drops; read by any thread without a lock           |
| `cache_rules`             | which call a hit answers, which keys a call changes, which entries an answer fills    |
| `pushes`                  | invalidations in order, acknowledged when whatever rests on the cache has dropped too |
| `in_flight`               | numbered calls until their answers; the window; deadlines                             |
| `call_desk`, `verdicts`   | begin, send, answer, give up; aftercare: no ghost in a queue, no orphaned handle      |
| `rebinding`               | sequencers bound to handles, told to each new master before anything else goes through |
| `handle_table`            | what the session knows of its handles                                                 |
| `subscriptions`           | watches and the event cursor: every event once                                        |
| `effects`, `statistics`   | what the core asks of its shell; a picture for humans                                 |

The shell executes effects and owns what is not pure:

| module                    | what it does                                                                          |
|---------------------------|---------------------------------------------------------------------------------------|
| `driver`                  | core + clock + network + futures, one timer, no task per call                         |
| `dependant`               | tells a cache that rests on the session's what to drop, and waits for it              |
| `network`, `grpc_network` | what a network must do (tests and the simulator bring their own); the real one        |
| `locator`                 | asks all replicas who is master, and keeps an idle watch on one of them               |
| `mailbox`                 | where events wait: bounded, in order; callbacks in a thread of their own              |
| `operations`              | every operation of the interface once, for both faces                                 |
| `names`, `opening`, `sequencer` | what users call nodes; what they may say when opening one; bytes with a meaning |
| `session`, `handle`, `watch`, `streams`, `ready` | the asyncio face: `chubby.aio.connect`                         |
| `sync`, `sync_handle`, `sync_events` | the synchronous face: `chubby.connect`                                     |
| `seam`, `portal`          | how that face is sewn to the asyncio one; the way to its loop and back                |
| `recipes`                 | Election, Lock, ServiceRegistry, ConfigWatcher, Barrier, fencing.Guard                |

Invariants, each with a test that fails without it:

- **The local lease ends first.** A deadline is the send time of the renewing frame plus lease × (1−ε)/(1+ε).
- **Time before everything.** Each input first lets pass what `now` makes overdue: a process that slept through its
  lease finds out at its very next call, not at the next timer.
- **A hit needs both leases**, live at an instant read after the caller asked and before the entry was looked up.
- **Drop before acknowledge, empty before Resume, drop one's own copy before sending a change.**
- **A call keeps its number** from begin to answer, across streams and masters; a repeat is recognised, not repeated.
- **A suffix is lost, or nothing**: once expired, every later call on every handle fails.
- **Every history event once**, in order, across streams; a gap only ever as RESYNC.
"""
