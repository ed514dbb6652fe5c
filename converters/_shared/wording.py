"""What an error of another library contributes to our one sentence."""


def first_line(error: Exception) -> str:
    """The first line of its message, or its kind where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
