"""Real models of Turi Create, trained in its own Python 3.8 by the programs beside this file."""

import os
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.cli.conftest import home as home
from tests.cli.conftest import run as run

Train = Callable[..., None]


@pytest.fixture(scope="session")
def train() -> Train:
    """Runs a program of this folder in Turi Create's Python."""
    interpreter = import_module("coreml_updatable.converters.turicreate.child").TURI_CREATE.interpreter()

    def run(program: str, *arguments: Path, kind: str | None = None, cache: Path | None = None) -> None:
        named = [kind] if kind else []
        command = [str(interpreter), "-I", str(Path(__file__).with_name(program)), *named, *map(str, arguments)]
        environment = {**os.environ, **({"TURI_CACHE_FILE_LOCATIONS": str(cache)} if cache else {})}
        done = subprocess.run(command, capture_output=True, text=True, cwd=arguments[-1].parent, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]

    return run


@pytest.fixture(scope="session")
def pretrained(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a SqueezeNet of random weights, under the names of Turi Create's own."""
    folder = tmp_path_factory.mktemp("cache") / "model_cache"
    folder.mkdir()
    train("make_pretrained.py", folder)
    return folder


@pytest.fixture(scope="session")
def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """scikit-learn's handwritten digits 0 to 4: uint8 [901, 28, 28], white on black, and which they are."""
    result = load_digits(n_class=5)
    pictures = (Image.fromarray((digit * 255 / 16).round().astype(np.uint8)) for digit in result.images)
    enlarged = [np.asarray(picture.resize((28, 28), Image.Resampling.BILINEAR)) for picture in pictures]
    return np.stack(enlarged), result.target.astype(np.int64)
