"""`python -m chubby.daemon`: the same as `chubbyd`."""

from chubby.daemon.main import main

main()
