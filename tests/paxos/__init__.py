"""Tests of the replicated log: units, sentences of the papers, transcripts, and a seeded world of faults."""
