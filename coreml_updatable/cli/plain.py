"""Text out of a file as a terminal may be given it: nothing in it can steer the terminal or reverse what is read."""


def plain(text: str) -> str:
    """Control, format and bidirectional characters, and every other that is not printable, as ``\\u202e``."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
