"""The loss layer of a network: what it reads, and the target that a row provides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError, a_kind, quoted
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, network_of
from coreml_updatable.text import did_you_mean


def target(row: Mapping[str, Any], name: str, index: int) -> Any:
    if name not in row:
        raise DataError(f"row {index}: the target '{name}' is missing; add it to the row")
    return row[name]


def class_number(value: Any, labels: Sequence[str] | Sequence[int], name: str, index: int) -> int:
    """Return the index of a label among the network's labels."""
    try:
        return list(labels).index(value)
    except ValueError:
        known = ", ".join(quoted(label) for label in labels[:8]) + (", ..." if len(labels) > 8 else "")
        meant = did_you_mean(str(value), map(str, labels)) or "only a k-NN can learn a new label"
        raise ModelError(f"row {index}: '{name}' is {quoted(value)}, expected one of {known}; {meant}") from None


def class_index(value: Any, classes: int, name: str, position: int) -> int:
    """Return a class that is given as a number in an array of one element."""
    try:
        given = float(np.asarray(value, np.float64).reshape(()))
    except (TypeError, ValueError, OverflowError):
        given = math.nan
    if isinstance(value, str) or not given.is_integer():
        raise DataError(f"row {position}: '{name}' is {quoted(value)}, expected the class index, an integer")
    index = int(given)
    if not 0 <= index < classes:
        raise ModelError(f"row {position}: '{name}' is {index}, expected a class from 0 to {classes - 1}")
    return index


def values(value: Any, size: int, name: str, index: int) -> NDArray[np.float32]:
    """Return the target [size] of a squared error."""
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(value, np.float32).ravel()
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"row {index}: '{name}' is {a_kind(value)}, expected {size} numbers") from None
    if len(array) != size:
        raise DataError(
            f"row {index}: '{name}' has {len(array)} values, but the network has {size} outputs; reshape it"
        )
    if not np.isfinite(array).all():
        raise DataError(f"row {index}: '{name}' contains NaN or infinite numbers; remove the row")
    return array


@dataclass(frozen=True)
class LossLayer:
    """A loss layer. ``blob``: what the loss reads. ``target``: the training input with the wanted value.

    ``labels``: those of the network if the target is a label; empty if it is a number or an array.
    """

    cross_entropy: bool
    blob: str
    target: str
    labels: tuple[str, ...] | tuple[int, ...]

    def classes(self, rows: Sequence[Mapping[str, Any]], count: int) -> NDArray[np.int64]:
        """Return the target class [n] of each row, below ``count``."""
        wanted = [(target(row, self.target, index), index) for index, row in enumerate(rows)]
        if self.labels and len(self.labels) != count:
            raise ModelError(
                f"model: has {len(self.labels)} labels, but the loss reads {count} values; export the model again"
            )
        if self.labels:
            return np.array([class_number(value, self.labels, self.target, index) for value, index in wanted], np.int64)
        return np.array([class_index(value, count, self.target, index) for value, index in wanted], np.int64)

    def values(self, rows: Sequence[Mapping[str, Any]], size: int) -> NDArray[np.float32]:
        """Return the target values [n, size] of each row."""
        wanted = [target(row, self.target, index) for index, row in enumerate(rows)]
        return np.stack([values(value, size, self.target, index) for index, value in enumerate(wanted)])


def loss_of(model: Model) -> LossLayer:
    """Return the only loss layer of an updatable network.

    coremltools names the target ``<blob>_true`` in the loss even if the training input is the label of the classifier;
    so a target that is not a training input stands for the label.
    """
    layers = network_of(model).updateParams.lossLayers
    if len(layers) != 1:
        raise ModelError(f"model: has {len(layers)} loss layers, expected 1; mark it again")
    kind = layers[0].WhichOneof("LossLayerType")
    if kind is None:
        raise ModelError("model: its loss layer has no type; mark it again")
    layer = getattr(layers[0], kind)
    label = str(model.description.predictedFeatureName)
    inputs = [feature.name for feature in model.description.trainingInput]
    wanted = str(layer.target)
    if wanted not in inputs and label in inputs:
        wanted = label
    if wanted not in inputs:
        raise ModelError(f"model: the target '{wanted}' of the loss is not a training input; mark it again")
    by_label = wanted == label and kind == "categoricalCrossEntropyLossLayer"
    return LossLayer(
        kind == "categoricalCrossEntropyLossLayer", str(layer.input), wanted, class_labels(model) if by_label else ()
    )
