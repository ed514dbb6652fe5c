"""Sentences about photos, said of rows that are none: of poses, of clips."""

import re

WORDS = re.compile(r"\b(photo|picture)(s?)\b", re.IGNORECASE)
TAG = re.compile(r"(<[^>]*>)")
LITERAL = ("style", "code", "pre", "svg", "script")  # whose text is no prose


def reworded(text: str, noun: str) -> str:
    """``text`` with "photo" and "picture", one or many, replaced by ``noun``; as it is where that is empty."""
    return WORDS.sub(lambda found: _as_large(noun + found[2], found[0]), text) if noun else text


def page_reworded(page: str, noun: str) -> str:
    """The same for the prose of an HTML page: neither its tags nor its styles, code and drawings."""
    if not noun:
        return page
    parts, inside = [], ""
    for part in TAG.split(page):
        if not part.startswith("<"):
            parts.append(part if inside else reworded(part, noun))
            continue
        name = part.strip("</>").split(maxsplit=1)[0].lower()
        if name in LITERAL and not inside and not part.startswith("</"):
            inside = name
        elif name == inside and part.startswith("</"):
            inside = ""
        parts.append(part)
    return "".join(parts)


def _as_large(word: str, like: str) -> str:
    return word.capitalize() if like[0].isupper() else word
