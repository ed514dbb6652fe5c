"""The options --max-memory and --threads of every command that computes."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from coreml_updatable.bounds import allow
from coreml_updatable.threads import set_threads

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_LIMITS: Mapping[str, Any] = {
    "max_memory": Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory limit, such as 4GB.", show_default="600MB")
    ],
    "threads": Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Number of threads that compute.", show_default="all usable processors"),
    ],
}


def with_limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """``command`` with the options --max-memory (see ``bounds.py``) and --threads."""

    @wraps(command)
    def limited(*arguments: Any, max_memory: str | None, threads: int | None, **options: Any) -> Any:
        if max_memory is not None:
            allow(_size(max_memory))
        if threads is not None:
            set_threads(threads)
        return command(*arguments, **options)

    given = signature(command)
    added = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=option) for name, option in _LIMITS.items()
    ]
    changed: Any = limited
    changed.__signature__ = given.replace(parameters=[*given.parameters.values(), *added])
    changed.__annotations__ = {**command.__annotations__, **_LIMITS}
    return limited


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise typer.BadParameter(f"--max-memory {text}: is not a size; use a number and a unit, such as 4GB")
    return size
