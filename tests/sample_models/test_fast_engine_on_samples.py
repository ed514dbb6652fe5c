"""The fast engine gives the outputs of the reference for the network of every sample."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coreml_updatable.building.rehearsal import untrained_model
from coreml_updatable.building.request import BuildRequest, prepare
from coreml_updatable.building.sources import fixed_source
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.data.inputs import silent
from coreml_updatable.recipes.find import known_samples
from coreml_updatable.runtime import load
from coreml_updatable.runtime.engine import fast
from coreml_updatable.runtime.reference import reference
from coreml_updatable.spec.messages import Model

SAMPLES = Path(__file__).parents[2] / "sample_models"
ROWS = 6
TOLERANCE = 1e-4  # of the largest value of an output

pytestmark = [
    pytest.mark.vision,  # some samples need torchvision, or weights that are packages
    pytest.mark.skipif(not fast.installed(), reason="ONNX Runtime is not installed"),
]


def network(name: str, out: Path) -> Model:
    """The sample's network before training, or after one epoch where its recipe makes nothing less."""
    request = prepare(SAMPLES / name / "recipe.toml", None, None, None, out)
    if isinstance(request, BuildRequest):
        model = untrained_model(request)
        assert model is not None
        return model
    options = {**request.recipe.source.options} | ({"epochs": 1} if "epochs" in request.recipe.source.options else {})
    source = request.recipe.source.model_copy(update={"options": options})
    return fixed_source(replace(request, recipe=request.recipe.model_copy(update={"source": source})), silent).model


@pytest.mark.parametrize("name", known_samples(SAMPLES))
def test_a_sample_on_the_fast_engine(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for cost in ("IMPORTING", "STARTING", "PER_STEP", "OPENING", "PER_BYTE"):
        monkeypatch.setattr(fast, cost, 0.0)  # the engine is worth it for these rows
    model = load(network(name, tmp_path / "build"))
    rows = list(trial_rows(model.message, ROWS))
    with reference():
        expected = model.predict(rows)
    model.predict(rows)  # as a plain run
    actual = model.predict(rows)
    assert model.engine == fast.installed()
    for row, other in zip(actual, expected, strict=True):
        for output, value in other.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_allclose(row[output], value, rtol=0, atol=TOLERANCE * np.abs(value).max())
            elif isinstance(value, Image.Image):
                assert np.abs(np.asarray(row[output], np.int16) - np.asarray(value, np.int16)).max() <= 1
            elif isinstance(value, dict):
                np.testing.assert_allclose(list(row[output].values()), list(value.values()), rtol=0, atol=TOLERANCE)
            else:
                assert row[output] == value
