"""Run programs that need a separate Python environment: one question as JSON, one answer, in a process that may crash.

Some libraries cannot be installed beside this package. A make target sets up an environment for each, and a program of
this package, a file with a function ``answer(request)``, runs in it through ``environment_run.py``. The reply is
{"answer": ...}, {"missing": a package} or {"failed": what was raised}.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from coreml_updatable.errors import BuildError, UserError
from coreml_updatable.text import shortened, visible

PASSED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PATH")
MOST_SHOWN = 300  # characters of what the process said last
SECONDS = 1800.0
ROOT = Path(__file__).resolve().parents[1]
RUN = Path(__file__).with_name("environment_run.py")


@dataclass(frozen=True)
class Environment:
    """``library`` is what it has, ``folder`` where ``command`` puts it in the checkout; ``variable`` names another
    Python. ``error`` is raised where anything goes wrong."""

    library: str
    folder: str
    variable: str
    command: str
    python: str  # which Pythons it can be
    error: type[UserError] = BuildError

    def interpreter(self) -> Path:
        """Return the Python that ``variable`` names, else the one that ``command`` set up; raise ``error`` if neither
        exists."""
        named = os.environ.get(self.variable)
        path = Path(named).absolute() if named else ROOT / self.folder / "bin" / "python"
        if path.is_file() and os.access(path, os.X_OK):
            return path
        if named:
            raise self.error(
                f"{self.variable} is {named}, which is not a program, expected a {self.python} with {self.library}; "
                f"correct it, or unset it and run: {self.command}"
            )
        raise self.error(
            f"{self.library} needs an environment of its own ({self.python}), and {path} does not exist; run: "
            f"{self.command}, or set {self.variable} to the Python of an environment that has it"
        )

    def ask(
        self,
        program: Path,
        request: Mapping[str, Any],
        what: str,
        *,
        seconds: float = SECONDS,
        more_seconds: str = "",
        variables: Mapping[str, str] = MappingProxyType({}),
        explain: Callable[[str], str] = lambda _failed: "",
    ) -> Any:
        """What ``program`` answers; an error, beginning with ``what``, for a refusal, a crash and a hang.

        ``more_seconds`` says what allows more of them. ``variables`` are set in the process. ``explain`` gives the
        sentence for what was raised, "" where the library's own words have to do.
        """
        python = self.interpreter()
        with TemporaryDirectory(prefix="coreml_updatable.") as name:
            folder = Path(name)
            question, reply = folder / "request.json", folder / "reply.json"
            question.write_text(json.dumps(dict(request)), encoding="utf-8")
            command = [str(python), "-I", str(RUN), str(question), str(reply), str(program)]
            try:
                status = run(command, folder, {**_environment(folder), **variables}, seconds)
            except TimeoutError as error:
                raise self.error(
                    f"{what}: {error}" + (f"; allow more with {more_seconds}" * bool(more_seconds))
                ) from error
            except OSError as error:
                raise self.error(
                    f"{what}: {python} cannot be run ({error.strerror or error}); run: {self.command}, or set "
                    f"{self.variable} to the Python of an environment that has {self.library}"
                ) from error
            if not reply.is_file():
                said = last_line(folder / "said")
                raise self.error(f"{what}: {self.library}'s {ended(status)}{said}; run: {self.command}")
            answer: Mapping[str, Any] = json.loads(reply.read_text(encoding="utf-8"))
        if "missing" in answer:
            raise self.error(f"{what}: {python} has no package {answer['missing']!r}; run: {self.command}")
        if "failed" in answer:
            failed = str(answer["failed"])
            result = explain(failed) or f"{self.library} says {shortened(visible(failed), MOST_SHOWN)}"
            raise self.error(f"{what}: {result}")
        return answer["answer"]


def run(command: list[str], folder: Path, environment: Mapping[str, str], seconds: float = SECONDS) -> int:
    """The exit status, negative for a signal. What the process says goes into ``folder``/said.

    OSError where it cannot be started, TimeoutError past ``seconds``.
    """
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"took longer than {seconds:g} seconds and was stopped") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # and the processes that it started
                process.wait()


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment variables that a program needs; its home and temporary folders are private."""
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed_on, "HOME": str(folder), "TMPDIR": str(folder), "ORT_DISABLE_TELEMETRY": "1"}


def ended(status: int) -> str:
    """Describe how a process without an answer ended."""
    if status < 0:
        names = {Signal.value: Signal.name for Signal in signal.Signals}
        return f"process was killed by {names.get(-status, f'signal {-status}')}"
    return f"process ended with status {status} and no answer"


def last_line(said: Path) -> str:
    """Return the last line that a process printed, as the end of a sentence."""
    lines = said.read_bytes()[-4096:].decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f", saying last: {shortened(visible(last), MOST_SHOWN)}" if last else ", saying nothing"
