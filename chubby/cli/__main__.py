"""`python -m chubby.cli`: the same as `chubby`."""

from chubby.cli.entry import main

main()
