"""Nothing that has gradients runs channels-last: torch then corrupts its memory, on one thread."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


# torch has the fault where it uses AVX2, not AVX-512
@pytest.mark.parametrize("instructions", [pytest.param("DEFAULT", marks=pytest.mark.slow), "AVX2"])
def test_an_updatable_1x1_convolution_with_unequal_strides(instructions: str) -> None:
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "ONEDNN_MAX_CPU_ISA": instructions}
    command = [sys.executable, "-W", "ignore", "-m", "tests.updating.strided_convolutions"]
    run = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.splitlines()[-1] == "sound"
