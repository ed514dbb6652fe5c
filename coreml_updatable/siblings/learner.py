"""What of an updatable network a sibling has: functions on batches, trained weights, the loss and the optimizer.

A picture goes in as it is, [n, C, H, W] with values 0 to 255 in the model's order of colors; scaling is in the network.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import FrozenRow, Row, RunnableModel
from coreml_updatable.runtime.engine.batched import Batched
from coreml_updatable.runtime.engine.program import Program
from coreml_updatable.runtime.io.arrays import default, numbers
from coreml_updatable.runtime.io.inputs import NetworkInputs, pixels
from coreml_updatable.runtime.io.outputs import Outputs
from coreml_updatable.runtime.network import NetworkModel
from coreml_updatable.runtime.pipeline import PipelineModel
from coreml_updatable.spec.features import COLOR_SPACES, GRAYSCALE_FLOAT16
from coreml_updatable.spec.messages import FeatureDescription
from coreml_updatable.spec.network import class_labels, last_member, network_of
from coreml_updatable.updating.assumptions import Assumptions, trained_under
from coreml_updatable.updating.loss import LossLayer, loss_of
from coreml_updatable.updating.network import SOFTMAX_KINDS, trained_parameters, writer
from coreml_updatable.updating.parameters import Parameters, of_network, unset_of_network

TensorFunction: TypeAlias = Callable[..., tuple[Tensor, ...]]
PROBABILITIES = "probabilities"  # where the model does not name them


@dataclass(frozen=True)
class SiblingInput:
    """``shape``: of one row, as the sibling reads it; a picture's is [C, H, W]. ``inner``: as the layers read it."""

    name: str
    shape: tuple[int, ...]
    inner: tuple[int, ...]
    feature: FeatureDescription

    @property
    def is_picture(self) -> bool:
        return bool(self.feature.type.WhichOneof("Type") == "imageType")

    def array(self, value: Any, index: int) -> NDArray[np.float32]:
        """A row's value as the sibling reads it."""
        where = f"row {index}: feature '{self.name}'"
        if self.is_picture:
            return np.ascontiguousarray(pixels(self.feature, value, where), np.float32)
        return np.ascontiguousarray(numbers(self.feature, value, where), np.float32).reshape(self.shape)


