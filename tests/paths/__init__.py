"""Tests of `chubby.paths`."""
