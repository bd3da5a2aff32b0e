"""The deterministic machine (chapter to follow with the code)."""
