"""Programs that need a Python environment of their own: one question as JSON, one answer, in a process that may crash.

Some libraries cannot be installed beside this package. A make target sets up an environment for each, and a program of
this package runs in it: ``PROGRAM REQUEST REPLY``, both JSON files. The reply is {"answer": ...}, {"missing": a
package} or {"failed": what was raised}.
"""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from coreml_updatable.errors import BuildError
from coreml_updatable.text import shortened, visible

PASSED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PATH")
MOST_SHOWN = 300  # characters of what the process said last
SECONDS = 1800.0
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Environment:
    """``library`` is what it has, ``folder`` where ``command`` puts it in the checkout; ``variable`` names another
    Python."""

    library: str
    folder: str
    variable: str
    command: str
    python: str  # which Pythons it can be

    def interpreter(self) -> Path:
        """The program that ``variable`` names, else the one that ``command`` set up; BuildError where there is none."""
        named = os.environ.get(self.variable)
        path = Path(named).absolute() if named else ROOT / self.folder / "bin" / "python"
        if path.is_file() and os.access(path, os.X_OK):
            return path
        if named:
            raise BuildError(
                f"{self.variable} is {named}: no program is there, expected a {self.python} with {self.library}; "
                f"correct it, or unset it and run: {self.command}"
            )
        raise BuildError(
            f"{self.library} needs an environment of its own ({self.python}), and there is no {path}; run: "
            f"{self.command}, or name the Python of an environment that has it in {self.variable}"
        )

    def ask(self, program: Path, request: Mapping[str, Any], what: str) -> Any:
        """What ``program`` answers; BuildError, beginning with ``what``, for a refusal, a crash and a hang."""
        python = self.interpreter()
        with TemporaryDirectory(prefix="coreml_updatable.") as name:
            folder = Path(name)
            question, reply = folder / "request.json", folder / "reply.json"
            question.write_text(json.dumps(request), encoding="utf-8")
            try:
                status = run([str(python), "-I", str(program), str(question), str(reply)], folder, _environment(folder))
            except OSError as error:
                raise BuildError(f"{what}: {python} {error.strerror or error}; run: {self.command}") from error
            if not reply.is_file():
                said = last_line(folder / "said")
                raise BuildError(f"{what}: {self.library}'s {ended(status)}{said}; run: {self.command}")
            answer: Mapping[str, Any] = json.loads(reply.read_text(encoding="utf-8"))
        if "missing" in answer:
            raise BuildError(f"{what}: {python} has no package {answer['missing']!r}; run: {self.command}")
        if "failed" in answer:
            raise BuildError(f"{what}: {self.library} says {shortened(visible(str(answer['failed'])), MOST_SHOWN)}")
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
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it started
                process.wait()


def passed_on() -> dict[str, str]:
    """Of the caller's variables those that a program needs to run."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def _environment(folder: Path) -> dict[str, str]:
    """Home and temporary files are private."""
    return {**passed_on(), "HOME": str(folder), "TMPDIR": str(folder), "ORT_DISABLE_TELEMETRY": "1"}


def ended(status: int) -> str:
    """How a process without an answer ended."""
    if status < 0:
        names = {one.value: one.name for one in signal.Signals}
        return f"process was killed by {names.get(-status, f'signal {-status}')}"
    return f"process ended with status {status} and no answer"


def last_line(said: Path) -> str:
    """What a process said last, as the end of a sentence."""
    lines = said.read_bytes()[-4096:].decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f", saying last: {shortened(visible(last), MOST_SHOWN)}" if last else ", saying nothing"
