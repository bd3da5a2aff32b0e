"""Tests of the replicated log: units, properties, sentences of the papers, transcripts, and a seeded world of faults."""
