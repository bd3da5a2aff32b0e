"""Tests of the client: its pure core against a scripted master, its shell against a cell in the same process."""
