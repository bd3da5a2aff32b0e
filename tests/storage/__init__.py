"""Tests of the disk: every rule of DESIGN §3 "Disk" and "Incarnations" has one that fails when it is broken."""
