"""Tests of `chubby.config`."""
