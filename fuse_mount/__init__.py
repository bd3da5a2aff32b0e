"""The mount: a cell as a directory, for programs that know nothing of this project (DESIGN §2; docs/mount.md).

An ordinary client with the kernel on its other side. What is hard about it is that there are two caches, ours and the
kernel's, two ideas of who owns a lock, and two lives, the session's and the descriptor's.

::

    kernel ── libfuse ── binding, adapter_* ──▶ FileSystem ◀── CellFiles (one cell) or EveryCell (/ls)
                 ▲                                                 │
                 │ forget these pages                              ├─ Tree, Extended   names and metadata
                 └──────── Kernel ◀── Follower, before ◀── cell    ├─ Files            open files, contents, pages
                                                                   ├─ Locking, Locks   flock, fcntl
                                                                   └─ Controls         .chubby
                                                                          │
                                                        Tenure: one session, its Reader and Locks

**Content.** Of each node that is open here there is one content: the newest that the cell has told, or a buffer with
what was written over it (`contents`). Reads are answered from it and never wait for the network: a read that waited in
jeopardy would hold up the invalidation that ends the jeopardy. Opening fetches, flushing commits (`files`).

**Freshness.** An open that begins after a writer has had its answer sees what was written, on every machine. For the
session's cache is consistent, and the kernel's pages are used only while they are known to be of the version that the
session's cache says is the present one (`pages`). A descriptor that was open before sees it as soon as the watch has
told (`notices`); until the change it may see the old, never a mixture of sizes.

**Locks.** A lock of the kernel's is a lock of the cell's: the cell arbitrates among mounts, the mount among its own
processes (`grips`, `claims`, `locks`). Taking one shows the newest content, giving one back commits first (`locking`).

**Loss.** When the session expires, all that rests on it is over: descriptors answer EIO, locks are gone. New opens use
the next session (`tenure`).

| modules                                                                     | pure | what                        |
|-----------------------------------------------------------------------------|------|-----------------------------|
| `names`, `errnos`, `attributes`, `xattrs`, `contents`, `pages`              | yes  | what things mean            |
| `ranges`, `grips`, `claims`, `obstacles`                                    | yes  | who has which lock          |
| `tenure`, `reader`, `locks`, `janitor`                                      |      | one session                 |
| `open_nodes`, `showing`, `commits`, `files`                                 |      | open files                  |
| `tree`, `extended`, `ancestry`, `locking`, `usage`                          |      | one cell                    |
| `controls`, `virtual`, `notices`, `kernel`, `touches`                       |      | news, and who is told       |
| `filesystem`, `cell_files`, `every_cell`                                    |      | the seam, and what fills it |
| `binding`, `adapter*`, `library`, `exchange`, `callers`, `requests`, `life` |      | libfuse                     |
| `making`, `daemon`, `process`, `starting`, `orders`, `logs`, `wake`         |      | the process, from its start |
| `mount_table`, `unmounting`, `users`, `troubles`                            |      | to its end                  |
"""
