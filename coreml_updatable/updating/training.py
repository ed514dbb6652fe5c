"""The training loop: the order of rows, epochs, mini-batches, optimizer steps and the reported loss.

SGD with momentum and Adam (``SGDOptimizer``, ``AdamOptimizer``) change arrays in place. Their state starts at zero in
every task, because the format has no field for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim.adam import adam

from coreml_updatable import bounds
from coreml_updatable.updating.assumptions import Assumptions

Arrays: TypeAlias = Sequence[NDArray[Any]]


class OptimizerState(Protocol):
    def step(self, weights: Arrays, gradients: Arrays, parameters: Mapping[str, float]) -> None:
        """Change ``weights`` in place. ``parameters`` are those in force now."""


class SGDState:
    """SGD: v = mu v + g, w = w - lr v; or v = mu v - lr g, w = w + v. v starts at 0."""

    def __init__(self, weights: Arrays, assumptions: Assumptions) -> None:
        self._velocity = [np.zeros_like(weight) for weight in weights]
        self._accumulate = assumptions.momentum == "accumulate"

    def step(self, weights: Arrays, gradients: Arrays, parameters: Mapping[str, float]) -> None:
        rate, momentum = parameters["learningRate"], parameters["momentum"]
        for weight, gradient, velocity in zip(weights, gradients, self._velocity, strict=True):
            velocity *= momentum
            if self._accumulate:
                velocity += gradient
                weight -= rate * velocity
            else:
                velocity -= rate * gradient
                weight += velocity


class AdamState:
    """Adam (Kingma and Ba, 2015, algorithm 1), with the points in which Apple's may differ."""

    def __init__(self, weights: Arrays, assumptions: Assumptions) -> None:
        self._first = [np.zeros_like(weight) for weight in weights]
        self._second = [np.zeros_like(weight) for weight in weights]
        self._room = [np.zeros_like(weight) for weight in weights]  # a step makes no array: memory costs more than it
        self._steps = 0
        self._assumptions = assumptions

    def step(self, weights: Arrays, gradients: Arrays, parameters: Mapping[str, float]) -> None:
        rate, eps = parameters["learningRate"], parameters["eps"]
        beta1, beta2 = parameters["beta1"], parameters["beta2"]
        self._steps += 1
        corrected = self._assumptions.adam_bias == "corrected"
        first_share = 1 - beta1**self._steps if corrected else 1.0
        root_share = np.sqrt(1 - beta2**self._steps) if corrected else 1.0  # of the second moment
        kept = zip(weights, gradients, self._first, self._second, self._room, strict=True)
        for weight, gradient, first, second, room in kept:
            kind = weight.dtype.type
            first *= kind(beta1)
            first += np.multiply(gradient, kind(1 - beta1), out=room)
            second *= kind(beta2)
            np.multiply(gradient, gradient, out=room)
            room *= kind(1 - beta2)
            second += room
            match self._assumptions.adam_eps:  # each divisor times the root of the share
                case "outside":
                    np.sqrt(second, out=room)
                    room += kind(eps * root_share)
                case "inside":
                    np.add(second, kind(eps * root_share**2), out=room)
                    np.sqrt(room, out=room)
                case "scaled":
                    np.sqrt(second, out=room)
                    room += kind(eps)
            np.divide(first, room, out=room)
            room *= kind(rate * root_share / first_share)
            weight -= room


class FusedAdamState:
    """AdamState in one pass of torch over contiguous arrays; not for ``adam_eps`` "inside"."""

    def __init__(self, weights: Arrays, assumptions: Assumptions) -> None:
        self._first = [torch.zeros_like(torch.from_numpy(weight)) for weight in weights]
        self._second = [torch.zeros_like(first) for first in self._first]
        corrected = assumptions.adam_bias == "corrected"
        self._steps = [torch.tensor(0.0 if corrected else torch.inf) for _ in weights]  # 1 - beta ** inf is 1
        self._eps = assumptions.adam_eps

    def step(self, weights: Arrays, gradients: Arrays, parameters: Mapping[str, float]) -> None:
        beta2, eps = float(parameters["beta2"]), float(parameters["eps"])
        if self._eps == "scaled":
            eps = float(eps / np.sqrt(1 - beta2 ** (float(self._steps[0]) + 1)))
        adam(
            [torch.from_numpy(weight) for weight in weights],
            [torch.from_numpy(np.ascontiguousarray(gradient)) for gradient in gradients],
            self._first,
            self._second,
            [],
            self._steps,
            fused=True,
            amsgrad=False,
            beta1=float(parameters["beta1"]),
            beta2=beta2,
            lr=float(parameters["learningRate"]),
            weight_decay=0.0,
            eps=eps,
            maximize=False,
        )


