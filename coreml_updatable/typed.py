"""Check the arguments of public functions: a value of the wrong type is one sentence that names the argument, not a
TypeError from deep inside.

The expected types are those of the annotations. An unknown argument raises Python's own TypeError, as for any
function.
"""

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from numbers import Integral, Real
from os import PathLike
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from coreml_updatable.errors import UserError, a_kind, quoted, with_article

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
PLAIN: dict[Any, str] = {bool: "True or False", int: "an integer", float: "a number", str: "a str", type(None): "None"}
SHORT = 60  # characters of a value that are worth showing


def typed(function: Callable[P, R], name: str = "") -> Callable[P, R]:
    """Return ``function`` with a check: an argument that does not match its annotation is a UserError, which calls the
    function ``name``."""
    signature = inspect.signature(function)
    hints = {  # quoted annotations are for type checkers only
        argument: Any if isinstance(parameter.annotation, str) else parameter.annotation
        for argument, parameter in signature.parameters.items()
        if parameter.annotation is not parameter.empty
    }
    where = name or function.__name__

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{where}() {error}") from None
        for argument, value in bound.arguments.items():
            expected = hints.get(argument, Any)
            if not fits(value, expected):
                raise UserError(
                    f"{where}: {argument} is {_found(value)}, expected {in_words(expected)}; "
                    f"help(coreml_updatable.{where.partition('.')[0]}) says what it is for"
                )
            expect_text(value, f"{where}: {argument}")
        return function(*args, **kwargs)

    return checked


def typed_class(kind: type[T]) -> type[T]:
    """Check the arguments of a class as ``typed`` checks those of a function."""
    setattr(kind, "__init__", typed(kind.__init__, kind.__name__))  # noqa: B010  # a type checker forbids to assign it
    return kind


def expect_text(value: Any, where: str) -> None:
    """Raise UserError for half a surrogate, which no file can hold. Paths may have it, for names that are not UTF-8."""
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, str) and any("\ud800" <= character <= "\udfff" for character in item):
            raise UserError(f"{where} is {quoted(item)}, which holds half a surrogate, expected text; write it again")


def fits(value: Any, expected: Any) -> bool:
    """Return whether ``value`` is of type ``expected``; NumPy's scalars count as Python's, its arrays as sequences."""
    origin, inner = get_origin(expected), get_args(expected)
    if origin is Literal:
        return isinstance(value, str | int) and value in inner
    if origin in (Union, types.UnionType):
        return any(fits(value, item) for item in inner)
    if origin is tuple:
        kinds = inner if Ellipsis not in inner else inner[:1] * len(value) if isinstance(value, list | tuple) else ()
        return isinstance(value, list | tuple) and len(value) == len(kinds) and all(map(fits, value, kinds))
    if origin is Sequence:
        return _is_sequence(value) and all(fits(item, inner[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            fits(key, inner[0]) for key in value
        )  # values are checked where they are used, with better messages
    if origin is Iterable:
        return _is_iterable(value) and not isinstance(value, str | bytes | Mapping)
    kind = origin or expected
    if kind is Any or isinstance(kind, TypeVar):
        return True
    if kind is bool:
        return isinstance(value, bool) or (
            type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_")
        )
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if kind in (Callable, getattr(Callable, "__origin__", None)) or getattr(kind, "__name__", "") == "Callable":
        return callable(value)
    return isinstance(value, kind)


def in_words(expected: Any) -> str:
    """ "an integer or an Int64Parameter"."""
    origin, inner = get_origin(expected), get_args(expected)
    if origin is Literal:
        return " or ".join(map(quoted, inner))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(in_words, inner)))
    if origin is tuple and Ellipsis not in inner:
        return f"a pair ({', '.join(map(in_words, inner))})" if len(inner) == 2 else f"{len(inner)} values"
    if origin in (tuple, Sequence):
        return f"a list of {in_words(inner[0]).removeprefix('an ').removeprefix('a ')}s"
    if origin is Mapping:
        return "a dict"
    if origin is Iterable:
        return "rows, such as a list"
    if expected in PLAIN:
        return PLAIN[expected]
    if (origin or expected) is PathLike:
        return "a path"
    return with_article(getattr(origin or expected, "__name__", str(expected)))


def _is_iterable(value: Any) -> bool:
    """Return whether ``value`` has a length; a NumPy array without axes has the method, but raises."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) > 0


def _is_sequence(value: Any) -> bool:
    if isinstance(value, str | bytes | Mapping):
        return False
    return isinstance(value, Sequence) or (type(value).__module__ == "numpy" and getattr(value, "ndim", 0) > 0)


def _found(value: Any) -> str:
    if value is None or isinstance(value, type):
        return quoted(value)
    shown = quoted(value) if isinstance(value, str | bytes | int | float | list | tuple | set | dict) else ""
    return f"{a_kind(value)} ({shown})" if 0 < len(shown) <= SHORT else a_kind(value)
