"""Measurements of whole cells, made of the processes that users run. Nothing here is part of the package.

`python -m bench.done_when` measures what a cell promises and `python -m bench.mount` what a mount costs, each figure
beside what it is compared to.
"""
