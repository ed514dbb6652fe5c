"""coremltools' own tests of layers, judged on the reference run and on the fast engine: Apple's numbers, on Linux.

Their tests ask `MLModel` of macOS for predictions; here it is our runtime. Some loop over thousands of settings: of
each test the first models are run.
"""

import random
import unittest
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.runtime import load
from coreml_updatable.runtime.engine import fast

MODELS = 8  # of one test
TESTS, ON_ENGINE = 200, 500  # at least so many run, and models on the engine
COSTS = ("IMPORTING", "STARTING", "PER_STEP", "OPENING", "PER_BYTE")


class EnoughError(Exception):
    """A test has run as many models as are asked of it."""


class StandIn:
    """`coremltools.models.MLModel`, of which the tests use the constructor, `get_spec` and `predict`."""

    engine = False
    left = MODELS
    ran: dict[str, int] = {}  # noqa: RUF012 - set for each run

    def __init__(self, model: Any, **_settings: Any) -> None:
        self._model = load(model)

    def get_spec(self) -> Any:
        return self._model.message

    def predict(self, row: dict[str, Any], **_settings: Any) -> Any:
        if not StandIn.left:
            raise EnoughError
        StandIn.left -= 1
        if not StandIn.engine:
            return self._model.predict(row)
        self._model.predict([row] * 2)  # as a plain run
        answers = self._model.predict([row] * 2)
        StandIn.ran[self._model.engine] = StandIn.ran.get(self._model.engine, 0) + 1
        return answers[1]


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Their module, which takes this machine for a Mac."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import coremltools

        monkeypatch.setattr("coremltools.models.utils._is_macos", lambda: True)
        monkeypatch.setattr("coremltools.models.utils._macos_version", lambda: (12, 0))
        module = import_module("coremltools.test.neural_network.test_numpy_nn_layers")
    monkeypatch.setattr(coremltools.models, "MLModel", StandIn)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for cost in COSTS:
        monkeypatch.setattr(fast, cost, 0.0)
    return module


def outcome(test: unittest.TestCase, engine: bool) -> str:
    """Empty where it passes."""
    StandIn.engine, StandIn.left = engine, MODELS
    np.random.seed(0)
    random.seed(0)
    result = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", fast.EngineWarning)
        test.run(result)
    found = [*result.failures, *result.errors]
    if not found or "EnoughError" in found[0][1]:
        return ""
    return found[0][1].strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(not fast.installed(), reason="ONNX Runtime is not installed")
def test_what_passes_on_the_reference_passes_on_the_engine(theirs: Any) -> None:
    StandIn.ran = {}
    passed = 0
    worse = []
    for suite in unittest.TestLoader().loadTestsFromModule(theirs):
        assert isinstance(suite, unittest.TestSuite)
        for test in suite:
            assert isinstance(test, unittest.TestCase)
            if test.id().endswith("runTest") or outcome(test, engine=False):
                continue
            passed += 1
            found = outcome(test, engine=True)
            if found:
                worse.append(f"{test.id()}: {found}")
    assert not worse
    assert passed >= TESTS
    assert StandIn.ran[fast.installed()] >= ON_ENGINE
