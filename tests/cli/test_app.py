"""What the operating system refuses is one sentence too."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import coreml_updatable
from coreml_updatable.cli import app as commands
from coreml_updatable.cli.app import COMMANDS

RUN = "from coreml_updatable.cli import main; main()"


def run(*arguments: str, program: str = RUN) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_full_disk(tmp_path: Path) -> None:
    """The kernel's limit on a file's size stands for the full disk."""
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    result = run("probes", str(tmp_path / "out"), program=limit + RUN)
    assert result.returncode == 1
    assert result.stderr.startswith(f"coreml-updatable: {tmp_path / 'out'}")
    assert "no space left" in result.stderr
    assert result.stderr.endswith("; free some space and run again; older results are untouched\n")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_kind_of_no_room_has_the_same_advice(number: int) -> None:
    from coreml_updatable.cli.app import sentence_of

    assert "free some space and run again" in sentence_of(OSError(number, "text", "place"))
    assert sentence_of(OSError(number, "text", "place")).startswith("place: ")


def test_an_error_without_a_place_or_number() -> None:
    from coreml_updatable.cli.app import sentence_of

    assert sentence_of(OSError("odd")) == "writing: odd; check the path and its permissions"


@pytest.mark.parametrize("arguments", [["none"], ["build"], ["build", "x", "--nonsense"], ["inspect"]])
def test_wrong_usage_has_status_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr
    assert "Traceback" not in result.stderr


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.returncode == 0
    listed = [line.split()[0] for line in result.stdout.partition("Commands:\n")[2].splitlines()]
    assert tuple(listed) == COMMANDS


def test_every_command_file_is_listed() -> None:
    """A command's file says in its first line how the command is called."""
    folder = Path(commands.__file__).parent / "commands"
    first_lines = ((path.stem, path.read_text(encoding="utf-8").partition("\n")[0]) for path in folder.glob("*.py"))
    defined = {name for name, line in first_lines if line.startswith(f'"""`coreml-updatable {name}')}
    assert defined == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(commands.app([name]), [name, "--help"])
    assert result.exit_code == 0
    assert f"{name} [OPTIONS]" in result.output
    assert "<list[" not in result.output


def test_help_cuts_nothing_off() -> None:
    result = run("--help")
    assert "..." not in result.stdout.partition("Commands:\n")[2]
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does_on_one_line(name: str) -> None:
    """On a wide terminal; a list of choices alone may fill a line, its help stands on the next."""
    result = CliRunner().invoke(commands.app([name]), [name, "--help"], terminal_width=160)
    lines = result.output.partition("Options:\n")[2].splitlines()
    options = [place for place, line in enumerate(lines) if line.startswith("  -")]
    for place in options:
        if len(lines[place].split("  ")) > 2:
            assert place + 1 == len(lines) or place + 1 in options
        else:
            assert lines[place + 1].startswith("    ")
            assert place + 2 == len(lines) or place + 2 in options


def test_the_version() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"coreml-updatable {coreml_updatable.__version__}\n")


def test_python_runs_the_package_as_the_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "coreml_updatable", "--version"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, run("--version").stdout)


def test_only_the_command_that_runs_is_imported() -> None:
    result = run("diff", "--help", program="import atexit, sys; atexit.register(lambda: print(*sys.modules))\n" + RUN)
    loaded = {name for name in result.stdout.split() if name.startswith("coreml_updatable.cli.")}
    names = ("app", "command", "commands", "commands.diff", "limits", "output", "without_effect")
    assert loaded == {f"coreml_updatable.cli.{name}" for name in names}
    assert not {"rich.console", "numpy", "torch"} & set(result.stdout.split())


def test_a_misspelt_command_is_suggested() -> None:
    result = run("inspct")
    assert result.returncode == 2
    assert "did you mean 'inspect'?" in result.stderr


def test_a_sentence_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    result = run("inspect", str(tmp_path / "\x1b[2J\u202e.mlmodel"))
    assert result.returncode == 1
    assert "\\x1b[2J\\u202e.mlmodel: cannot be read" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_help_knows_the_commands_without_their_modules() -> None:
    """As if all were imported, and before any is: `--help` takes a tenth of that time."""
    program = "import sys; from coreml_updatable.cli.app import app, overview; sys.argv = ['x', '--help']; {}()()"
    shown = {
        made: subprocess.run(
            [sys.executable, "-c", program.format(made)], capture_output=True, text=True, check=True
        ).stdout
        for made in ("app", "overview")
    }
    assert shown["overview"] == shown["app"]
    for name in COMMANDS:
        assert f"\n  {name} " in shown["overview"]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_imports_no_library(arguments: list[str]) -> None:
    program = (
        "import atexit, sys; from coreml_updatable.cli import main; sys.argv = ['x', *sys.argv[1:]]; "
        "atexit.register(lambda: print('loaded:', *sys.modules)); main()"
    )
    ran = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    loaded = set(ran.stdout.rpartition("loaded:")[2].split())
    assert "coreml_updatable.cli.app" in loaded
    assert not loaded & {"numpy", "pydantic", "torch", "google.protobuf", "coreml_updatable.recipes"}
    assert "Traceback" not in ran.stderr
