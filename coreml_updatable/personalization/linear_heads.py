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
import torch
from numpy.typing import NDArray

from coreml_updatable.updating.assumptions import Assumptions
from coreml_updatable.updating.task import LinearLayer
from coreml_updatable.updating.training import Order, owners_state

Floats = NDArray[Any]
BYTES_AT_ONCE = 1 << 20  # of the weights of owners that Adam trains together: with its state, an L3 cache holds them
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
    start = layer.logits(embeddings)
    ones = np.ones((owners, rows, 1), embeddings.dtype)
    wanted = np.eye(classes, dtype=embeddings.dtype)[targets]
    plan = [batch for _, batch in batches(rows, parameters, assumptions)]
    height = max(1, BYTES_AT_ONCE // result[:1].nbytes)
    moved = slice(0 if "weights" in layer.trained else size, size + ("bias" in layer.trained))
    for block in range(0, owners, height):
        owned = slice(block, block + height)
        x = np.concatenate([embeddings[owned], ones[owned]], axis=2)[:, :, moved]
        change = np.ascontiguousarray(result[owned, :, moved])
        state, gradients = owners_state("adamOptimizer", [change], assumptions), np.empty_like(change)
        for batch in plan:
            with np.errstate(all="ignore"):
                chosen = x[:, batch]
                # Row by row and torch's bmm: with so few rows, the products of matrices take numpy two to five times as
                # long.
                logits = start[owned, batch] + (change[:, None] @ chosen[..., None])[..., 0]
                errors = softmax(logits, axis=2) - wanted[owned, batch]
                if assumptions.gradient == "mean":
                    errors /= len(batch)
                by_class = np.ascontiguousarray(errors.swapaxes(1, 2))
                torch.bmm(torch.from_numpy(by_class), torch.from_numpy(chosen), out=torch.from_numpy(gradients))
                state.step([change], [gradients], parameters)
        result[owned, :, moved] = change
    return result


def softmax(logits: Floats, axis: int = -1) -> Floats:
    """exp(z_i) / sum_j exp(z_j) along ``axis``, of the dtype given; the greatest is taken off first."""
    exponentials: Floats = logits - logits.max(axis=axis, keepdims=True)
    np.exp(exponentials, out=exponentials)
    exponentials /= exponentials.sum(axis=axis, keepdims=True)
    return exponentials
