"""Did clients see what one object, used by one client after the other, could have shown them?

*Linearizability* (Herlihy and Wing, 1990): every operation seems to take effect at one instant between its invocation
and its return. It is the promise that hides all replicas, caches and fail-overs from clients, and it is checked on
histories alone: nothing of the service is imported here, nothing of it is believed.

    history  ->  partition by keys  ->  revisions.check       fast; needs revisions in the answers
                                    ->  linearizability.check  always; a search, bounded
                                    =   Verdict: LINEARIZABLE, BROKEN or UNDECIDED, with its reasons

| module            | what it is                                                                                   |
|-------------------|----------------------------------------------------------------------------------------------|
| `history`         | operations, their fates, well-formedness, partition; and a builder that takes down what happens |
| `model`           | what a sequential object is to the checkers                                                  |
| `registers`       | the textbook ones: a register with compare-and-set, a string that grows                      |
| `nodes`           | a node: made, read, written, compared and set, deleted, made again                           |
| `locks`           | a lock: exclusive, shared, hold periods and their tokens                                     |
| `transactions`    | several objects as one                                                                       |
| `linearizability` | the search of Wing and Gong, with the memory of Lowe                                         |
| `revisions`       | the check along an order that is known                                                       |
| `timetable`       | instants for an order, so that it fits into real time                                        |
| `verdict`         | what they say, and why                                                                       |
| `recorded`        | reads the recorded histories                                                                 |

Rules that all of it stands on:

- UNDECIDED is no pass: whoever asserts, asserts `verdict.passed`.
- An operation that certainly took no effect is not in a history. One of unknown outcome is, and may take effect late.
- What a checker cannot know (who waits in a queue, when a session ends) enters as an operation of unknown outcome.
- BROKEN is a proof, and so is LINEARIZABLE.

For the tests: `brute` is the definition itself, for tiny histories; `atomic` and `things` make histories that are
linearizable by construction.

Sources: J. Wing and C. Gong, *Testing and verifying concurrent objects*, 1993; G. Lowe, *Testing for linearizability*,
2017; A. Horn and D. Kroening, *Faster linearizability checking via P-compositionality*, 2015.
"""