def optimizer_state(kind: str, weights: Arrays, assumptions: Assumptions) -> OptimizerState:
    """Return the state for the name of the format's field: sgdOptimizer or adamOptimizer."""
    return SGDState(weights, assumptions) if kind == "sgdOptimizer" else AdamState(weights, assumptions)


def owners_state(kind: str, weights: Arrays, assumptions: Assumptions) -> OptimizerState:
    """Return the state for arrays that hold the weights of many owners."""
    if kind == "adamOptimizer" and assumptions.adam_eps != "inside":
        return FusedAdamState(weights, assumptions)
    return optimizer_state(kind, weights, assumptions)


class Order:
    """Mini-batches of row indices, epoch by epoch. ``seed``: None if neither the model nor the app sets one."""

    def __init__(self, rows: int, seed: int | None, shuffle: bool, assumptions: Assumptions) -> None:
        generators = {"PCG64": np.random.PCG64, "MT19937": np.random.MT19937}
        if seed is None and assumptions.no_seed == "one order":
            seed = 0
        self._random = np.random.Generator(generators[assumptions.generator](None if seed is None else seed % 2**64))
        self._rows = rows
        self._shuffle = shuffle
        self._assumptions = assumptions

    def epoch(self, index: int, size: int) -> Iterator[NDArray[np.int64]]:
        """Yield the mini-batches of epoch ``number``, with at most ``size`` rows each."""
        order = np.arange(self._rows)
        shuffle = self._shuffle and (index > 0 or self._assumptions.first_epoch == "shuffled")
        if shuffle and self._assumptions.shuffled == "rows":
            order = self._random.permutation(self._rows)
        starts = np.arange(0, self._rows, size)
        if self._assumptions.last_mini_batch == "drop" and self._rows > size and self._rows % size:
            starts = starts[:-1]
        if shuffle and self._assumptions.shuffled == "mini-batches":
            starts = self._random.permutation(starts)
        for start in starts:
            yield order[start : start + size]


STEP, PER_WEIGHT = 10**6, 100  # operations, as ``bounds`` counts them, of one step of an optimizer


class Learner(Protocol):
    @property
    def weights(self) -> Sequence[NDArray[Any]]: ...
    @property
    def optimizer(self) -> str: ...
    @property
    def head(self) -> Any: ...


def train(
    learner: Learner,
    rows: int,
    parameters: Mapping[str, Any],
    assumptions: Assumptions,
    tell: Callable[[str, dict[str, float]], bool],
) -> None:
    """Train in place.

    ``parameters`` is read again at every step, because a handler may change it; without a "seed", none is set.
    ``tell(event, metrics)`` is called at miniBatchEnd and epochEnd; training stops if it returns False.
    """
    steps = optimizer_state(learner.optimizer, learner.weights, assumptions)
    seed = int(parameters["seed"]) if "seed" in parameters else None
    order = Order(rows, seed, bool(parameters["shuffle"]), assumptions)
    work = STEP + PER_WEIGHT * sum(weight.size for weight in learner.weights)
    epoch = 0
    while epoch < int(parameters["epochs"]):
        losses, sizes = [], []
        for index, batch in enumerate(order.epoch(epoch, int(parameters["miniBatchSize"]))):
            bounds.count(work)
            with np.errstate(all="ignore"):  # what diverges says so by its loss
                loss, gradients = learner.head.gradients(batch)
                if assumptions.gradient == "sum":
                    gradients = [gradient * len(batch) for gradient in gradients]
                steps.step(learner.weights, gradients, parameters)
            losses.append(loss)
            sizes.append(len(batch))
            if not tell("miniBatchEnd", {"lossValue": loss, "epochIndex": epoch, "miniBatchIndex": index}):
                return
        if not tell("epochEnd", {"lossValue": _epoch_loss(losses, sizes, assumptions), "epochIndex": epoch}):
            return
        epoch += 1


def _epoch_loss(losses: Sequence[float], sizes: Sequence[int], assumptions: Assumptions) -> float:
    match assumptions.epoch_loss:
        case "last batch":
            return losses[-1]
        case "mean over batches":
            return float(np.mean(losses))
    return float(np.average(losses, weights=sizes))
