"""Whole cells of real processes: real disks, real sockets, real signals.

| module         | what it is                                                                                        |
|----------------|---------------------------------------------------------------------------------------------------|
| `cells`        | a cell of `chubbyd` processes in a temporary directory, on ports of its own                       |
| `programs`     | client processes: what one can be told to do, and what it says                                    |
| `conftest`     | one running cell for each module of tests, whole again before each test                           |

Nothing here waits for time to pass: every wait is for a condition, polled, with a deadline that a loaded machine keeps.
Whatever a test starts dies with it, and with the process that runs the tests.
"""
