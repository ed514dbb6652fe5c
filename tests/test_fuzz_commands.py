"""The fuzzing of commands works: a few of its cases."""

import subprocess
import sys
from pathlib import Path


def test_a_few_cases() -> None:
    command = [sys.executable, "-m", "tests.fuzz_commands", "--cases", "24", "--workers", "1"]
    root = Path(__file__).parents[1]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "24 cases, 0 faults" in ran.stdout
