"""Chubby as everyone can have it: a lock service with a file-system interface."""

__version__ = "0.1.0"
