"""A network that learns: its weights, the features that its trainable part reads, and the head that computes gradients.

The usual last layer has its gradients in closed form; all others use torch's differentiation. With logits z = W x + b
and p = softmax(z), the loss of a row is log(sum exp z) - z_t, and its gradient with respect to z is p - e_t: this is
-log(softmax(z)_t) without the logarithm of a rounded number. No graph is built, so a step costs microseconds.

A head that trains on more than a few mini-batches is recorded once, as a flat sequence of torch operations for batches
of one size; a step then costs as much as in a loop written in torch.

For categorical cross entropy, the last softmax is replaced by a log-softmax of its input, which gives the gradient of
-log(softmax) even if the softmax itself rounds to 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable import bounds
from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine.batched import Batched
from coreml_updatable.runtime.engine.program import Program, Step
from coreml_updatable.runtime.engine.tracing import recorded
from coreml_updatable.runtime.engine.weighing import weighed
from coreml_updatable.runtime.engine.weights import Key, field, updatable, with_weights
from coreml_updatable.runtime.network import NetworkModel
from coreml_updatable.spec.layer_kinds import can_be_updatable
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.storage import storage
from coreml_updatable.updating.assumptions import Assumptions
from coreml_updatable.updating.fixed_features import KeptFeatures
from coreml_updatable.updating.loss import loss_of


class LinearHead:
    """``features`` [n, D], ``targets`` [n] class numbers. ``weights`` [K, D] and ``bias`` [K] change between calls.

    ``trained``: which of (weights, bias) are trained; the gradients come in that order.
    """

    def __init__(
        self,
        features: NDArray[Any],
        targets: NDArray[np.int64],
        weights: NDArray[Any],
        bias: NDArray[Any] | None,
        trained: Sequence[str],
    ) -> None:
        self._features, self._targets = features, targets
        self._weights, self._bias, self._trained = weights, bias, tuple(trained)

    def gradients(self, batch: NDArray[np.int64]) -> tuple[float, list[NDArray[Any]]]:
        """Return the mean loss of these rows and its gradients."""
        x, targets = self._features[batch], self._targets[batch]
        logits = x @ self._weights.T
        if self._bias is not None:
            logits += self._bias
        logits -= logits.max(1, keepdims=True)
        exponentials = np.exp(logits)
        totals = exponentials.sum(1, keepdims=True)
        rows = np.arange(len(batch))
        loss = float((np.log(totals[:, 0]) - logits[rows, targets]).mean())
        by_logits = exponentials / totals
        by_logits[rows, targets] -= 1
        by_logits /= len(batch)
        result = {"weights": lambda: by_logits.T @ x, "bias": lambda: by_logits.sum(0)}
        return loss, [result[name]() for name in self._trained]


class GraphHead:
    """``features``: blobs [n, ...] by name. ``targets``: class numbers [n], or values [n, size] for a squared error.

    ``steps`` compute ``blob``: logits with the classes along ``axis`` of the batch (cross entropy), or values (None).
    """

    def __init__(
        self,
        features: Mapping[str, NDArray[Any]],
        targets: NDArray[Any],
        steps: Sequence[Step],
        parameters: Sequence[nn.Parameter],
        blob: str,
        axis: int | None,
        squared_error: str,
    ) -> None:
        self._features = {name: features[name] for name in sorted(features)}  # maps of a file, where there are many
        self._targets = torch.from_numpy(targets)
        self.parameters = [parameter.requires_grad_(True) for parameter in parameters]
        self.axis = axis
        self._blob, self._squared_error = blob, squared_error
        self._runner = Batched(Program(steps, [blob]), optimize=False)
        self._weights = sum(parameter.numel() for step in steps for parameter in step.module.parameters())
        self._batched = False
        self._work: dict[int, int | None] = {}  # of a batch of so many rows; None where values decide on it
        self._recorded: dict[int, Callable[..., tuple[Tensor, ...]] | None] = {}  # by rows; None: it is not the same

    def gradients(self, batch: NDArray[np.int64]) -> tuple[float, list[NDArray[Any]]]:
        """Return the mean loss of these rows and its gradients with respect to each parameter."""
        with bounds.bounded("update", len(batch), self._weights) as run:
            if self._work.get(len(batch)) is None:  # later batches of this size do the same
                with weighed():
                    before = run.work
                    result = self._gradients(batch)
                self._work[len(batch)] = run.work - before if self._batched else None
                return result
            run.count(self._work[len(batch)] or 0)
            return self._gradients(batch)

    def _gradients(self, batch: NDArray[np.int64]) -> tuple[float, list[NDArray[Any]]]:
        numbers = torch.from_numpy(batch)
        with torch.enable_grad():
            features = {name: torch.from_numpy(blob[batch]) for name, blob in self._features.items()}
            output = self._output(features, len(batch))
            loss = self._loss(output, self._targets[numbers])
            if not loss.requires_grad:
                raise ModelError(f"model: '{self._blob}' does not depend on the updatable weights; mark other layers")
            result = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        return float(loss.detach()), [gradient.numpy() for gradient in result]

    def _output(self, features: Mapping[str, Tensor], count: int) -> Tensor:
        """The rows' logits or values, with a graph of gradients."""
        function = self._recorded.get(count)
        if function is not None:
            return function(*features.values(), *self.parameters)[0]
        result = self._runner(features, count)
        self._batched = not isinstance(result, list)
        if isinstance(result, list):
            return torch.stack([row[self._blob] for row in result])
        if count in self._work and count not in self._recorded:  # the second batch of this size
            self._recorded[count] = self._record(features, result[self._blob])
        return result[self._blob]

    def _record(self, features: Mapping[str, Tensor], expected: Tensor) -> Callable[..., tuple[Tensor, ...]] | None:
        """The head for batches of this size; None where it cannot be recorded, or gives other gradients."""
        names, values = list(features), list(features.values())
        try:
            head = recorded(self._runner.batched(names), values, self.parameters)
            actual = head(*values, *self.parameters)[0]
            pairs = [self._by_weights(item) for item in (actual, expected)]
        except (RuntimeError, ModelError, NotImplementedError):
            return None
        alike = all(torch.allclose(one, other, rtol=1e-6, atol=1e-7) for one, other in zip(*pairs, strict=True))
        return head if alike and torch.allclose(actual, expected, rtol=1e-6, atol=1e-7) else None

    def batched(self, names: list[str]) -> Callable[..., tuple[Tensor, ...]]:
        """The head as one function of these blobs [n, ...]; it reads ``parameters``."""
        return self._runner.batched(names)

    def _by_weights(self, output: Tensor) -> tuple[Tensor, ...]:
        """Gradients of something that every number of ``output`` counts in, by each parameter."""
        return torch.autograd.grad(
            output.square().sum(), self.parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )

    def _loss(self, output: Tensor, targets: Tensor) -> Tensor:
        if self.axis is not None:
            logits = output.movedim(self.axis, 1).reshape(len(output), -1)
            return functional.cross_entropy(logits, targets)
        errors = (output.reshape(targets.shape) - targets).square()
        if self._squared_error == "mean":
            return errors.mean()
        return errors.sum(1).mean() * (0.5 if self._squared_error == "half" else 1.0)


