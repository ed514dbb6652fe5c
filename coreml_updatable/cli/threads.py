"""The option --threads of every command that computes."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from coreml_updatable.threads import set_threads

_COMPUTE = (
    "build",
    "compare",
    "convert",
    "knn",
    "layout",
    "mark",
    "models",
    "predict",
    "probes",
    "replay",
    "tune",
    "update",
)


def with_threads(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """``command`` with the option --threads, if it computes."""
    if name not in _COMPUTE:
        return command

    @wraps(command)
    def threaded(*arguments: Any, threads: int | None, **options: Any) -> Any:
        if threads is not None:
            set_threads(threads)
        return command(*arguments, **options)

    option = Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Number of threads that compute.", show_default="all usable processors"),
    ]
    given = signature(command)
    added = Parameter("threads", Parameter.KEYWORD_ONLY, default=None, annotation=option)
    changed: Any = threaded
    changed.__signature__ = given.replace(parameters=[*given.parameters.values(), added])
    changed.__annotations__ = {**command.__annotations__, "threads": option}
    return changed  # type: ignore[no-any-return]
