"""The replicated log: Multi-Paxos as a sans-IO library (chapter to follow in full with the core)."""
