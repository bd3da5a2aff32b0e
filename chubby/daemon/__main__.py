"""`python -m chubby.daemon`: the same as `chubbyd`."""

from chubby.daemon.entry import main

main()
