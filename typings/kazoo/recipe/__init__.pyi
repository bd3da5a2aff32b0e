"""Recipes of kazoo."""
