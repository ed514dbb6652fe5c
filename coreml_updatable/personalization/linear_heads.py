"""One linear head for each of many owners, trained together with the order and the mini-batches of ``UpdateTask``.

Every gradient of cross entropy by the weights of logits W x + b is a sum of (p - e_t) x over the rows of a mini-batch.
So SGD, with momentum too, moves W only within the span of the rows that were learned: W = W0 + sum_s a_s x_s, and the
logits of a row q are W0 q + b0 + sum_s a_s (x_s q). A step needs the products of the owner's own rows alone (their Gram
matrix), never the D weights of a class. Adam divides each weight by its own root, which leaves the span; it is trained
on the weights themselves, a few owners at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.updating.assumptions import Assumptions
from coreml_updatable.updating.task import LinearLayer
from coreml_updatable.updating.training import AdamState, Order

Floats = NDArray[Any]
BYTES_AT_ONCE = 1 << 18  # of the weights of owners that Adam trains together: with what it keeps they stay in the cache
COLUMNS = 512  # owners whose coefficients are trained together: so many stay in the cache


def batches(
    rows: int, parameters: Mapping[str, Any], assumptions: Assumptions
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Epoch and row numbers of each mini-batch, as an UpdateTask with these parameters makes them."""
    seed = int(parameters["seed"]) if "seed" in parameters else None
    order = Order(rows, seed, bool(parameters["shuffle"]), assumptions)
    for epoch in range(int(parameters["epochs"])):
        for batch in order.epoch(epoch, int(parameters["miniBatchSize"])):
            yield epoch, batch


def train_in_span(
    products: Floats,
    start: Floats,
    targets: NDArray[np.int64],
    parameters: Mapping[str, Any],
    assumptions: Assumptions,
    learned: Floats | None = None,
    rows: NDArray[np.int64] | None = None,
) -> Floats:
    """Return the coefficients [O, S, K] of the rows after one update of every owner with SGD.

    Args:
        products: [O, S, S], of each owner's rows with one another, see ``LinearLayer.products``.
        start: [O, S, K], the rows' logits by the base.
        targets: [O, S], the class that each row is to have.
        learned: [O, S, K], the coefficients of earlier updates, which this one goes on from.
        rows: numbers of those that this update learns, in its order; by default all S.

    The change of the weights is the sum over the rows of coefficients times embedding.
    """
    owners, total, classes = start.shape
    learning = np.arange(total) if rows is None else rows
    plan = [batch for _, batch in batches(len(learning), parameters, assumptions)]
    result = np.zeros(start.shape, start.dtype) if learned is None else learned.copy()
    for block in range(0, owners, COLUMNS):
        part = slice(block, block + COLUMNS)
        wanted = np.zeros((total, classes, len(start[part])), start.dtype)
        np.put_along_axis(wanted, targets[part].T[:, None, :], 1, axis=1)
        coefficients = np.ascontiguousarray(result[part].transpose(1, 2, 0))
        _descend(
            np.ascontiguousarray(products[part].transpose(1, 2, 0)),
            np.ascontiguousarray(start[part].transpose(1, 2, 0)),
            wanted,
            coefficients,
            learning,
            plan,
            parameters,
            assumptions,
        )
        result[part] = coefficients.transpose(2, 0, 1)
    return result


def _descend(
    products: Floats,
    start: Floats,
    wanted: Floats,
    coefficients: Floats,
    learning: NDArray[np.int64],
    plan: Sequence[NDArray[np.int64]],
    parameters: Mapping[str, Any],
    assumptions: Assumptions,
) -> None:
    """Change ``coefficients`` [S, K, O] in place; owners are the last axis, so every operation is one long loop."""
    kind = start.dtype.type
    rate, momentum = kind(parameters["learningRate"]), kind(parameters["momentum"])
    moving = coefficients[learning]  # written back after each step, for the logits read all of them
    velocity = np.zeros_like(moving)
    accumulate = assumptions.momentum == "accumulate"
    for batch in plan:
        chosen = learning[batch]
        logits = start[chosen] + np.einsum("bso,sko->bko", products[chosen], coefficients)
        with np.errstate(all="ignore"):  # what diverges is seen by its answers
            gradients = softmax(logits, axis=1) - wanted[chosen]
            if assumptions.gradient == "mean":
                gradients /= len(batch)
            if momentum == 0:
                coefficients[chosen] -= rate * gradients
                continue
            velocity *= momentum
            if accumulate:
                velocity[batch] += gradients
                moving -= rate * velocity
            else:
                velocity[batch] -= rate * gradients
                moving += velocity
            coefficients[learning] = moving


def train_weights(
    layer: LinearLayer,
    embeddings: Floats,
    targets: NDArray[np.int64],
    parameters: Mapping[str, Any],
    assumptions: Assumptions,
    learned: Floats | None = None,
) -> Floats:
    """Return the change of every owner's weights [O, K, D + 1], the bias last, after one update with Adam.

    ``embeddings`` [O, S, D], ``targets`` [O, S]; ``learned``: the change by earlier updates, which this one goes on
    from. Adam's state starts at zero in each update.
    """
    owners, rows, size = embeddings.shape
    classes = len(layer.bias)
    result = np.zeros((owners, classes, size + 1), embeddings.dtype) if learned is None else learned.copy()
    base = np.concatenate([layer.weights, layer.bias[:, None]], axis=1).astype(embeddings.dtype)
    plan = [batch for _, batch in batches(rows, parameters, assumptions)]
    height = max(1, BYTES_AT_ONCE // base.nbytes)
    parts = {"weights": slice(0, size), "bias": slice(size, None)}
    moved = [slice(None)] if len(layer.trained) == len(parts) else [parts[name] for name in layer.trained]
    for block in range(0, owners, height):
        owned = slice(block, block + height)
        x = np.concatenate([embeddings[owned], np.ones((*targets[owned].shape, 1), embeddings.dtype)], axis=2)
        wanted = np.zeros((*targets[owned].shape, classes), embeddings.dtype)
        np.put_along_axis(wanted, targets[owned][..., None], 1, axis=2)
        weights = base + result[owned]
        trained = [weights[:, :, part] for part in moved]
        state, gradients = AdamState(trained, assumptions), np.empty_like(weights)
        for batch in plan:
            with np.errstate(all="ignore"):
                chosen = x[:, batch]
                errors = softmax(chosen @ weights.transpose(0, 2, 1), axis=2) - wanted[:, batch]
                if assumptions.gradient == "mean":
                    errors /= len(batch)
                np.matmul(errors.transpose(0, 2, 1), chosen, out=gradients)
                state.step(trained, [gradients[:, :, part] for part in moved], parameters)
        result[owned] = weights - base
    return result


def softmax(logits: Floats, axis: int = -1) -> Floats:
    """exp(z_i) / sum_j exp(z_j) along ``axis``, of the dtype given; the greatest is taken off first."""
    exponentials: Floats = logits - logits.max(axis=axis, keepdims=True)
    np.exp(exponentials, out=exponentials)
    exponentials /= exponentials.sum(axis=axis, keepdims=True)
    return exponentials
