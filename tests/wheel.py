"""Build the wheel and use it as somebody does who has no checkout: `python tests/wheel.py`.

It is installed with its pins into an empty environment, and inspect, check, predict, convert and build run in a folder
outside the checkout. Answers are compared with torch's own.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SAMPLE = "hand_pose"  # builds in seconds, and brings its own data
COMMANDS = ("inspect", "check", "predict", "convert", "build")
NETWORK = """import torch


def network(classes):
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, classes))
"""
SOURCE = """import json, sys, torch
from network import network
torch.manual_seed(0)
made = network(3)
torch.save(made.state_dict(), "weights.pt")
rows = torch.randn(5, 4)
json.dump([{"x": row} for row in rows.tolist()], open("rows.json", "w"))
json.dump(torch.softmax(made(rows), 1).tolist(), open("expected.json", "w"))
"""
WHERE = "import coreml_updatable, pathlib; print(pathlib.Path(coreml_updatable.__file__).resolve())"


class WheelError(Exception):
    """The wheel does not do what the checkout does."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="wheel-") as name:
        try:
            _try_in(Path(name))
        except WheelError as fault:
            print(fault)
            return 1
    print(f"the wheel works: {', '.join(COMMANDS)}")
    return 0


def _try_in(folder: Path) -> None:
    wheels, environment, outside = folder / "wheels", folder / "environment", folder / "outside"
    outside.mkdir()
    copy = folder / "source"  # setuptools leaves its own folders beside what it builds
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    _run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(copy)], folder)
    (wheel,) = wheels.glob("*.whl")
    venv.create(environment)
    python = environment / "bin" / "python"
    install = [*pip, "--python", str(python), "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    _run([*install, str(wheel)], folder)
    shutil.copytree(copy / "sample_models" / SAMPLE, outside / SAMPLE)
    shutil.rmtree(copy)
    home = Path(_run([str(python), "-c", WHERE], outside).strip())
    if not home.is_relative_to(environment.resolve()):
        raise WheelError(f"{home}: is not in the environment that the wheel was installed into")
    _convert_and_predict(python, outside)
    _build(python, outside)


def _convert_and_predict(python: Path, folder: Path) -> None:
    """A network's state dict, converted, inspected, checked, and asked; torch says what it must answer."""
    (folder / "network.py").write_text(NETWORK)
    _run([str(python), "-c", SOURCE], folder)
    options = ["--architecture", "network.py:network", "--trust-code", "--input", "x:4", "--labels", "a,b,c"]
    _command(python, folder, "convert", "weights.pt", *options, "-o", "Model.mlmodel")
    seen = json.loads(_command(python, folder, "inspect", "Model.mlmodel", "--json"))
    if not seen["updatable"] or seen["labels"] != ["a", "b", "c"]:
        raise WheelError(f"inspect: tells of another model than was converted: {seen}")
    _command(python, folder, "check", "Model.mlmodel")
    lines = _command(python, folder, "predict", "Model.mlmodel", "rows.json", "--json").splitlines()
    expected = json.loads((folder / "expected.json").read_text())
    for line, row in zip(lines, expected, strict=True):
        shares = next(value for value in json.loads(line).values() if isinstance(value, dict))
        if max(abs(shares[label] - share) for label, share in zip("abc", row, strict=True)) > 1e-5:
            raise WheelError(f"predict: {shares} instead of torch's {row}")


def _build(python: Path, folder: Path) -> None:
    _command(python, folder, "build", f"{SAMPLE}/recipe.toml", "--out", "built")
    built = folder / "built" / SAMPLE
    models = sorted(built.glob("*.mlmodel"))
    if len(models) < 2 or not (built / "report.html").is_file():
        raise WheelError(
            f"build: wrote {sorted(path.name for path in built.iterdir())}, expected two models and a report"
        )
    for model in models:
        _command(python, folder, "check", str(model))


def _command(python: Path, folder: Path, *arguments: str) -> str:
    return _run([str(python.with_name("coreml-updatable")), *arguments], folder)


def _run(command: list[str], folder: Path) -> str:
    """What ``command`` prints, in an environment that knows nothing of the checkout; a WheelError where it fails."""
    started = time.monotonic()
    ran: Any = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    shown = " ".join(" ".join(command).split())
    print(f"{time.monotonic() - started:6.1f} s {shown:.150}", flush=True)
    if ran.returncode != 0 or "Traceback" in ran.stderr:
        raise WheelError(f"{shown}\nstatus {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return str(ran.stdout)


def _environment() -> Mapping[str, str]:
    foreign = ("MAKE", "MFLAGS", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


if __name__ == "__main__":
    sys.exit(main())
