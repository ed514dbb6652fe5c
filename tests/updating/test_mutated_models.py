"""Hostile updatable models: an update raises our own errors or completes, and what it made still predicts."""

import contextlib
import warnings
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.errors import ModelError, UserError
from coreml_updatable.spec.io import parse_model
from coreml_updatable.spec.messages import Model
from coreml_updatable.updating import UpdateContext, UpdateTask
from tests.broken_models import valid
from tests.runtime.mutations import damaged_bytes, damaged_fields
from tests.runtime.sound_models import sound_models
from tests.runtime.test_mutated_models import MEMORY, can_be_made, limited, row_for

SOUND = [model for model in sound_models() if model.isUpdatable]


def training_row(model: Model) -> dict[str, Any]:
    """A row for predicting, with the label "a", 1 or zeros for what is to be learned."""
    row = row_for(model)
    for feature in model.description.trainingInput:
        sizes = [int(size) for size in feature.type.multiArrayType.shape]
        zeros = np.zeros(sizes if can_be_made(sizes) and 0 not in sizes else [1], np.float32)
        labels = {"stringType": "a", "int64Type": 1}
        row.setdefault(feature.name, labels.get(feature.type.WhichOneof("Type"), zeros))
    return row


def early(context: UpdateContext) -> None:
    """A damaged file may ask for any number of epochs."""
    if context.metrics.get("epochIndex", 0) >= 2:
        context.task.cancel()


def learn(content: bytes) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.suppress(UserError):
        warnings.simplefilter("ignore")
        model = parse_model(content, "a file")
        result = UpdateTask(model, [training_row(model)] * 3, on_event=early).resume().model
        result.predict(row_for(model))
        assert result.message.IsInitialized()


@pytest.mark.parametrize("number", range(len(SOUND)))
def test_the_models_learn(number: int) -> None:
    context = UpdateTask(SOUND[number], [training_row(SOUND[number])] * 3).resume()
    assert context.model.message != SOUND[number]


@pytest.mark.parametrize("examples", [150, pytest.param(3000, marks=pytest.mark.slow)])
def test_only_our_errors_come_out(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32))
    def run(seed: int) -> None:
        random = Random(seed)
        learn(damaged_fields(random.choice(SOUND), random).SerializeToString())
        learn(damaged_bytes(random.choice(SOUND).SerializeToString(), SOUND[0].SerializeToString(), random))

    with limited(MEMORY):
        run()


def test_a_loss_that_reads_no_blob() -> None:
    model = valid.plain()
    model.neuralNetwork.updateParams.lossLayers[0].meanSquaredErrorLossLayer.input = "nowhere"
    with pytest.raises(ModelError, match="the loss reads 'nowhere', which is not the output of a trainable layer"):
        UpdateTask(model, [training_row(model)]).resume()


def test_more_labels_than_outputs() -> None:
    model = valid.classifier()
    row = {**training_row(model), str(model.description.predictedFeatureName): "d"}
    model.neuralNetworkClassifier.stringClassLabels.vector.append("d")
    with pytest.raises(ModelError, match="model: has 4 labels, but the loss reads 3 values; export the model again"):
        UpdateTask(model, [row]).resume()
