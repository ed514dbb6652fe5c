"""Programs in environments of their own: what they answer, refuse and leave behind reaches the user as one sentence."""

import json
import sys
from pathlib import Path

import pytest

from coreml_updatable.environments import Environment
from coreml_updatable.errors import BuildError

ENVIRONMENT = Environment("The Library", ".venv-none", "LIBRARY_PYTHON", "make library", "Python 3.11")
ANSWER = "def answer(request):\n    return {}\n"


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBRARY_PYTHON", sys.executable)


def program(folder: Path, text: str) -> Path:
    path = folder / "program.py"
    path.write_text(text)
    return path


@pytest.mark.usefixtures("python")
def test_an_answer_comes_back(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def twice(values):\n    return values + values\n")
    text = "from .beside import twice\n" + ANSWER.format("twice(request['a'])")
    assert ENVIRONMENT.ask(program(tmp_path, text), {"a": [1, 2]}, "what") == [1, 2, 1, 2]


@pytest.mark.usefixtures("python")
def test_a_request_may_hold_any_names(tmp_path: Path) -> None:
    """None of them is ours: ExecuTorch's request says where the "program" is to be written."""
    request = {name: str(tmp_path / name) for name in ("program", "request", "reply", "answer", "missing", "failed")}
    assert ENVIRONMENT.ask(program(tmp_path, ANSWER.format("request")), request, "what") == request


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import no_such_numbers", ["has no package 'no_such_numbers'", "make library"]),
        ("def answer(request):\n    raise ValueError('no\\x1b[31m')\n", ["The Library says ValueError: no", "\\x1b"]),
        (
            "import os\nprint('a last word', flush=True)\nos._exit(3)",
            ["ended with status 3", "a last word", "make library"],
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ["killed by SIGKILL", "saying nothing"]),
    ],
)
def test_what_goes_wrong_is_told(tmp_path: Path, text: str, expected: list[str]) -> None:
    with pytest.raises(BuildError) as refused:
        ENVIRONMENT.ask(program(tmp_path, text), {}, "what")
    assert str(refused.value).startswith("what: ")
    assert all(part in str(refused.value) for part in expected), refused.value


@pytest.mark.usefixtures("python")
def test_the_program_sees_nothing_of_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "it")
    text = ANSWER.format("dict(__import__('os').environ)")
    seen = ENVIRONMENT.ask(program(tmp_path, text), {}, "what")
    assert "SECRET" not in json.dumps(seen)
    assert seen["HOME"] == seen["TMPDIR"] != str(Path.home())
    assert not Path(seen["HOME"]).exists()


@pytest.mark.parametrize("named", ["", "/nowhere/python"])
def test_an_environment_that_is_not_there_names_its_command(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("LIBRARY_PYTHON", named)
    with pytest.raises(BuildError, match="make library"):
        ENVIRONMENT.interpreter()
