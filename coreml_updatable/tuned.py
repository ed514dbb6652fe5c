"""Write the values that ``tune`` chose into a model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from coreml_updatable.checking import expect_valid
from coreml_updatable.converting.marked import marked_and_proved
from coreml_updatable.data.inputs import Int64Array
from coreml_updatable.marking import with_samples
from coreml_updatable.marking.head import read_weights, write_weights
from coreml_updatable.marking.settings import SGD, Adam, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.recipes.tuned import BATCHES, epochs_range, learning_rate_range
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.spec.messages import Model, copy_of
from coreml_updatable.spec.network import last_member, network_of
from coreml_updatable.spec.samples import samples_of
from coreml_updatable.updating.task import LinearLayer

WHAT = "tuned model"


def with_tuned_values(
    model: RunnableModel, values: Mapping[str, Any], head: LinearLayer | None, samples: Int64Array | None
) -> RunnableModel:
    """Return the model with the tuned values as defaults, and ranges around them for the app.

    ``head``: new weights of a network's only trained layer; ``samples``: indices of those that a k-NN keeps.
    """
    message = copy_of(model.message)
    if "numberOfNeighbors" in values:
        _write_neighbors(message, int(values["numberOfNeighbors"]), str(values["weighting"]), samples)
        expect_valid(message, WHAT)
        return load(message)
    if head is not None:
        _write_head(message, head)
        expect_valid(message, WHAT)
    network = network_of(last_member(message))
    rate, epochs, update = float(values["learningRate"]), int(values["epochs"]), network.updateParams
    of_both = (
        DoubleParameter(rate, learning_rate_range(rate)),
        Int64Parameter(int(values["miniBatchSize"]), allowed=BATCHES),
    )
    settings = UpdateSettings(
        Adam(*of_both)
        if values["optimizer"] == "adam"
        else SGD(*of_both, DoubleParameter(float(values["momentum"]), (0.0, 0.99))),
        Int64Parameter(epochs, epochs_range(epochs)),
        bool(update.shuffle.defaultValue),
        int(update.seed.defaultValue) if update.HasField("seed") else None,
    )
    layers = [str(layer.name) for layer in network.layers if layer.isUpdatable]
    marked, _ = marked_and_proved(message, settings, lambda result: expect_valid(result, WHAT), layers=layers)
    return load(marked.model)


def _write_head(message: Model, head: LinearLayer) -> None:
    """Write other weights into the only trained layer, in place."""
    layer = next(layer for layer in network_of(last_member(message)).layers if layer.isUpdatable)
    wide = copy_of(layer)
    weights, bias = read_weights(wide, f"layer '{layer.name}'")
    if not (np.array_equal(weights.reshape(head.weights.shape), head.weights) and np.array_equal(bias, head.bias)):
        layer.CopyFrom(wide)
        has_bias = bool(layer.innerProduct.hasBias)
        write_weights(layer, head.weights.reshape(weights.shape), head.bias if has_bias else None, len(head.bias))


def _write_neighbors(message: Model, k: int, weighting: str, kept: Int64Array | None) -> None:
    if kept is not None:
        samples = samples_of(message)
        labels = [samples.labels[row] for row in kept]
        message.CopyFrom(with_samples(message, samples.embeddings[kept], labels))
    classifier = last_member(message).kNearestNeighborsClassifier
    classifier.numberOfNeighbors.defaultValue = k
    classifier.numberOfNeighbors.range.minValue, classifier.numberOfNeighbors.range.maxValue = 1, max(15, k)
    (classifier.uniformWeighting if weighting == "uniform" else classifier.inverseDistanceWeighting).SetInParent()
