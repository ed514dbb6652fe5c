"""The k-NN classifiers of many owners, who share the samples of a base and each add some: one table of distances.

The votes and ties are those of ``runtime/neighbors``, under the same assumptions, for many owners at a time.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Float32Array, Float64Array, Int64Array
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.runtime.neighbors.classifier import EPSILON

BYTES_AT_ONCE = 1 << 26
NEAR = 1e-6  # of the norms: below it a distance is measured again by differences, so that equal rows are at 0


@dataclass(frozen=True)
class Votes:
    """How the neighbors vote."""

    uniform: bool
    assumptions: PredictionAssumptions


@dataclass(frozen=True)
class BaseSamples:
    """The samples that all owners share. ``samples`` [M, D], ``labels`` [M]: class numbers."""

    samples: Float32Array
    labels: Int64Array
    votes: Votes


def squared_distances(rows: Float32Array, others: Float32Array) -> Float64Array:
    """||r - s||^2 of every row [n, D] and other [m, D], in double precision; 0 where the two are equal."""
    wide, far = rows.astype(np.float64), others.astype(np.float64)
    norms, their_norms = np.einsum("ij,ij->i", wide, wide), np.einsum("ij,ij->i", far, far)
    scale = norms[:, None] + their_norms[None, :]
    result = np.asarray(scale - 2 * (wide @ far.T))
    for row, other in zip(*np.nonzero(result <= NEAR * scale), strict=True):
        apart = wide[row] - far[other]
        result[row, other] = apart @ apart
    return np.asarray(np.maximum(result, 0.0))


@dataclass(frozen=True)
class Nearest:
    """The k nearest samples to each of some rows: ``distances`` [k, ...], squared, and ``labels`` [k, ...], nearest
    first; infinite and -1 where there are fewer."""

    distances: Float64Array
    labels: Int64Array
    votes: Votes

    def of(self, places: Any) -> "Nearest":
        """Those to some of the rows; ``places`` index them as NumPy does."""
        return Nearest(self.distances[(slice(None), *places)], self.labels[(slice(None), *places)], self.votes)

    def with_sample(self, distances: Float64Array, labels: Int64Array) -> "Nearest":
        """The same with one more sample, a younger one: its ``distances`` [...] to the rows, its ``labels``, which may
        be fewer and are repeated as NumPy does; -1 is no sample."""
        near = np.where(labels < 0, np.inf, distances)
        if self.votes.assumptions.tied_samples == "earliest":
            place = (self.distances <= near).sum(axis=0)
        else:
            place = (self.distances < near).sum(axis=0)
        new_distances, new_labels = self.distances.copy(), self.labels.copy()
        for k in range(len(new_distances)):
            here, behind = place == k, place < k
            new_distances[k] = np.where(here, near, new_distances[k])
            new_labels[k] = np.where(here, labels, new_labels[k])
            if k:
                new_distances[k] = np.where(behind, self.distances[k - 1], new_distances[k])
                new_labels[k] = np.where(behind, self.labels[k - 1], new_labels[k])
        return Nearest(new_distances, new_labels, self.votes)

    def vote(self, classes: int) -> tuple[Int64Array, Float64Array]:
        """Each row's class [...], -1 where there is no sample at all, and the votes of every class [classes, ...].

        Among classes with equal votes that of the nearest sample, or the one with the least number, as is assumed.
        """
        weights = np.where(np.isfinite(self.distances), _weights(self.distances, self.votes), 0.0)
        totals = np.zeros((classes, *self.distances.shape[1:]))
        for called, weight in zip(self.labels, weights, strict=True):  # nearest first, as one model adds them up
            for label in range(classes):
                totals[label] += np.where(called == label, weight, 0.0)
        most = totals.max(axis=0)
        winner = np.asarray(totals.argmax(axis=0), np.int64)
        if self.votes.assumptions.tied_labels == "nearest":
            settled = np.zeros(winner.shape, bool)
            for called in self.labels:
                mine = np.take_along_axis(totals, np.maximum(called, 0)[None], axis=0)[0]
                best = ~settled & (called >= 0) & (mine == most)
                winner = np.where(best, called, winner)
                settled |= best
        return np.where(most > 0, winner, -1), totals


def nearest_samples(rows: Float32Array, base: BaseSamples, k: int) -> Nearest:
    """The ``k`` nearest base samples to each row [n, D]."""
    count = min(k, len(base.samples))
    distances, labels = np.full((k, len(rows)), np.inf), np.full((k, len(rows)), -1, np.int64)
    height = max(1, BYTES_AT_ONCE // (8 * max(1, len(base.samples))))
    for start in range(0, len(rows) if count else 0, height):
        part = slice(start, start + height)
        table = squared_distances(rows[part], base.samples)
        if base.votes.assumptions.tied_samples == "latest":
            order = len(base.samples) - 1 - np.argsort(table[:, ::-1], axis=1, kind="stable")[:, :count]
        else:
            order = np.argsort(table, axis=1, kind="stable")[:, :count]
        distances[:count, part] = np.take_along_axis(table, order, axis=1).T
        labels[:count, part] = base.labels[order].T
    return Nearest(distances, labels, base.votes)


def _weights(distances: Float64Array, votes: Votes) -> Any:
    """A vote for each neighbor [k, ...], from its squared distance."""
    if votes.uniform:
        return np.ones_like(distances)
    measured = distances if votes.assumptions.inverse_of == "squared distance" else np.sqrt(distances)
    equal = measured == 0
    if votes.assumptions.zero_distance == "epsilon":
        measured = measured + EPSILON
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = measured.min(axis=0, keepdims=True) / measured
    if votes.assumptions.zero_distance == "epsilon":
        return inverse
    return np.where(equal.any(axis=0, keepdims=True), equal.astype(np.float64), inverse)
