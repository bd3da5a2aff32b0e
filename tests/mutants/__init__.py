"""Known bugs, put into the product on purpose, to measure what whole-cell simulation finds ("Paxos Made Live" §6.2: the
authors left known bugs in to see that their tests find them).

Each mutant breaks one safety rule as a programmer might: a check left out, a comparison turned round, an instant taken
a moment too late. A client that is alone in a cell in which nothing goes wrong does not notice; among others, under
faults, some checker must find it within 2,000 seeds. One that survives is a checker, a fault or a workload that is
missing.

    make mutants                                      hunt for all of them
    python -m tests.mutants vote_not_persisted        for one
    python -m tests.mutants --recorded                each by the plan that is recorded as catching it: CI does this
    python -m tests.mutants --table                   the table of docs/testing.md, from what is recorded

| module      | what it is                                                                             |
|-------------|----------------------------------------------------------------------------------------|
| `mutant`    | a mutant: the rule, the module, the text before and after                              |
| `log`, `storage`, `machine`, `master`, `client` | the mutants themselves, by room                    |
| `catalogue` | all of them, by name                                                                   |
| `sabotage`  | compiles one module of the product with its text changed, as it is imported            |
| `trial`     | one mutant in a process of its own: seeds until it is caught                           |
| `runner`    | many trials beside each other                                                          |
| `records`   | which plan caught which mutant (`recorded.json`), and the table of it                  |

The production tree is never written to: a mutant lives in the memory of the process that tries it. What
`tests.paxos.mutants` does is the same for the log alone, in more detail, against the unit tests of its room.
"""
