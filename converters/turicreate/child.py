"""Send one request to Turi Create in a separate process, which may crash, hang or print anything."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from coreml_updatable.environments import MOST_SHOWN, ended, last_line, passed_on, run
from coreml_updatable.errors import SourceError
from coreml_updatable.text import shortened, visible

VARIABLE = "TURICREATE_PYTHON"
COMMAND = "make turi"


def interpreter() -> Path:
    """Return the program in ``TURICREATE_PYTHON``, else the one that ``make turi`` sets up in the checkout."""
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).absolute()
        if not os.access(path, os.X_OK) or not path.is_file():
            raise SourceError(
                f"{VARIABLE} is {named}, which is not a program, expected a Python 3.8 with Turi Create; correct it, "
                f"or unset it and run: {COMMAND}"
            )
        return path
    path = _own()
    if not path.is_file():
        raise SourceError(
            f"Turi Create needs Python 3.8, and {path} does not exist; run: {COMMAND}, or set {VARIABLE} to the "
            "Python of an environment that has it"
        )
    return path


def missing() -> tuple[tuple[str, ...], str]:
    """Return what is missing and the command that installs it, for the list of converters."""
    try:
        interpreter()
    except SourceError:
        return ("a Python 3.8 with Turi Create",), COMMAND
    return (), ""


def _own() -> Path:
    return Path(__file__).resolve().parents[2] / ".venv-turi" / "bin" / "python"


PRETRAINED_VARIABLE = "TURICREATE_PRETRAINED"


def pretrained_folder() -> Path:
    """Return the folder of pretrained networks: ``TURICREATE_PRETRAINED``, else a folder in the user's cache."""
    named = os.environ.get(PRETRAINED_VARIABLE)
    return Path(named).absolute() if named else Path.home() / ".cache" / "coreml_updatable" / "turicreate"


def missing_pretrained(address: str, what: str) -> SourceError:
    name = address.rpartition("/")[2]
    return SourceError(
        f"{what}: needs the pretrained network {name}, which is missing; download {address} and put it at "
        f"{pretrained_folder() / name}"
    )


def link_pretrained(cache: Path) -> None:
    """Link the stored files into a private ``cache`` of Turi Create."""
    cache.mkdir()
    folder = pretrained_folder()
    if folder.is_dir():
        (cache / "model_cache").symlink_to(folder, target_is_directory=True)


SECONDS = 600.0
SECONDS_VARIABLE = "TURICREATE_SECONDS"
PROGRAM = Path(__file__).resolve().parent / "python38" / "run.py"
REMEDY = "open the model in Turi Create 6.4.1 where it was made, and export it there"


def ask(
    operation: str, request: Mapping[str, Any], what: str, remedy: str, *, seconds: float | None = None
) -> Mapping[str, Any]:
    """Return the reply of ``operation`` in Python 3.8 to ``request``.

    Errors begin with ``what`` ("drawings.model: exporting") and end with ``remedy`` if Turi Create itself refuses.
    Raises SourceError for a missing interpreter, package or pretrained network, a refusal, a crash, and for the time
    limit: the ``seconds`` of a recipe, or ``TURICREATE_SECONDS`` (600 if not set).
    """
    python = interpreter()
    limit = _seconds() if seconds is None else seconds
    more = SECONDS_VARIABLE if seconds is None else "source.seconds in the recipe"
    with TemporaryDirectory(prefix="turicreate-") as private:
        folder = Path(private)
        (folder / "request.json").write_text(json.dumps({**request, "operation": operation}), encoding="utf-8")
        reply = folder / "reply.json"
        command = [str(python), "-I", str(PROGRAM), str(folder / "request.json"), str(reply)]
        status = _run(command, folder, limit, what, more)
        if not reply.is_file():
            raise SourceError(f"{what}: Turi Create's {ended(status)}{last_line(folder / 'said')}; {_looking(python)}")
        said: Mapping[str, Any] = json.loads(reply.read_text(encoding="utf-8"))
    if "missing" in said:
        raise SourceError(f"{what}: {python} has no package {said['missing']!r}; run: {COMMAND}")
    if "pretrained" in said:
        raise missing_pretrained(str(said["pretrained"]), what)
    if "failed" in said:
        raise SourceError(f"{what}: Turi Create says {shortened(visible(str(said['failed'])), MOST_SHOWN)}; {remedy}")
    answer: Mapping[str, Any] = said["answer"]
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


def _run(command: list[str], folder: Path, seconds: float, what: str, more: str) -> int:
    """Return the exit status, negative for a signal. The output goes to a file, because Turi Create prints a lot."""
    try:
        return run(command, folder, _environment(folder), seconds)
    except TimeoutError as error:
        raise SourceError(f"{what}: {error}; allow more with {more}") from error
    except OSError as error:
        raise SourceError(
            f"{what}: {command[0]} cannot be run ({error.strerror}); set {VARIABLE} to a Python 3.8 with Turi "
            f"Create, or run: {COMMAND}"
        ) from error


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment with only what a program needs; home, temporary files and cache are private."""
    cache = folder / "cache"
    link_pretrained(cache)
    return {
        **passed_on(),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "TURI_CACHE_FILE_LOCATIONS": str(cache),
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _looking(python: Path) -> str:
    return f"try {python} -c 'import turicreate', and if that fails, run: {COMMAND}"
