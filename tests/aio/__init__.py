"""Tests of `chubby.aio`."""
