"""Tests of `chubby.errors`."""
