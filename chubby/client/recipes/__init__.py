"""Recipes: what one builds on a lock service again and again, one file each (DESIGN §6).

| recipe            | what for                                          | stands on                                   |
|-------------------|---------------------------------------------------|---------------------------------------------|
| `election`        | one leader among many, known to everybody         | a lock, and the locked file's content       |
| `lock`            | a named mutex with a fencing token                | a lock                                      |
| `service_registry` | who offers a service, and where                   | ephemeral nodes, child events               |
| `config_watcher`  | a value everybody follows                         | a file, a watch                             |
| `barrier`         | wait for each other before and after a step       | ephemeral nodes, child events, transactions |
| `fencing`         | the resource's side: refuse a former holder       | tokens alone; needs no session              |

Each file opens with its error handling. What they share: an uncertain moment (JEOPARDY) is not a loss, and a loss
(SESSION_EXPIRED) is never silent: every later call raises. A recipe makes no new session behind its user's back: what
was lost with the old one, only the user can judge.

Every recipe is written once, for asyncio (`Async...`); the classes without that prefix are its synchronous face.
"""
