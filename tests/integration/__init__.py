"""Real processes on loopback: five `chubbyd`s, real disks, real clients, kill -9."""
