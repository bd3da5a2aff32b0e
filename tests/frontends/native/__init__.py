"""Tests of `chubby.frontends.native`, over a real server on loopback and a door of a few lines."""
