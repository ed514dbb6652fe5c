"""A plugin of pytest, `-p tests.instead_of_a_mac`: coremltools' own `MLModel`, with our runtime in Core ML's place.

Their tests of layers need macOS for predictions alone. Each model answers twice: as the reference does, which their
test judges, and on the fast engine, which must agree with the reference to ``AGREEING`` of the largest number.
Some of their tests loop over thousands of settings: of each the first ``MODELS`` models are run.
"""

import random
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coreml_updatable import bounds
from coreml_updatable.errors import UserError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.engine import fast

MODELS = 8
AGREEING = 1e-4
LARGEST = 2_000_000_000  # bytes: test_random_normal_like draws 100 million numbers
COSTS = ("IMPORTING", "STARTING", "PER_STEP", "OPENING", "PER_BYTE")
ENOUGH = "enough models"
_left, _ran = [0], {"models": 0}


class Proxy:
    """`coremltools.libcoremlpython._MLModelProxy`, of which their tests use these."""

    def __init__(self, path: str, *_settings: object) -> None:
        try:
            self.model: Any = load(path)
        except UserError as error:
            raise RuntimeError(str(error)) from error

    @staticmethod
    def maximum_supported_specification_version() -> int:
        return 10

    def predict(self, row: dict[str, Any], _state: object = None) -> dict[str, Any]:
        if not _left[0]:
            pytest.skip(ENOUGH)
        _left[0] -= 1
        reference = self.model.predict(row)
        layers = self.model.message.neuralNetwork.layers
        draws = any(layer.WhichOneof("layer") == "categoricalDistribution" for layer in layers)  # without a seed
        if fast.installed() and not draws:
            with warnings.catch_warnings():
                warnings.simplefilter("error", fast.EngineWarning)
                self.model.predict([row] * 2)  # as a plain run
                answers = self.model.predict([row] * 2)[1]
            if getattr(self.model, "engine", "") == fast.installed():
                _ran["models"] += 1
            differing = [name for name, value in reference.items() if not _agree(value, answers[name])]
            assert not differing, f"the engine differs from the reference in {differing}"
        return {name: _with_alpha(value) for name, value in reference.items()}

    def batchPredict(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: N802  # their name
        return [self.predict(row) for row in rows]


def _agree(reference: Any, answer: Any) -> bool:
    if not isinstance(reference, np.ndarray):
        return bool(reference == answer)
    finite = np.where(np.isfinite(reference), reference, 0)
    tolerance = AGREEING * float(np.abs(finite).max(initial=1e-3))
    return np.allclose(answer, reference, rtol=0, atol=tolerance, equal_nan=True)


def _with_alpha(value: Any) -> Any:
    """A picture as a Mac gives it: its pixel buffers are BGRA."""
    return value.convert("RGBA") if isinstance(value, Image.Image) and value.mode == "RGB" else value


def pytest_configure() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("model", "utils", "neural_network.quantization_utils"):
            import_module(f"coremltools.models.{name}")
    modules: list[Any] = [module for name, module in sys.modules.items() if name.startswith("coremltools.")]
    for module in modules:
        for name, value in (("_is_macos", True), ("_macos_version", (12, 0)), ("_MLModelProxy", Proxy)):
            if hasattr(module, name):
                setattr(module, name, value if isinstance(value, type) else lambda value=value: value)
    for cost in COSTS:  # the engine is worth it for two rows
        setattr(fast, cost, 0.0)
    bounds.allow(LARGEST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    np.random.seed(0)
    random.seed(0)
    _left[0] = MODELS
    return (yield)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(f"models on the engine: {_ran['models']}")
