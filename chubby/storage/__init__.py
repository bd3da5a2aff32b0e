"""The disk: what a replica must never forget, and how it notices that it did (DESIGN §3 Disk, Incarnations).

A vote is worth what the disk remembers of it. Paxos is safe if an acceptor never goes back on a promise, so this room
has one task above all: to tell, at every start, *all that was synced is here* from *something is missing*, and never to
mistake the second for the first. A replica that cannot be sure is not unsafe, only new: it returns as another
incarnation, as a learner.

| module                                   | what it is                                                                |
|------------------------------------------|---------------------------------------------------------------------------|
| `files`, `places`                        | the few operations asked of a file system, as a Protocol, and for real    |
| `faults`, `checksum`, `sealed`           | errors in words; CRC-32C; small blocks that verify themselves             |
| `records`, `segment`                     | a batch as one record; a file of them, zeroed in advance                  |
| `scan`, `replay`                         | reading them back: whole, torn or rotten; what they come to               |
| `wal`                                    | the log: one write and one fdatasync for a batch                          |
| `snapshot_format`, `_reader`, `_writer`  | a snapshot as bytes; read from anywhere; written or received in pieces    |
| `manifest`, `snapshots`                  | which files there are; the two snapshots that are kept                    |
| `life`, `directory`                      | one incarnation's vote state; the data directory and its conditions       |

`docs/storage_format.md` tells the bytes. Importers take from the modules; nothing is re-exported here.

Torn or rotten
--------------

Power fails in the middle of a write: of its 512-byte sectors any subset is on disk. The disk rots: any byte changes.
The first is everyday and harmless, because nobody had been told yet that the write was durable; the second may be a
forgotten promise. They are told apart by three facts that the format guarantees:

1. a batch is one record, one write and one fdatasync: when anything of record n+1 is on disk, record n was synced;
2. no sector of a record is zero, nor one flipped bit away from zero, and all sectors were zero before: so a zero sector
   was never written (or was lost as a whole, which nobody can tell);
3. nothing is ever written to a place a second time: segments are not recycled, records share no sector.

Hence *torn* is the last record, with nothing after it, and a sector of it still zero. `scan` has the table.

Invariants
----------

* What `Wal.append` returned from is recovered by every later start, or the start raises `CorruptData`.
* What a start recovered is durable when `open` returns: the last segment is written anew and synced, because what
  verifies may do so from the cache alone, and a sync after a failed sync proves nothing.
* Every file is complete and durable before the manifest names it, and is removed only after it ceased to.
* The log reaches back to the older of the two snapshots; no snapshot below `Contents.floor` is ever used.
* A snapshot is verified before it is named, and again after each start: the newest before anything rests on it, the
  older one soon after. Whatever falls back on the older one verifies it first.
* After ENOSPC or EIO on the log nothing more is appended; the replica stops with a message that says what to do.

What the shell does
-------------------

::

    with DataDirectory(OsFiles(path), replica=2) as directory:
        opened = directory.open(load)              # CorruptData: become_new_incarnation, then open again
        peer = Peer(opened.identity, opened.recovered, ...)
        opened.wal.append(ready.records)           # then peer.persisted(ready.number, now)
        opened.wal.tend()                          # when nothing waits: at most 1 MiB of preparation
        writer = opened.snapshots.begin(header)    # at 64 MiB of log: opened.wal.bytes_above(newest snapshot)
        ...                                        # writer.write(slice), between appends; writer.finish_step()
        opened.prune()
        for warning in opened.snapshots.recheck(): # when the replica is up: the older snapshot, 1 MiB with each step
            ...

`load` takes the slices of the newest snapshot while they are verified: a start reads it once. All calls are made by one
thread, `ChunkSink.verify` excepted, which reads a file that nobody else touches; none awaits anything, and nothing here
reads a clock or throws dice: a simulator runs all of it over a disk of its own (`tests/storage/fake_files.py`).
"""
