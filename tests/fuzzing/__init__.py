"""Fuzzing: whatever comes from outside is turned into sense or refused, never a crash, a hang or memory without end.

Every door at which bytes of others arrive has a *target*: a function `bytes -> None` that does with them what the
product does, and raises nothing but the refusals that the door documents. Three engines drive the same targets:

| engine                                         | when                   | what it is good at                        |
|------------------------------------------------|------------------------|-------------------------------------------|
| hypothesis, `test_targets.py`                  | `make test`            | near misses: good inputs, a little spoilt |
| the kept inputs, `test_kept.py`                | `make test`            | what was once wrong, and ways in          |
| atheris (libFuzzer), `python -m tests.fuzzing` | `make fuzz MINUTES=60` | ways into the code nobody thought of      |

and beside them state machines of hypothesis, where it is the order that matters: `test_directory_machine.py`,
`test_link_machine.py`, `test_stream_machine.py`, `test_session_machine.py`.

| module            | what it is                                                                   |
|-------------------|------------------------------------------------------------------------------|
| `target`          | a target: its refusals, its samples, its bombs; and what one input may cost   |
| `program`         | bytes read as a little program, where one input is a sequence of steps       |
| `mutation`        | hypothesis strategies: samples, spoilt                                       |
| `links`           | replica links: frames, handshake, messages                                   |
| `disk`, `states`  | the log, the data directory; snapshots, chunks of them, backups              |
| `packets`         | session streams as bytes, both ways; what is asked of a cell besides          |
| `cell`, `streams` | a production replica that is a cell of its own; any client of it             |
| `sessions`        | the client's session under any cell                                          |
| `texts`, `seals`  | configuration, names, attributes, lists; tickets and sequencers              |
| `table`           | all targets, by name                                                         |
| `kept`            | inputs on disk, named by what is in them: `corpus/`, `regressions/`          |
| `engine`          | one target under atheris, in a process of its own                            |
| `campaign`        | many of those, one after the other; what they report, as a table             |

**Bounds.** What one input costs is measured, not felt: steps are calls of functions (the same number on any machine),
memory is the peak of what Python allocates. An input of n bytes may cost what its target says, in proportion to n: a
*bomb* is an input made to cost more (an announced length, a nesting, a compressed run of zeros, very many of the
smallest part there is), and each target that has such parts is tried with bombs of growing size.
"""
