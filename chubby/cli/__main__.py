"""`python -m chubby.cli`: the same as `chubby`."""

from chubby.cli.main import main

main()
