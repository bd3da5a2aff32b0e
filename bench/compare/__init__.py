"""The comparison: the same work on a cell of ours and on its peers, side by side, and what is written of it.

| module       | what it holds                                                                                         |
|--------------|-------------------------------------------------------------------------------------------------------|
| `catalogue`  | what is measured: works, and the points of each                                                       |
| `contenders` | who takes part: systems, their clients, and which members a client asks                               |
| `targets`    | what we want of the ratio at each point                                                               |
| `runner`     | one generator on one cluster: a `Measured`                                                            |
| `alternate`  | who runs when: one system up at a time, in turns, round by round                                      |
| `results`    | all that was measured, as JSON; medians, ranges, ratios                                               |
| `machine`    | what it was measured on                                                                               |
| `report`     | the results as a page of Markdown, and as a table on the terminal                                     |
| `charts`     | the results as SVG                                                                                    |

Systems take turns within each work, and the order moves on with each round, so that what else the machine does meets
all alike. Absolute figures speak of one machine and its neighbours; what counts is the ratio of medians in one run.
"""
