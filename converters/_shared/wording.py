"""Shorten errors of other libraries for our one-sentence messages."""


def first_line(error: Exception) -> str:
    """Return the first line of its message, or its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
