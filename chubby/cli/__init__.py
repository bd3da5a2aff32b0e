"""`chubby ...`: the command line, thin (DESIGN §2). It asks the client, and prints.

    main → program → one command → session (ports ← client_session) → the client
                                 → asking → every replica for itself (status, replica)

| module                              | what it does                                                                |
|-------------------------------------|-----------------------------------------------------------------------------|
| `entry`, `main`, `program`, `exits` | the group: commands loaded when asked for; errors as a line and an exit code|
| `options`, `output`                 | names, --cell, --config, --address, --timeout; tables and JSON              |
| `standard_input`                    | contents that are piped in, answers of a person                             |
| `running`, `session`                | a loop that ends in good order whatever ends it; a session for a command    |
| `ports`, `client_session`           | what commands need of a session, and the real client behind it              |
| `reading`, `writing`, `trees`       | ls tree cat stat; put mkdir rm; missing parents, subtrees                   |
| `operating`, `acl`, `watch`         | locks sessions check-sequencer step-down; access control; events            |
| `txn`, `txn_format`, `txn_json`     | transactions from a file                                                    |
| `status`, `status_view`, `asking`   | one picture of the cell, with or without a master                           |
| `replica`, `members`                | changes of membership, and what to say before them                          |
| `lock`, `lock_table`, `supervisor`  | a command under a lock: the table, and who does what it says                |
| `command`, `launch`, `guardian`     | its process group, that never outlives us                                   |
| `backup`, `backup_*`, `recover`     | copies of a cell, and a new cell from what is left of one                   |
| `cell`, `cell_start`, `cell_view`, `children` | a whole cell on this machine                                      |

Rules that every command keeps:

- **stdout is the answer**, for a pipe as well as for a person; everything else goes to stderr as `chubby: ...`.
- **--json** wherever something is printed; the shapes in `output` are part of the interface.
- **A session is closed whatever happens**: Ctrl-C, SIGTERM, an error. It does not cache.
- **What is decided upon state is guarded by that state**: changes are transactions, and lost races are run again.

And `chubby lock`: *the command runs only while its lock is surely held.* Doubt freezes it, a master's word continues
it, loss ends it; sleeping through the lease is a loss. If the wrapper is killed the command goes with it, and the
lock-delay keeps the lock closed for as long as that may take. What has left the process group (by setsid) is out of
reach: there the token protects the resource.
"""
