"""Stopped at any moment, or left by its reader: one sentence or none, and the exit status that a shell expects."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Shells ignore Ctrl-C in the background, and hand that on to whatever runs these tests there.
HEARD = "import signal\nfor name in ('SIGINT', 'SIGTERM', 'SIGHUP'):\n"
HEARD += "    signal.signal(getattr(signal, name), signal.default_int_handler)\n"
# The byte comes when Python itself is up.
RUN = HEARD + "import os; from coreml_updatable.cli import main; os.write(1, b'!'); main()"
SHAPES = Path(__file__).parents[1] / "building" / "shapes" / "recipe.toml"
SENTENCE = "coreml-updatable: stopped; older results are untouched\n"


def stopped(arguments: list[str], number: signal.Signals, delay: float) -> tuple[int, str]:
    """The exit status and standard error of a command that gets the signal ``delay`` seconds after it began."""
    command = [sys.executable, "-c", RUN, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == "!"
        time.sleep(delay)
        os.killpg(process.pid, number)  # a terminal's Ctrl-C reaches its children too
        _, complaint = process.communicate(timeout=60)
        return process.returncode, complaint


def test_next_to_nothing_is_imported_before_signals_are_heard() -> None:
    program = "import os, sys; before = set(sys.modules)\nfrom coreml_updatable.cli import main\n"
    program += "print(*sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(result.stdout.split()) <= {"coreml_updatable", "coreml_updatable.cli", "signal", "enum", "functools"} | {
        "_collections",
        "_functools",
        "_operator",
        "collections",
        "itertools",
        "keyword",
        "operator",
        "reprlib",
        "types",
    }  # of the standard library's own enum, which signal uses


@pytest.mark.parametrize("delay", [0.005, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0])
def test_stopped_while_it_loads_or_works(tmp_path: Path, delay: float) -> None:
    """A build loads libraries for seconds, then draws and trains; its folder holds nothing that is half written."""
    status, complaint = stopped(["build", str(SHAPES), "--out", str(tmp_path / "out")], signal.SIGINT, delay)
    assert (status, complaint.splitlines(keepends=True)[-1]) == (130, SENTENCE), complaint
    assert "Traceback" not in complaint
    assert "Exception ignored" not in complaint
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("delay", [0.02, 0.2, 1.5])
def test_every_way_to_be_stopped(tmp_path: Path, number: signal.Signals, delay: float) -> None:
    status, complaint = stopped(["build", str(SHAPES), "--out", str(tmp_path / "out")], number, delay)
    assert (status, complaint.splitlines(keepends=True)[-1]) == (128 + number, SENTENCE), complaint
    assert complaint.count("stopped") == 1


def test_a_second_ctrl_c_does_not_wait() -> None:
    program = HEARD + "import sys, time, types\n"
    program += "app = types.ModuleType('coreml_updatable.cli.app')\n"
    program += "def work():\n    try:\n        print('!', flush=True); time.sleep(60)\n"
    program += "    finally:\n        print('?', flush=True); time.sleep(60)\n"
    program += "app.main = work; sys.modules['coreml_updatable.cli.app'] = app\n"
    program += "from coreml_updatable.cli import main; main()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        for sign in (b"!\n", b"?\n"):
            assert process.stdout.readline() == sign
            process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10)[1] == SENTENCE.encode()
    assert process.returncode == 130


def test_an_interrupt_that_a_library_swallows_still_counts() -> None:
    program = HEARD + "import os, sys, types\n"
    program += "app = types.ModuleType('coreml_updatable.cli.app')\n"
    program += "def work():\n    try:\n        os.kill(os.getpid(), signal.SIGINT)\n"
    program += "    except BaseException:\n        {}\n"
    program += "app.main = work; sys.modules['coreml_updatable.cli.app'] = app\n"
    program += "from coreml_updatable.cli import main; main()"
    for consequence in ("pass", "raise ImportError('library')", "raise SystemExit(1)"):
        command = [sys.executable, "-c", program.format(consequence)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (130, SENTENCE)


def test_an_interrupt_in_a_finalizer_comes_again() -> None:
    program = HEARD + "import os, sys, time, types\n"
    program += "class Closed:\n    def __del__(self): os.kill(os.getpid(), signal.SIGINT); time.sleep(0.01)\n"
    program += "app = types.ModuleType('coreml_updatable.cli.app')\n"
    program += "def work():\n    Closed(); time.sleep(30)\n"
    program += "app.main = work; sys.modules['coreml_updatable.cli.app'] = app\n"
    program += "from coreml_updatable.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert (result.returncode, result.stderr) == (130, SENTENCE)


def test_what_nohup_ignores_stays_ignored() -> None:
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    ignoring += "from coreml_updatable import cli; import sys; sys.argv[1:] = ['--help']\n"
    ignoring += "try:\n    cli.main()\nexcept SystemExit: pass\n"
    ignoring += "assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN"
    assert subprocess.run([sys.executable, "-c", ignoring], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("arguments", [["--help"], ["converters"], ["inspect", "MODEL"], ["check", "MODEL", "--json"]])
def test_a_reader_that_has_gone(vector_model: Path, arguments: list[str]) -> None:
    given = [str(vector_model) if argument == "MODEL" else argument for argument in arguments]
    reading, writing = os.pipe()
    os.close(reading)
    program = "from coreml_updatable.cli import main; main()"
    command = [sys.executable, "-c", program, *given]
    result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams(vector_model: Path, closed: str) -> None:
    program = "from coreml_updatable.cli import main; main()"
    for arguments in (f"inspect '{vector_model}'", f"check '{vector_model}'", "--help", "inspect none"):
        line = f'"{sys.executable}" -c "{program}" {arguments} {closed}'
        result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert "Traceback" not in result.stderr
        assert result.returncode == (1 if arguments == "inspect none" else 0), result.stderr


def test_a_full_disk_behind_standard_output(vector_model: Path) -> None:
    program = "from coreml_updatable.cli import main; main()"
    for arguments in (["inspect", str(vector_model)], ["check", str(vector_model)], ["converters"]):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-c", program, *arguments]
            result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert result.returncode == 1
        assert result.stderr.startswith("coreml-updatable: writing: no space left")
        assert len(result.stderr.splitlines()) == 1
