"""Tests of `chubby.frontends`."""