class SiblingSource:
    """A loaded network taken apart. ModelError where no sibling can be had of it, with the reason.

    ``fixed(*inputs)``: batches [n, ...] of ``inputs``, in this order, to those of ``crossing``. ``head(*crossing)``: to
    logits [n, K], or the values [n, size] of a squared error, and then to the ``outputs`` [n, ...]; it reads
    ``weights`` besides.
    """

    def __init__(self, model: RunnableModel) -> None:
        network = _network(model)
        update = network_of(network.base).updateParams
        self.model = network
        self.assumptions = _assumed(network)
        self.loss: LossLayer = loss_of(network.base)
        self.labels = class_labels(network.base)
        self.optimizer = str(update.optimizer.WhichOneof("OptimizerType"))
        self.messages = of_network(update)
        self.parameters: Mapping[str, Any] = Parameters(self.messages, None, unset_of_network(update)).values
        self._reading = NetworkInputs(network.base, network_of(network.base))
        self.inputs = [self._input(feature) for feature in network.base.description.input]
        trained = trained_parameters(network)
        self.keys = {f"{name}.{path}": (name, path) for name, path in trained}
        self.weights: dict[str, nn.Parameter] = {f"{name}.{path}": value for (name, path), value in trained.items()}
        if len(self.weights) != len(trained):
            raise ModelError("model: weights of two updatable layers have one name; mark it again")
        self._answers = Outputs(network.base)
        blobs = [str(blob) for blob in self._answers.blobs]
        self._scores, softmax = _scores(network, self.loss)
        with torch.no_grad():
            first = self.fixed(*(torch.zeros(1, *value.shape) for value in self.inputs))
            result = self._after([self._scores, *blobs])(*first)
        self._axis = _axis(softmax, list(result[0].shape[1:]))
        self.size = int(result[0][0].numel())  # classes, or values
        if self.labels and self.loss.cross_entropy and self.size != len(self.labels):
            raise ModelError(f"model: has {len(self.labels)} labels and {self.size} outputs; export the model again")
        self._blobs = blobs
        self.outputs = {
            self._name(blob): self._shape(blob, tuple(value.shape[1:]))
            for blob, value in zip(blobs, result[1:], strict=True)
        }

    def fixed(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        prepared = {item.name: self._prepared(item, value) for item, value in zip(self.inputs, inputs, strict=True)}
        program = Program(self.model.fixed_steps, self.model.crossing)
        names = sorted(prepared)
        return Batched(program, optimize=False).batched(names)(*(prepared[name] for name in names))

    def head(self, *crossing: Tensor) -> tuple[Tensor, ...]:
        scores, *others = self._after([self._scores, *self._blobs])(*crossing)
        if self._axis is not None:
            scores = scores.movedim(self._axis, 1)
        shaped = [value.reshape(len(value), *shape) for value, shape in zip(others, self.outputs.values(), strict=True)]
        return (scores.reshape(len(scores), self.size), *shaped)

    def arrays(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float32]]:
        """The inputs of these rows as the sibling reads them, [n, ...] by name."""
        listed = _whole(rows)
        return {
            value.name: np.stack([value.array(row[value.name], index) for index, row in enumerate(listed)])
            for value in self.inputs
        }

    def targets(self, rows: Sequence[Row]) -> NDArray[Any]:
        """Class numbers [n] (int64), or values [n, size]."""
        listed = _whole(rows)
        return self.loss.classes(listed, self.size) if self.loss.cross_entropy else self.loss.values(listed, self.size)

    def _after(self, blobs: Sequence[str]) -> TensorFunction:
        program = Program(self.model.trainable_steps, list(dict.fromkeys(blobs)))
        batched = Batched(program, optimize=False).batched(list(self.model.crossing))

        def several(*crossing: Tensor) -> tuple[Tensor, ...]:
            result = dict(zip(program.outputs, batched(*crossing), strict=True))
            return tuple(result[blob] for blob in blobs)

        return several

    def _prepared(self, item: SiblingInput, value: Tensor) -> Tensor:
        if item.is_picture:
            for scale, bias in self._reading.picture_steps(item.feature):
                value = value * scale if scale != 1.0 else value
                value = value if bias is None else value + (bias if bias.dim() == 3 else bias.reshape(item.shape))
        return value.reshape(len(value), *item.inner)

    def _input(self, feature: FeatureDescription) -> SiblingInput:
        if feature.type.WhichOneof("Type") == "imageType":
            image = feature.type.imageType
            if image.colorSpace == GRAYSCALE_FLOAT16 or not image.width or not image.height:
                raise ModelError(f"model: input '{feature.name}' has no size, or 16-bit pixels; no sibling reads those")
            shape: tuple[int, ...] = (COLOR_SPACES[image.colorSpace][1], int(image.height), int(image.width))
        else:
            shape = tuple(default(feature).shape)
        return SiblingInput(str(feature.name), shape, self._reading.inner_shape(feature, shape), feature)

    def _name(self, blob: str) -> str:
        description = self._answers.description
        if blob == self._answers.probabilities:
            return str(description.predictedProbabilitiesName) or PROBABILITIES
        return blob

    def _shape(self, blob: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of probabilities [K], else as the model declares it where that fits."""
        if blob == self._answers.probabilities:
            return (prod(shape),)
        for feature in self._answers.features:
            declared = tuple(int(size) for size in feature.type.multiArrayType.shape)
            if feature.name == blob and declared and prod(declared) == prod(shape):
                return declared
        return shape


def _whole(rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    listed: list[Mapping[str, Any]] = []
    for row in rows:
        if isinstance(row, FrozenRow):
            raise ModelError("siblings: rows have to be whole, not frozen")
        listed.append(row)
    return listed


def _network(model: RunnableModel) -> NetworkModel:
    """The network; a ModelError for what has no sibling."""
    if last_member(model.base).WhichOneof("Type") == "kNearestNeighborsClassifier":
        raise ModelError(
            "model: is a k-nearest-neighbors classifier, which needs no engine, because an app stores the samples "
            "itself; pass the network"
        )
    if isinstance(model, PipelineModel):
        raise ModelError(
            "model: is a pipeline, a sibling is one network; join it first: coreml-updatable layout MODEL --to single "
            "-o OUT.mlmodel"
        )
    if not isinstance(model, NetworkModel):
        raise ModelError(f"model: is a {model.base.WhichOneof('Type')}, which no update trains; give a network")
    if not model.is_updatable:
        raise ModelError("model: is not updatable; mark it first: coreml-updatable mark MODEL -o OUT.mlmodel")
    return model


def _assumed(model: NetworkModel) -> Assumptions:
    """How the model is trained; a ModelError for a choice that no engine offers."""
    assumed = trained_under(model.assumptions)
    for name in ("gradient", "squared_error", "adam_bias"):
        if getattr(assumed, name) != getattr(Assumptions(), name):
            raise ModelError(
                f"siblings: engines train with {name} '{getattr(Assumptions(), name)}', not "
                f"'{getattr(assumed, name)}'; leave this assumption at its default"
            )
    return assumed


def _scores(model: NetworkModel, loss: LossLayer) -> tuple[str, Any]:
    """The blob that the loss is computed from, and the softmax step behind it (None of a squared error)."""
    if not loss.cross_entropy:
        return loss.blob, None
    softmax = writer(model.trainable_steps, loss.blob)
    if softmax is None or softmax.layer.WhichOneof("layer") not in SOFTMAX_KINDS:
        raise ModelError(
            f"model: no trainable softmax writes '{loss.blob}', which the loss reads; mark the model again"
        )
    return str(softmax.layer.input[0]), softmax


def _axis(softmax: Any, shape: list[int]) -> int | None:
    """The axis of the classes in a batch, counted from its end; None of a squared error."""
    if softmax is None:
        return None
    kind = softmax.layer.WhichOneof("layer")
    axis = softmax.module.axis(len(shape)) if kind == "softmax" else int(softmax.layer.softmaxND.axis)
    if not -len(shape) <= axis < len(shape) or shape[axis] != prod(shape):
        raise ModelError(f"layer '{softmax.layer.name}': reads the shape {shape}, the loss needs one axis of classes")
    return axis - len(shape) if axis >= 0 else axis