SOFTMAX_KINDS = ("softmax", "softmaxND")


class NetworkLearner:
    """The learner of one task. ``weights``: arrays that training changes in place; ``head`` uses the same memory."""

    def __init__(self, model: NetworkModel, kept: KeptFeatures, assumptions: Assumptions) -> None:
        self._model = model
        self._loss = loss_of(model.base)
        trained = trained_parameters(model)
        self._keys = list(trained)
        self.weights = [parameter.detach().numpy().copy() for parameter in trained.values()]
        self.optimizer = str(network_of(model.base).updateParams.optimizer.WhichOneof("OptimizerType"))
        self._steps = with_weights(model.trainable_steps, dict(zip(self._keys, self.weights, strict=True)))
        for key, array in zip(self._keys, self.weights, strict=True):
            _parameter(self._steps, key).data = torch.from_numpy(array)
        self._features = kept.arrays()
        self._product: Step | None = None  # the one layer that is trained, where its output is the logits
        self.head = self._head(kept.others, assumptions)

    def model(self) -> NetworkModel:
        """Return the model with the current weights."""
        return self._model.updated({key: array.copy() for key, array in zip(self._keys, self.weights, strict=True)})

    @property
    def size(self) -> int:
        """Return how many weights the trainable part has."""
        return sum(parameter.numel() for step in self._steps for parameter in step.module.parameters())

    def linear(self) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[str, ...], str] | None:
        """Weights [K, D], bias [K] (0 without one), which of them are trained, and the blob that the layer reads.

        None unless one linear layer is all that is trained, and its output is the logits.
        """
        if self._product is None:
            return None
        parameters = {name: value.detach().numpy().copy() for name, value in self._product.module.named_parameters()}
        weights = parameters["weights"].reshape(len(parameters["weights"]), -1)
        bias = parameters.get("bias", np.zeros(len(weights), np.float32))
        return weights, bias, tuple(path for _, path in self._keys), str(self._product.layer.input[0])

    def close(self) -> None:
        """Release the features; the weights stay."""
        self._features = {}
        del self.head

    def _head(self, rows: Sequence[Mapping[str, Any]], assumptions: Assumptions) -> LinearHead | GraphHead:
        if not self._loss.cross_entropy:
            size = int(np.prod(self._shape(self._loss.blob)))
            return self._graph_head(self._loss.values(rows, size), self._loss.blob, None, assumptions)
        softmax = writer(self._steps, self._loss.blob)
        kind = softmax.layer.WhichOneof("layer") if softmax is not None else None
        if softmax is None or kind not in SOFTMAX_KINDS:
            raise ModelError(
                f"model: the loss reads '{self._loss.blob}', which is not the output of a trainable softmax; mark "
                "the model again"
            )
        logits = str(softmax.layer.input[0])
        shape = self._shape(logits)
        module: Any = softmax.module
        axis = module.axis(len(shape)) if kind == "softmax" else int(softmax.layer.softmaxND.axis)
        if not -len(shape) <= axis < len(shape) or shape[axis] != int(np.prod(shape)):
            raise ModelError(
                f"layer '{softmax.layer.name}': '{logits}' has the shape {shape}, but the loss needs all values on "
                f"axis {axis}; mark the model again"
            )
        targets = self._loss.classes(rows, shape[axis])
        product = writer(self._steps, logits)
        if product is not None and self._is_linear(product):
            self._product = product
            return self._linear_head(product, targets)
        return self._graph_head(targets, logits, axis - len(shape) if axis >= 0 else axis, assumptions)

    def _shape(self, blob: str) -> list[int]:
        """The shape of a blob for one row."""
        if blob not in self._features and writer(self._steps, blob) is None:
            raise ModelError(
                f"model: the loss reads '{blob}', which is not the output of a trainable layer; mark the model again"
            )
        runner = Batched(Program(_towards(self._steps, blob), [blob]), optimize=False)
        with torch.no_grad(), bounds.bounded("update"):
            first = {name: torch.from_numpy(values[:1].copy()) for name, values in self._features.items()}
            result = runner(first, 1)
        return list(result[0][blob].shape if isinstance(result, list) else result[blob].shape[1:])

    def _is_linear(self, product: Step) -> bool:
        """Return whether the logits come from one innerProduct of a whole frozen blob, and nothing else is trained."""
        layer = product.layer
        return (
            str(layer.WhichOneof("layer")) == "innerProduct"
            and str(layer.input[0]) in self._features
            and {name for name, _ in self._keys} == {layer.name}
            and self._features[str(layer.input[0])][0].size == layer.innerProduct.inputChannels
        )

    def _linear_head(self, product: Step, targets: NDArray[np.int64]) -> LinearHead:
        blob = self._features[str(product.layer.input[0])]
        parameters = {name: parameter.detach().numpy() for name, parameter in product.module.named_parameters()}
        flat = blob.reshape(len(blob), -1)
        trained = [path for _, path in self._keys]
        return LinearHead(flat, targets, parameters["weights"], parameters.get("bias"), trained)

    def _graph_head(self, targets: NDArray[Any], blob: str, axis: int | None, assumptions: Assumptions) -> GraphHead:
        parameters = [_parameter(self._steps, key) for key in self._keys]
        steps = _towards(self._steps, blob)
        return GraphHead(self._features, targets, steps, parameters, blob, axis, assumptions.squared_error)


