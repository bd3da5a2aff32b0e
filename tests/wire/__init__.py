"""Tests of `chubby.wire`."""
