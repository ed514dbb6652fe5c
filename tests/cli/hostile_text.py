"""Names that would steer a terminal, forge a line, hide or flood, and a model that bears one in every place."""

import unicodedata
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from tests.cli.conftest import classifier

FORGED = "coreml-updatable: all good"
HOSTILE = {
    "clears the screen": "\x1b[2J\x1b[1;1Hgone",
    "sets the title": "\x1b]0;owned\x07",
    "links": "\x1b]8;;http://example.org\x1b\\click\x1b]8;;\x1b\\",
    "C1": "\x9b2J\x90q\x9c\x85" + FORGED,
    "DEL": "a\x7f\x7f",
    "a line": f"a\n{FORGED}",
    "a line at once": f"\n{FORGED}",
    "a line of Windows": f"a\r\n{FORGED}",
    "overwrites": f"{' ' * 30}\r{FORGED}",
    "tabs and feeds": f"a\t\x0b{FORGED}\x0c{FORGED}",
    "backspaces": "abc\x08\x08\x08xyz",
    "Unicode's lines": f"a\u2028{FORGED}\u2029{FORGED}\x1c\x1d\x1e{FORGED}",
    "reversed": "\u202egnp.exe\u202d\u2066\u2067\u2069\u200e\u200f\u061c",
    "of no width": "a\u200b\u200c\u200d\u2060\ufeff\u00adb",
    "blanks": "\u3164\u115f\u1160\uffa0\u2800\u00a0\u3000\u2003",
    "selectors": "a\ufe00\U000e0100\U000e01ef\u180b\u034f",
    "tags": "a\U000e0001\U000e0041\U000f0000",
    "marks": "a" + "\u0301\u0336\u20dd" * 400,
    "long": "n" * 300_000,
    "long with blanks": "m m " * 80_000,
    "markup": "[bold red]x[/bold red] [link=file:///etc]y[/link] :smiley: [/]",
    "formats": "%s {0} {x} $\\frac{1}$ `|` <script>alert(1)</script>",
    "quotes": "'\"\\' '",
}
FILE_NAMES = {  # what a file system takes
    key: name for key, name in HOSTILE.items() if len(name.encode()) < 200 and "/" not in name
} | {"not UTF-8": f"\udcff\udc9b2J\n{FORGED}"}
LONGEST_LINE = 10_000


def hostile_model(name: str) -> Any:
    """A trainable classifier whose features, layers, labels and metadata are called ``name`` and a letter."""
    model = classifier(["first", "second"], image=False, size=4)
    names = {
        "x": "i",
        "probabilities": "p",
        "probabilities_true": "t",
        "label": "l",
        "classLabel": "c",
        "flatten": "f",
        "flat": "g",
        "head": "h",
        "z": "z",
        "softmax": "s",
        "loss": "e",
        "first": "1",
        "second": "2",
    }
    _rename(model, {old: f"{name}{letter}" for old, letter in names.items()})
    text = model.description.metadata
    text.author, text.license, text.versionString, text.shortDescription = name, name, name, name
    text.userDefined[name] = name
    for feature in (*model.description.input, *model.description.output):
        feature.shortDescription = name
    return model


def _rename(message: Message, names: dict[str, str]) -> None:
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            if isinstance(value, str):
                setattr(message, field.name, names.get(value, value))
            elif not hasattr(value, "items"):
                value[:] = [names.get(entry, entry) for entry in value]
        elif field.type == field.TYPE_MESSAGE:
            if isinstance(value, Message):
                _rename(value, names)
            elif not hasattr(value, "items"):
                for item in value:
                    _rename(item, names)


def strings(value: Any) -> Iterator[str]:
    """Every string in a value of JSON, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, element in value.items():
            yield from (key, *strings(element))
    elif isinstance(value, list):
        for element in value:
            yield from strings(element)


def expect_safe(text: str) -> None:
    """Printable characters and line breaks alone; no line that a name began; nothing that fills the screen."""
    odd = {character for character in text.replace("\n", "") if not _is_plain(character)}
    assert not odd, ascii(sorted(odd))
    for line in text.split("\n"):
        assert not line.lstrip().startswith(FORGED)
        assert len(line) < LONGEST_LINE
    marks = "".join("m" if unicodedata.combining(item) or unicodedata.category(item) == "Me" else "-" for item in text)
    assert "m" * 5 not in marks


def _is_plain(character: str) -> bool:
    """By Unicode's own categories, and the blanks among its letters that have no ink."""
    kind = unicodedata.category(character)
    if kind[0] == "C" or kind in ("Zl", "Zp") or (kind == "Zs" and character != " "):
        return False
    return character not in "\u3164\u115f\u1160\uffa0\u2800\u034f\u180b\ufe00\U000e0100\U000e01ef"
