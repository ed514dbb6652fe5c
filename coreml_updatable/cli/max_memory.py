"""The option --max-memory of every command that runs models."""

import re
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

_RUN_MODELS = ("build", "convert", "knn", "layout", "mark", "models", "predict", "probes", "replay", "update")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def with_max_memory(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """``command`` with the option --max-memory, if it runs models; see ``runtime/bounds``."""
    if name not in _RUN_MODELS:
        return command

    @wraps(command)
    def bounded(*arguments: Any, max_memory: str | None, **options: Any) -> Any:
        if max_memory is not None:
            from coreml_updatable import bounds

            bounds.allow(_size(max_memory))
        return command(*arguments, **options)

    option = Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory limit for running models, such as 4GB.",
            show_default="600MB",
        ),
    ]
    given = signature(command)
    added = Parameter("max_memory", Parameter.KEYWORD_ONLY, default=None, annotation=option)
    changed: Any = bounded
    changed.__signature__ = given.replace(parameters=[*given.parameters.values(), added])
    changed.__annotations__ = {**command.__annotations__, "max_memory": option}
    return bounded


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    size = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if size < 1:
        raise typer.BadParameter(f"--max-memory {text}: is not a size; write a number and a unit, such as 4GB")
    return size
