"""How options are spelled in sentences: ``--labels no,yes`` at the command line, ``labels=['no', 'yes']`` in Python.

Sentences are written as the command line says them. The public functions of Python translate what they raise, so that
its advice can be followed where it is read.
"""

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from coreml_updatable.errors import UserError

RENAMED = {"reserved-share": "reserved_share", "input": "inputs", "neighbors": "k"}
LISTS = frozenset({"labels", "input", "layers", "mean", "std", "sign", "revoke", "public-key", "device-results"})
FLAGS = frozenset({"trust-code"})
# A value is told from the next word of the sentence: it is one of these, has a sign in it, or ends in a colon.
_WORDS = "new|keep|pretrained|random|file(?= \\()|mean_squared_error|categorical_cross_entropy"
_SIGN = r"[^\s;]*[,:/]\S*[^\s:;,.)]"
_VALUE = rf"(?:{_WORDS})\b|[A-Z]+(?:\.\w+)?\b(?!:\S)|\d+\b|{_SIGN}|[^\s:]*[^\s:,;](?=:\s)|(?!out$)[^\s,;:.]+$"
_OPTION = re.compile(
    rf"(?<![\w-])--(?!max-memory|no-deps)(?P<name>[a-z][a-z0-9-]*)(?: (?P<value>{_VALUE}))?(?P<dots>,?\.\.\.)?"
)
_COMMAND = re.compile(
    r"`?coreml-updatable (?P<name>check|convert|mark|knn|layout|inspect)\b(?: (?P<model>[A-Z]+)(?P<options>(?: --\S+"
    r"(?: (?!--)\S+)?)*))?`?"
)
P = ParamSpec("P")
Result = TypeVar("Result")


def in_python(sentence: str) -> str:
    """Return ``sentence`` with options as keyword arguments, and commands as the functions of the package."""
    without_out = re.sub(r" -o OUT(?:\.mlmodel)?", "", sentence)
    written = _OPTION.sub(_argument, _COMMAND.sub(_call, without_out))
    return re.sub(r"(?<=['\]]) (?=[a-z_]+=['\[])", ", ", written)


def spelled_in_python(function: Callable[P, Result]) -> Callable[P, Result]:
    """``function``, whose errors advise keyword arguments."""

    @wraps(function)
    def translated(*arguments: P.args, **options: P.kwargs) -> Result:
        try:
            return function(*arguments, **options)
        except UserError as error:
            error.args = (in_python(str(error)), *error.args[1:])
            raise

    return translated


def _call(result: "re.Match[str]") -> str:
    if result["model"] is None:
        return f"cu.{result['name']}"
    options = _OPTION.sub(_argument, result["options"]).strip()
    return f"cu.{result['name']}({result['model'].lower()}{', ' if options else ''}{options})"


def _argument(result: "re.Match[str]") -> str:
    option, value = result["name"], result["value"]
    name = RENAMED.get(option, option.replace("-", "_"))
    if option in FLAGS:
        return f"{name}=True" + (f" {value}" if value else "")
    if value is None:
        return f"{name}=[...]" if result["dots"] else f"{name}="
    if option in LISTS:
        values = [part for part in value.removesuffix("...").split(",") if part]
        return f"{name}=[{', '.join([*map(repr, values), *(['...'] if result['dots'] or '...' in value else [])])}]"
    return f"{name}={value}" if value.isdigit() or value.isupper() else f"{name}={value!r}"