def trained_parameters(model: NetworkModel) -> dict[Key, nn.Parameter]:
    """Return the parameters to train by layer name and field; ModelError if a device would refuse them."""
    result: dict[Key, nn.Parameter] = {}
    for step in model.trainable_steps:
        name, kind = step.layer.name, step.layer.WhichOneof("layer")
        if step.layer.isUpdatable and not can_be_updatable(step.layer):
            raise ModelError(f"layer '{name}': is a {kind}, which cannot be updated; mark another layer")
        for key, parameter in updatable(step).items():
            if key in result:
                raise ModelError(f"layer '{name}': two updatable layers have this name; rename one of them")
            held = storage(field(step.layer, key[1]))
            if held != "float32":
                raise ModelError(
                    f"layer '{name}': {key[1]} are {held}, but an update needs float32; export the model in full "
                    "precision"
                )
            result[key] = parameter
    if not result:
        raise ModelError("model: has no updatable layers or weights; mark it again")
    return result


def blobs_to_keep(model: NetworkModel) -> list[str]:
    """Return the blobs of the frozen part that the trainable part reads."""
    read = set[str]().union(*(step.reads for step in model.trainable_steps))
    return [name for name in model.crossing if name in read]


def writer(steps: Sequence[Step], blob: str) -> Step | None:
    return next((step for step in reversed(steps) if blob in step.writes), None)


def _towards(steps: Sequence[Step], blob: str) -> list[Step]:
    """The steps that ``blob`` depends on, in order."""
    needed, kept = {blob}, []
    for step in reversed(steps):
        if step.writes & needed:
            kept.append(step)
            needed |= step.reads
    return kept[::-1]


def _parameter(steps: Sequence[Step], key: Key) -> nn.Parameter:
    name, path = key
    module = next(step.module for step in steps if step.layer.name == name and step.layer.isUpdatable)
    return module.get_parameter(path)
