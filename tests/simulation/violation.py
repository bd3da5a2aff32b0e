"""What a checker raises."""


class Violation(AssertionError):
    """A promise was broken."""
