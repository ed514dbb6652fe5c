"""Fit a head on given features.

The features of a pretrained network are centered, shortened where rows of one label differ, and normalized to one
length: entirely whitened ones fit a few pictures so well that a k-NN on them fails. Logistic regression is convex, so
that the same rows give the same head.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from coreml_updatable.data.inputs import Float32Array, Float64Array, Int64Array
from coreml_updatable.runtime.steps.classes import softmax

RATE = 0.01  # learning rate of the update that the length of the embedding is chosen for
DIRECTIONS = 64  # most, that are shortened
KEPT = 0.3  # of the mean variance within a label, added to that of every direction


@dataclass(frozen=True)
class HeadSettings:
    """What is chosen, and the scores that it was chosen by, for the report."""

    decay: float = 30.0
    step: float = 0.1
    samples_per_kind: int = 15
    neighbors: int = 3
    why: tuple[str, ...] = ()

    @property
    def length(self) -> float:
        """Of every embedding: with it, the learning rate ``RATE`` moves the head by ``step`` a shot."""
        return float(np.sqrt(self.step / RATE))


@dataclass(frozen=True)
class Frame:
    """z = x - mean, less ``shares`` of what lies along the orthonormal ``directions``."""

    mean: Float64Array  # [D]
    directions: Float64Array  # [r, D]
    shares: Float64Array  # [r], from 0 to 1

    def placed(self, features: Float64Array) -> Float64Array:
        """Rows [n, D], each of length 1."""
        centered = features - self.mean
        if len(self.shares):
            centered = centered - (centered @ self.directions.T * self.shares) @ self.directions
        return np.asarray(centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-9))


def frame_of(features: Float64Array, labels: Int64Array) -> Frame:
    """The frame of the rows ``features`` [n, D] with their ``labels``, or kinds, where one label has several that an
    owner may tell apart.

    It shortens the directions in which rows of one label differ, each to sqrt(t / (v + t)) of its length, v
    the variance within a label and t ``KEPT`` of its mean: within-class covariance normalization (Hatch, Kajarekar and
    Stolcke 2006), shrunk, up to a factor. Directions in which no label differs, in which a new kind may, stay whole.
    """
    mean, length = features.mean(axis=0), features.shape[1]
    present, place = np.unique(labels, return_inverse=True)
    means = np.stack([features[labels == label].mean(axis=0) for label in present])
    rest = features - means[place]
    if len(rest) > length:
        variances, result = np.linalg.eigh(rest.T @ rest / len(rest))
    else:
        variances, vectors = np.linalg.eigh(rest @ rest.T / len(rest))
        result = rest.T @ vectors / np.sqrt(np.maximum(variances * len(rest), 1e-30))
    real = variances > 1e-9 * max(float(variances[-1]), 1e-30)
    variances, result = variances[real][::-1], result[:, real][:, ::-1]
    if not len(variances):
        return Frame(mean, np.zeros((0, length)), np.zeros(0))
    kept = KEPT * variances.mean()
    variances, result = variances[:DIRECTIONS], result[:, :DIRECTIONS]
    return Frame(mean, np.ascontiguousarray(result.T), 1 - np.sqrt(kept / (variances + kept)))


@dataclass(frozen=True)
class FittedHead:
    """logits = weights @ (length * frame.placed(features)) + bias."""

    choice: HeadSettings
    frame: Frame
    weights: Float64Array  # [classes, D]
    bias: Float64Array  # [classes]

    def embed(self, features: Float32Array) -> Float64Array:
        """float64 [n, D], each of the chosen length."""
        return self.choice.length * self.frame.placed(features.astype(np.float64))

    def logits(self, features: Float32Array) -> Float64Array:
        return np.asarray(self.embed(features) @ self.weights.T + self.bias)

    def probabilities(self, features: Float32Array) -> Float64Array:
        return softmax(self.logits(features))


def fit(
    features: Float32Array, labels: Int64Array, classes: int, choice: HeadSettings, alike: Int64Array | None = None
) -> FittedHead:
    """The head that ``choice`` gives for ``features`` float32 [n, D] with their ``labels``.

    Rows that are ``alike``, by default those of one label, make its frame.
    """
    values = features.astype(np.float64)
    frame = frame_of(values, labels if alike is None else alike)
    with one_thread():
        weights, bias = regression(frame.placed(values), labels, classes, choice.decay, 1e-6)
    return FittedHead(choice, frame, weights / choice.length, bias)


@contextmanager
def one_thread() -> Iterator[None]:
    """The sums' last bits depend on how many threads share them."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def central(rows: Float64Array, members: Int64Array, count: int, starts: int = 1, seed: int = 0) -> Int64Array:
    """At most ``count`` of the ``members``: those nearest to the centers that k-means finds among them.

    A k-NN only knows what it was given. A few rows that stand for the rest answer as well as many, and leave the room
    between the kinds, where the owner's own rows will lie, to the owner.
    """
    from sklearn.cluster import KMeans

    own = rows[members]
    distinct = min(count, len(np.unique(own, axis=0)))
    if distinct >= len(own):
        return members
    centers = KMeans(distinct, n_init=starts, random_state=seed).fit(own).cluster_centers_
    distances = ((own[:, None] - centers[None]) ** 2).sum(axis=2)
    return np.array(sorted({int(members[index]) for index in distances.argmin(axis=0)}), np.int64)


def regression(
    rows: Float64Array, labels: Int64Array, classes: int, decay: float, tolerance: float = 1e-4
) -> tuple[Float64Array, Float64Array]:
    """Multinomial logistic regression; a class without a row is never answered."""
    from sklearn.linear_model import LogisticRegression

    basis, seen = reduced(rows)
    present = np.unique(labels)
    weights, bias = np.zeros((classes, rows.shape[1])), np.full(classes, -30.0)
    if len(present) < 2:
        bias[present] = 0.0
        return weights, bias
    result = LogisticRegression(C=decay, max_iter=2000, tol=tolerance).fit(seen, labels)
    slopes, offsets = result.coef_ @ basis.T, result.intercept_
    if len(present) == 2:  # scikit-learn has one row for two classes
        slopes, offsets = np.concatenate([-slopes, slopes]) / 2, np.concatenate([-offsets, offsets]) / 2
    weights[present], bias[present] = slopes, offsets
    return weights, bias


def reduced(rows: Float64Array) -> tuple[Float64Array, Float64Array]:
    """An orthonormal basis [D, r] of the rows, and the rows in it [n, r]: fewer numbers where n < D."""
    if rows.shape[0] >= rows.shape[1]:
        return np.eye(rows.shape[1]), rows
    basis, _ = np.linalg.qr(rows.T)
    return np.asarray(basis), np.asarray(rows @ basis)


def half_of(labels: Int64Array, seed: int) -> Int64Array:
    """Half of the rows of each label, at least one."""
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = [order[labels[order] == label] for label in np.unique(labels)]
    return np.sort(np.concatenate([rows[: (len(rows) + 1) // 2] for rows in chosen]))
