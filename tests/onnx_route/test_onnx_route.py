"""Networks of the format's first version against another's reading of them: onnxmltools and ONNX Runtime.

The libraries are of 2020 and stand in an environment of their own, which `make test-onnx` sets up.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from coreml_updatable.runtime import load
from tests.onnx_route.networks import NETWORKS, network

pytestmark = pytest.mark.onnx_route
ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("ONNX_ROUTE_PYTHON", ROOT / ".onnx" / "bin" / "python"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, NDArray[Any]]]:
    """What the route answers to each network, by the names of its outputs."""
    assert PYTHON.exists(), f"{PYTHON} is missing; run: make test-onnx"
    folder = tmp_path_factory.mktemp("networks")
    for index, name in enumerate(NETWORKS):
        message, row = network(name)
        (folder / f"{index}.mlmodel").write_bytes(message.SerializeToString())
        np.savez(folder / f"{index}.npz", **row)  # type: ignore[arg-type]
    route = Path(__file__).with_name("route.py")
    done = subprocess.run([PYTHON, route, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = {}
    for index, name in enumerate(NETWORKS):
        with np.load(folder / f"{index}.answers.npz") as saved:
            answers[name] = dict(saved)
    return answers


@pytest.mark.parametrize("name", NETWORKS)
def test_two_readings_of_one_network_agree(name: str, found: dict[str, dict[str, NDArray[Any]]]) -> None:
    message, row = network(name)
    for output, value in load(message).predict(row).items():
        expected = found[name][output]
        assert [size for size in value.shape if size > 1] == [size for size in expected.shape if size > 1]
        np.testing.assert_allclose(value.ravel(), expected.ravel(), rtol=1e-5, atol=2e-5)
