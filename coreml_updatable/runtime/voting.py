"""From the nearest samples to a label and its probabilities. ``UniformWeighting``, ``InverseDistanceWeighting``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.runtime.variants import NeighborVariants

EPSILON = 1e-7


def weights(distances: NDArray[np.float64], uniform: bool, variants: NeighborVariants) -> NDArray[np.float64]:
    """A vote for each neighbour, from its squared distance."""
    if uniform:
        return np.ones(len(distances))
    measured: NDArray[np.float64] = distances if variants.inverse_of == "squared distance" else np.sqrt(distances)
    equal: NDArray[np.float64] = (measured == 0).astype(np.float64)
    if variants.zero_distance == "epsilon":
        measured = measured + EPSILON
    elif equal.any():
        return equal
    unit = measured.min() if variants.probabilities == "share" else 1.0  # keeps 1 / distance finite, changes no share
    votes: NDArray[np.float64] = unit / measured
    return votes


def vote(
    labels: Sequence[int], votes: NDArray[np.float64], known: int, variants: NeighborVariants
) -> tuple[int, dict[int, float]]:
    """The winner and each label's probability. ``labels``: numbers below ``known``, the neighbours', nearest first."""
    totals = np.bincount(labels, votes, known)
    winner = int(totals.argmax())
    if variants.tied_labels == "nearest":
        most = totals[winner]
        winner = next(label for label in labels if totals[label] == most)
    shares = totals / totals.sum() if variants.probabilities == "share" else totals
    listed = range(known) if variants.listed == "all" else sorted(set(labels))
    return winner, {label: float(shares[label]) for label in listed}
