"""What a recipe says of updates stands in the marked model, read by the format's own messages."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from coreml_updatable.building.models_stage import knn_settings, update_settings
from coreml_updatable.marking import knn_variant, mark
from coreml_updatable.recipes.file import parse_recipe
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.spec.messages import Model
from tests.broken_models import valid

SHAPES = Path(__file__).parent / "shapes" / "recipe.toml"


def recipe(**sections: dict[str, Any]) -> Recipe:
    table = tomllib.loads(SHAPES.read_text())
    return parse_recipe({**table, **sections}, "recipe.toml")


def marked(made: Recipe) -> Model:
    return mark(valid.classifier(), update_settings(made.update), labels=("a", "b", "c"))


def test_sgd() -> None:
    parameters = marked(recipe()).neuralNetworkClassifier.updateParams
    sgd = parameters.optimizer.sgdOptimizer
    assert sgd.learningRate.defaultValue == 0.01
    assert (sgd.learningRate.range.minValue, sgd.learningRate.range.maxValue) == (0.0001, 1.0)
    assert sgd.momentum.defaultValue == 0.0
    assert list(sgd.miniBatchSize.set.values) == [1, 2, 4]
    assert parameters.epochs.defaultValue == 5
    assert (parameters.epochs.range.minValue, parameters.epochs.range.maxValue) == (1, 50)
    assert parameters.shuffle.defaultValue is True
    assert parameters.seed.defaultValue == 3


def test_adam() -> None:
    update = {"optimizer": "adam", "learning_rate": 0.002, "mini_batch_size": 4, "epochs": 7, "shuffle": False}
    parameters = marked(recipe(update={**update, "beta1": 0.8})).neuralNetworkClassifier.updateParams
    adam = parameters.optimizer.adamOptimizer
    values = (adam.learningRate, adam.miniBatchSize, adam.beta1, adam.beta2, adam.eps)
    assert [value.defaultValue for value in values] == [0.002, 4, 0.8, 0.999, 1e-8]
    assert parameters.epochs.defaultValue == 7
    assert parameters.shuffle.defaultValue is False


@pytest.mark.parametrize(("index", "kind"), [("linear", "linearIndex"), ("kd-tree", "singleKdTreeIndex")])
@pytest.mark.parametrize(
    ("weighting", "scheme"), [("uniform", "uniformWeighting"), ("inverse-distance", "inverseDistanceWeighting")]
)
def test_knn(index: str, kind: str, weighting: str, scheme: str) -> None:
    section = {"number_of_neighbors": 5, "index": index, "weighting": weighting, "leaf_size": 9, "default_label": "no"}
    result = recipe(knn=section)
    classifier = knn_variant(marked(result), knn_settings(result.knn)).pipelineClassifier.pipeline.models[-1]
    knn = classifier.kNearestNeighborsClassifier
    assert knn.numberOfNeighbors.defaultValue == 5
    assert knn.WhichOneof("WeightingScheme") == scheme
    assert knn.nearestNeighborsIndex.WhichOneof("IndexType") == kind
    assert index == "linear" or knn.nearestNeighborsIndex.singleKdTreeIndex.leafSize == 9
    assert knn.defaultStringLabel == "no"
