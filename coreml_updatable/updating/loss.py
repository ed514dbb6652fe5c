"""The loss layer of a network: what it reads, and what it wants of a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, network_of
from coreml_updatable.updating.targets import class_index, class_number, target, values


@dataclass(frozen=True)
class Loss:
    """``blob``: what the loss reads. ``target``: the training input that says what it should be.

    ``labels``: the network's, where the target is one of them; empty where it is a number or values.
    """

    cross_entropy: bool
    blob: str
    target: str
    labels: tuple[str, ...] | tuple[int, ...]

    def classes(self, rows: Sequence[Mapping[str, Any]], count: int) -> NDArray[np.int64]:
        """The wanted class [n] of each row, below ``count``."""
        wanted = [(target(row, self.target, at), at) for at, row in enumerate(rows)]
        if self.labels and len(self.labels) != count:
            raise ModelError(
                f"model: has {len(self.labels)} labels, the loss reads {count} values; export the model again"
            )
        if self.labels:
            return np.array([class_number(value, self.labels, self.target, at) for value, at in wanted], np.int64)
        return np.array([class_index(value, count, self.target, at) for value, at in wanted], np.int64)

    def values(self, rows: Sequence[Mapping[str, Any]], size: int) -> NDArray[np.float32]:
        """The wanted output [n, size] of each row."""
        wanted = [target(row, self.target, at) for at, row in enumerate(rows)]
        return np.stack([values(value, size, self.target, at) for at, value in enumerate(wanted)])


def loss_of(model: Model) -> Loss:
    """The one loss layer of an updatable network.

    coremltools names the target ``<blob>_true`` in the loss even where the training input is the classifier's label; so
    a target that is no training input stands for the label.
    """
    layers = network_of(model).updateParams.lossLayers
    if len(layers) != 1:
        raise ModelError(f"model: has {len(layers)} loss layers, expected 1; mark it again")
    kind = layers[0].WhichOneof("LossLayerType")
    if kind is None:
        raise ModelError("model: its loss layer has no kind; mark it again")
    layer = getattr(layers[0], kind)
    label = str(model.description.predictedFeatureName)
    inputs = [feature.name for feature in model.description.trainingInput]
    wanted = str(layer.target)
    if wanted not in inputs and label in inputs:
        wanted = label
    if wanted not in inputs:
        raise ModelError(f"model: the loss wants '{wanted}', which is no training input; mark it again")
    by_label = wanted == label and kind == "categoricalCrossEntropyLossLayer"
    return Loss(
        kind == "categoricalCrossEntropyLossLayer", str(layer.input), wanted, class_labels(model) if by_label else ()
    )
