"""The client's side of a session: a pure core, an asyncio shell around it, a synchronous face, and recipes.

A session is a promise with an end: until its *session lease* runs out, the cell keeps the session's locks, handles and
ephemeral nodes; until its *cache lease* runs out, no cached value changes behind the client's back. Everything here
serves two sentences of DESIGN §6: *no lock is lost in silence*, and *a cached read is never stale*.

The core (PURE: no clock, no network, no chance; time and jitter are arguments) takes inputs and gives effects:

    connected / disconnected / received / begin / cancel / poison / located / tick / close
        → Connect, Send, Disconnect, Complete, Deliver, StateChanged; and `wake_at()`

| module           | what it holds                                                                           |
|------------------|-----------------------------------------------------------------------------------------|
| `state`          | the automaton of a session, as one literal table                                        |
| `lease`          | deadlines counted from one's own send, shortened by the clock bound, never moved back   |
| `cache`          | the consistent cache: hits, fills, drops; read by any thread without a lock             |
| `cache_rules`    | which keys a call changes, which entries an answer fills, which call a hit answers      |
| `in_flight`      | numbered calls until their answers; the window; deadlines                               |
| `handle_table`   | what the session knows of its handles                                                   |
| `subscriptions`  | watches and the event cursor: every event once                                          |
| `stream`         | one connection after the other: phases, patience, back-off, KeepAlive                   |
| `keep_alive`, `tenure` | when to renew the leases, when silence is too long; until when the session is ours |
| `identity`, `verdicts`, `statistics` | how a session greets a master; what a caller out of time is told; a picture |
| `call_desk`      | begin, send, answer, give up; aftercare: no ghost waiter, no orphaned handle           |
| `effects`        | what the core asks of its shell                                                         |
| `session_core`   | all of these behind one door                                                            |

The shell executes effects and owns what is not pure:

| module           | what it does                                                                            |
|------------------|-----------------------------------------------------------------------------------------|
| `network`        | the protocols a network must satisfy; tests and the simulator bring their own           |
| `grpc_network`   | the real one                                                                            |
| `locator`        | asks all replicas who is master, and keeps an idle watch on one of them                 |
| `driver`         | core + clock + network + futures                                                        |
| `operations`     | every handle and session operation once, for both faces                                 |
| `session`, `handle`, `streams` | the asyncio face: `chubby.aio.connect`                                    |
| `sync`, `sync_handle`, `portal` | the synchronous face: `chubby.connect`                                   |
| `recipes`        | Election, Lock, ServiceRegistry, ConfigWatcher, Barrier, fencing.Guard                  |

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
