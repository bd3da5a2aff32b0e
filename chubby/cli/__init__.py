"""`chubby ...`: the command line, thin (DESIGN §2)."""
