"""The Python 3.8 that has Turi Create: never our own process."""

import os
from pathlib import Path

from coreml_updatable.errors import SourceError

VARIABLE = "TURICREATE_PYTHON"
COMMAND = "make turi"


def interpreter() -> Path:
    """The program that ``TURICREATE_PYTHON`` names, else the one that ``make turi`` sets up in the checkout."""
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).absolute()
        if not os.access(path, os.X_OK) or not path.is_file():
            raise SourceError(
                f"{VARIABLE} is {named}: no program is there, expected a Python 3.8 with Turi Create; correct it, or "
                f"unset it and run: {COMMAND}"
            )
        return path
    path = _own()
    if not path.is_file():
        raise SourceError(
            f"Turi Create runs in Python 3.8 only, and there is no {path}; run: {COMMAND}, or name the Python of an "
            f"environment that has it in {VARIABLE}"
        )
    return path


def missing() -> tuple[tuple[str, ...], str]:
    """What the list of converters says is missing, and the command that brings it."""
    try:
        interpreter()
    except SourceError:
        return ("a Python 3.8 with Turi Create",), COMMAND
    return (), ""


def _own() -> Path:
    return Path(__file__).resolve().parents[1] / ".venv-turi" / "bin" / "python"
