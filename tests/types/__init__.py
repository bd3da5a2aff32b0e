"""Tests of `chubby.types`."""
