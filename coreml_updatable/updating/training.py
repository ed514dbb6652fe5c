"""The loop: epochs, mini-batches, the optimizer's steps, and the loss that is told."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.runtime import bounds
from coreml_updatable.updating.batches import Order
from coreml_updatable.updating.optimizers import optimizer
from coreml_updatable.updating.variants import Variants

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
    variants: Variants,
    tell: Callable[[str, dict[str, float]], bool],
) -> None:
    """Train in place. ``parameters`` is read again at every step, because a handler may change it; no "seed": none is
    set.

    ``tell(event, metrics)`` is called at miniBatchEnd and epochEnd; training stops when it says False.
    """
    steps = optimizer(learner.optimizer, learner.weights, variants)
    seed = int(parameters["seed"]) if "seed" in parameters else None
    order = Order(rows, seed, bool(parameters["shuffle"]), variants)
    work = STEP + PER_WEIGHT * sum(weight.size for weight in learner.weights)
    epoch = 0
    while epoch < int(parameters["epochs"]):
        losses, sizes = [], []
        for number, batch in enumerate(order.epoch(epoch, int(parameters["miniBatchSize"]))):
            bounds.count(work)
            with np.errstate(all="ignore"):  # what diverges says so by its loss
                loss, gradients = learner.head.gradients(batch)
                if variants.gradient == "sum":
                    gradients = [gradient * len(batch) for gradient in gradients]
                steps.step(learner.weights, gradients, parameters)
            losses.append(loss)
            sizes.append(len(batch))
            if not tell("miniBatchEnd", {"lossValue": loss, "epochIndex": epoch, "miniBatchIndex": number}):
                return
        if not tell("epochEnd", {"lossValue": _epoch_loss(losses, sizes, variants), "epochIndex": epoch}):
            return
        epoch += 1


def _epoch_loss(losses: Sequence[float], sizes: Sequence[int], variants: Variants) -> float:
    match variants.epoch_loss:
        case "last batch":
            return losses[-1]
        case "mean over batches":
            return float(np.mean(losses))
    return float(np.average(losses, weights=sizes))
