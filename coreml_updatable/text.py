"""Text from outside (names in a model, paths, labels, fields of a file) made fit to leave: for a terminal, JSON, pages.

A name may hold anything: commands to a terminal, line breaks that begin a line of their own, characters that reverse
or hide what stands beside them, a million letters. Nothing is lost to a program, since JSON carries the same characters
as escapes; a person sees each of them as ``\\x1b``.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from math import isfinite
from typing import Any

MAX_QUOTED = 200  # characters of a name in quotation marks
MAX_WORD = 500  # of one without: a path is rarely longer
MAX_LINE = 4000
MAX_MARKS = 4  # on one letter; no script in use needs more, and more of them cover the lines around

_QUOTED = re.compile(rf"(?<!\w)'[^']{{{MAX_QUOTED + 1},}}'(?!\w)")
_WORD = re.compile(rf"\S{{{MAX_WORD + 1},}}")
_UNUSUAL = re.compile(r"[^\x20-\x7e]+")
# Invisible, though Python calls them printable: joiners, fillers, blanks and selectors of variants (but for those of
# emoji, U+FE0E and U+FE0F). Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt, and the blank braille.
_INVISIBLE = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0),
            *range(0xFE00, 0xFE0E),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


def visible(text: str, keep: str = "") -> str:
    """Return ``text`` as one line in which every character is visible: all others are escaped as in Python literals."""
    return _escaped(text, _as_literal, keep)


def sentence(text: str) -> str:
    """Return ``text`` as one visible line of at most ``MAX_LINE`` characters."""
    if len(text) > MAX_QUOTED:
        text = _QUOTED.sub(lambda item: f"'{shortened(item.group()[1:-1], MAX_QUOTED)}'", text)
        text = _WORD.sub(lambda entry: shortened(entry.group(), MAX_WORD), text)
    return shortened(visible(shortened(text, MAX_LINE)), MAX_LINE)


def is_name(text: str) -> bool:
    """Return whether ``text`` is usable as a name in a line: no control characters or line breaks, not blank."""
    return bool(text.strip()) and not any(unicodedata.category(item) in ("Cc", "Cs", "Zl", "Zp") for item in text)


def shortened(text: str, limit: int) -> str:
    """``text``, or its beginning and end with the number of characters left out between them; at most ``limit``."""
    if len(text) <= limit:
        return text
    room = limit - len(f"…{len(text)} more characters…")
    begin = max(1, room * 2 // 3)
    end = max(1, room - begin)
    return f"{text[:begin]}…{len(text) - begin - end} more characters…{text[-end:]}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" with the name of ``known`` most like ``name``; "" if none is like it."""
    near = get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]!r}?" if near else ""


def field_meant(name: str, known: Collection[str]) -> str:
    """What to say of a field that there is not: the one that was meant, else all that there are."""
    near = get_close_matches(name, known, 1, 0.5)
    return f"did you mean `{near[0]}`?" if near else f"the fields are {', '.join(sorted(known))}"


def finite(value: Any) -> Any:
    """``value`` as dictionaries, lists, strings and numbers, None for a number that JSON does not have."""
    if isinstance(value, Mapping):
        return {key: finite(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [finite(element) for element in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def json_text(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """``value`` as JSON of printable characters and the line breaks of ``indent``; ValueError for NaN and infinity.

    What is not printable stands as ``\\u009b``: a parser gives the same strings back.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, allow_nan=False)
    return _escaped(text, _as_json, "\n")  # a line break in a string is escaped by now


def on_page(value: Any) -> Any:
    """For the templates of HTML pages: strings visible, lines kept; what is markup, or no string, as it is."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return visible(value, keep="\n\u00a0")


def _escaped(text: str, escape: Callable[[str], str], keep: str) -> str:
    def fixed(result: re.Match[str]) -> str:
        marks = MAX_MARKS if result.start() == 0 else 0  # at the start there is no letter to carry one
        parts = []
        for character in result.group():
            marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
            seen = character.isprintable() and character not in _INVISIBLE and marks <= MAX_MARKS
            parts.append(character if seen or character in keep else escape(character))
        return "".join(parts)

    return _UNUSUAL.sub(fixed, text)


def _as_literal(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _as_json(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
