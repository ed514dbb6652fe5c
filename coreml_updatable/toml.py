"""Read a TOML file from outside, within bounds of size, depth and integers that keep a reader from trouble."""

import re
import tomllib
from pathlib import Path
from typing import Any

from coreml_updatable.errors import UserError

MAX_BYTES = 1_000_000
MAX_DEPTH = 32  # tables in tables
_CHAIN = re.compile(rf"(?<![\w\"'-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}")  # a.b.c: tomllib takes n * n steps


def read_toml(path: Path, error: type[UserError]) -> tuple[str, dict[str, Any]]:
    """Return the text of the file ``path`` and the table in it; an ``error`` with one sentence for anything else."""
    try:
        with path.open("rb") as file:  # of a device, no more than this is read either
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as reason:  # ValueError: a path with a NUL
        why = reason.strerror if isinstance(reason, OSError) else reason
        raise error(f"{path}: cannot be read ({why}); check the path") from None
    if len(content) > MAX_BYTES:
        raise error(f"{path}: is larger than {MAX_BYTES} bytes, expected a short TOML file; check the path")
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise error(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    return text, toml_of(text, str(path), error)


def toml_of(text: str, where: str, error: type[UserError]) -> dict[str, Any]:
    """Return the table in ``text``, whose integers fit in 64 bits, as the format of TOML asks."""
    deep = f"{where}: nests tables or lists deeper than {MAX_DEPTH}; expected a few levels, simplify it"
    if _CHAIN.search(text):
        raise error(deep)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as reason:
        raise error(f"{where}: is not valid TOML ({reason}); correct that line") from None
    except ValueError:  # of Python: thousands of digits
        raise error(f"{where}: holds an integer that does not fit in 64 bits; make it smaller") from None
    except RecursionError:
        raise error(deep) from None
    waiting: list[tuple[str, Any, int]] = [("", table, 0)]
    while waiting:
        place, value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise error(deep)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise error(f"{where}: {place} is an integer that does not fit in 64 bits; make it smaller")
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [(f"{place}.{key}" if place else str(key), one, depth + 1) for key, one in inner]
    return table
