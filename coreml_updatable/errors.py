"""The errors that a user can cause and fix: one sentence each, no traceback at the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from coreml_updatable.text import sentence

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(Exception):
    """An error that the user can fix. The message says where, what was found, what was expected, and what to do."""

    exit_status = 1

    def __str__(self) -> str:
        """The message as one visible line: it quotes files from outside, and tracebacks are printed as they are."""
        return sentence(super().__str__())


class ModelError(UserError):
    """A Core ML model cannot be read, run, marked or updated."""


class RecipeError(UserError):
    """A recipe, or an option that overrides it, has an unknown, misspelled or impossible field."""

    exit_status = 2


class DataError(UserError):
    """Pictures or other rows cannot be used."""


class SourceError(UserError):
    """A source model (module, weights, architecture) cannot be loaded or converted."""


class BuildError(UserError):
    """A build cannot run or cannot write its results."""


class CatalogueError(UserError):
    """A catalogue cannot be written, read or trusted."""


def quoted(value: object) -> str:
    """Return ``repr(value)``, with NumPy's numbers and text shown like Python's: 7.0 instead of np.float64(7.0)."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()  # of an array, a list
    return repr(value)


def a_kind(value: object) -> str:
    """Return the kind of a value for a sentence: "an int", "a list", "None"."""
    return "None" if value is None else with_article(type(value).__name__)


def with_article(name: object) -> str:
    """Return ``name`` with "a" or "an" before it."""
    return f"{'an' if str(name)[:1].lower() in tuple('aeiou') else 'a'} {name}"


def first_fault(error: "ValidationError") -> str:
    """Return the invalid field and what is wrong with it; if a field may have several forms, for the closest one."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    fault = max(faults, key=lambda item: len(item["loc"]))
    return f"{'.'.join(str(part)[:40] for part in fault['loc']) or 'as a whole'}: {fault['msg']}"


def wrong_schema(result: object, expected: int, remedy: str) -> str:
    """What to say of a file with another schema; ``remedy``: what helps unless the file is newer than this program."""
    newer = isinstance(result, int) and result > expected
    return f"has the schema {result!r:.40}, expected {expected}; {'use a newer coreml_updatable' if newer else remedy}"


@contextmanager
def located(word: str, place: object) -> Iterator[None]:
    """Errors that begin with ``word`` ("source", "model"), since they are about a value, begin with ``place``."""
    try:
        yield
    except UserError as error:
        text = str(error)
        if not text.startswith(f"{word}: "):
            raise
        raise type(error)(f"{place}{text.removeprefix(word)}") from error
