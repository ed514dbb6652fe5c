"""Which layers of a converted network train, and what its k-NN looks at."""

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from coreml_updatable.building.models_stage import make_variants, marked_pair, sharpened
from coreml_updatable.building.report_stage import source_facts
from coreml_updatable.converting.contract import Converted, HeadOnFeatures
from coreml_updatable.data.inputs import Examples, ImageInput
from coreml_updatable.errors import RecipeError
from coreml_updatable.recipes.file import parse_recipe
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model_pb2
from coreml_updatable.spec.network import network_of

SHAPES = Path(__file__).parent / "shapes" / "recipe.toml"


def recipe(last: int) -> Recipe:
    table = tomllib.loads(SHAPES.read_text())
    return parse_recipe({**table, "update": {**table["update"], "last": last}}, "recipe.toml")


@pytest.mark.parametrize("last", [1, 2])
def test_the_last_layers_train_and_the_twin_looks_before_the_last(last: int) -> None:
    wanted = recipe(last)
    image, classes = wanted.row_input(), len(wanted.labels)
    assert isinstance(image, ImageInput)
    torch.manual_seed(0)
    pixels = image.width * image.height * image.channels
    network = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 7), nn.ReLU(), nn.Linear(7, classes)).eval()
    converted: Any = import_module("coreml_updatable.converters.torch.tracing").to_core_ml(network, image)
    shape = (4, image.height, image.width, image.channels)
    pictures = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    examples = Examples(pictures, np.arange(4) % classes, ("a", "b", "c", "d"), ("one", "two", "one", "two"))
    variants = make_variants(wanted, converted, examples)
    trained = [layer.name for layer in network_of(variants.network).layers if layer.isUpdatable]
    assert len(trained) == last
    neighbors = variants.knn.pipelineClassifier.pipeline.models[-1].kNearestNeighborsClassifier
    assert neighbors.nearestNeighborsIndex.numberOfDimensions == 7


def test_a_head_scale_raises_probabilities_to_its_power_and_reserved_labels_keep_their_share() -> None:
    plain = recipe(1)
    image = plain.row_input()
    assert isinstance(image, ImageInput)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(image.width * image.height * image.channels, 2)).eval()
    converted: Any = import_module("coreml_updatable.converters.torch.tracing").to_core_ml(network, image)
    table = tomllib.loads(SHAPES.read_text())
    scaled = parse_recipe({**table, "update": {**table["update"], "head_scale": 0.3}}, "recipe.toml")
    reserved = {"reserved_labels": {"count": 2, "share": 0.05}, "update": scaled.update.model_dump(mode="json")}
    both = parse_recipe({**table, **reserved}, "recipe.toml")
    pixels = np.random.default_rng(0).integers(0, 255, (6, image.height, image.width, image.channels), dtype=np.uint8)
    rows = [{image.name: item} for item in pixels]
    before, after, mixed = (load(marked_pair(item, converted)[0]).predict(rows) for item in (plain, scaled, both))
    name = plain.outputs.probabilities
    p, q, r = (
        np.array([[row[name][label] for label in plain.labels] for row in said]) for said in (before, after, mixed)
    )
    wanted = p**0.3 / (p**0.3).sum(axis=1, keepdims=True)
    assert q == pytest.approx(wanted, abs=1e-5)
    assert sharpened(p, 0.3) == pytest.approx(wanted)
    assert r / r.sum(axis=1, keepdims=True) == pytest.approx(wanted, abs=1e-5)
    assert (r.sum(axis=1) >= 0.95 - 1e-6).all()
    assert (r.sum(axis=1) < 0.9999).all()


def test_at_least_one_layer_trains() -> None:
    with pytest.raises(RecipeError, match=r"update.*last"):
        recipe(0)


def test_a_head_that_was_fitted_without_epochs_says_so_where_snapshots_are_asked_for() -> None:
    model = Model_pb2.Model()
    tail = HeadOnFeatures(model, 6, 3)
    fitted = Converted(model, np.zeros((0, 2)), (), {"architecture": "any"}, tails=(tail,))
    trained = Converted(model, np.zeros((0, 2)), ({"epoch": 1, "validation_accuracy": 0.5},), {"architecture": "any"})
    assert "without epochs" in source_facts(fitted, 5)["snapshots"]
    for one, wanted in ((fitted, 0), (trained, 5)):
        assert source_facts(one, wanted) == {"architecture": "any"}
