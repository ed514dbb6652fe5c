"""Ask Turi Create, which needs a Python 3.8 of its own, in a separate process."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from coreml_updatable.environments import MOST_SHOWN, Environment
from coreml_updatable.errors import SourceError
from coreml_updatable.text import shortened, visible

TURI_CREATE = Environment(
    "Turi Create", ".venv-turi", "TURICREATE_PYTHON", "make turi", "Python 3.8", error=SourceError
)
PROGRAMS = Path(__file__).resolve().parent / "python38"
SECONDS = 600.0
SECONDS_VARIABLE = "TURICREATE_SECONDS"
PRETRAINED_VARIABLE = "TURICREATE_PRETRAINED"
PRETRAINED_MISSING = "PretrainedMissing: "  # how python38/pretrained.py says it, before the address
REMEDY = "open the model in Turi Create 6.4.1 where it was made, and export it there"


def missing() -> tuple[tuple[str, ...], str]:
    """Return what is missing and the command that installs it, for the list of converters."""
    try:
        TURI_CREATE.interpreter()
    except SourceError:
        return ("a Python 3.8 with Turi Create",), TURI_CREATE.command
    return (), ""


def pretrained_folder() -> Path:
    """Return the folder of pretrained networks: ``TURICREATE_PRETRAINED``, else a folder in the user's cache."""
    named = os.environ.get(PRETRAINED_VARIABLE)
    return Path(named).absolute() if named else Path.home() / ".cache" / "coreml_updatable" / "turicreate"


def ask(
    operation: str, request: Mapping[str, Any], what: str, remedy: str, *, seconds: float | None = None
) -> Mapping[str, Any]:
    """Return the reply of ``operation`` in Python 3.8 to ``request``.

    Errors begin with ``what`` ("drawings.model: exporting") and end with ``remedy`` if Turi Create itself refuses.
    Raises SourceError for a missing interpreter, package or pretrained network, a refusal, a crash, and for the time
    limit: the ``seconds`` of a recipe, or ``TURICREATE_SECONDS`` (600 if not set).
    """

    def explain(failed: str) -> str:
        if failed.startswith(PRETRAINED_MISSING):
            address = failed.removeprefix(PRETRAINED_MISSING)
            name = address.rpartition("/")[2]
            return (
                f"needs the pretrained network {name}, which is missing; download {address} and put it at "
                f"{pretrained_folder() / name}"
            )
        return f"Turi Create says {shortened(visible(failed), MOST_SHOWN)}; {remedy}"

    with TemporaryDirectory(prefix="turicreate-") as cache:
        kept = pretrained_folder()
        if kept.is_dir():
            (Path(cache) / "model_cache").symlink_to(kept, target_is_directory=True)
        answer: Mapping[str, Any] = TURI_CREATE.ask(
            PROGRAMS / f"{operation}.py",
            request,
            what,
            seconds=_seconds() if seconds is None else seconds,
            more_seconds=SECONDS_VARIABLE if seconds is None else "source.seconds in the recipe",
            variables={"TURI_CACHE_FILE_LOCATIONS": cache, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
            explain=explain,
        )
    return answer


def _seconds() -> float:
    given = os.environ.get(SECONDS_VARIABLE, str(SECONDS))
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise SourceError(f"{SECONDS_VARIABLE} is {given!r}, expected a number of seconds; correct it or unset it")
    return seconds
