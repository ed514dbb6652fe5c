"""From the nearest samples to a label and its probabilities. ``UniformWeighting``, ``InverseDistanceWeighting``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.runtime.assumptions import PredictionAssumptions

EPSILON = 1e-7


def weights(distances: NDArray[np.float64], uniform: bool, assumptions: PredictionAssumptions) -> NDArray[np.float64]:
    """A vote for each neighbour, from its squared distance."""
    if uniform:
        return np.ones(len(distances))
    measured: NDArray[np.float64] = distances if assumptions.inverse_of == "squared distance" else np.sqrt(distances)
    equal: NDArray[np.float64] = (measured == 0).astype(np.float64)
    if assumptions.zero_distance == "epsilon":
        measured = measured + EPSILON
    elif equal.any():
        return equal
    unit = (
        measured.min() if assumptions.probabilities == "share" else 1.0
    )  # keeps 1 / distance finite, changes no share
    votes: NDArray[np.float64] = unit / measured
    return votes


def vote(
    labels: Sequence[int], votes: Sequence[float], known: int, assumptions: PredictionAssumptions
) -> tuple[int, dict[int, float]]:
    """The winner and each label's probability. ``labels``: numbers below ``known``, the neighbours', nearest first."""
    totals: dict[int, float] = {}
    for label, share in zip(labels, votes, strict=True):
        totals[label] = totals.get(label, 0.0) + share
    most = max(totals.values())
    first = iter(totals) if assumptions.tied_labels == "nearest" else iter(sorted(totals))
    winner = next(label for label in first if totals[label] == most)
    unit = sum(totals.values()) if assumptions.probabilities == "share" else 1.0
    listed = range(known) if assumptions.listed == "all" else sorted(totals)
    return winner, {label: totals.get(label, 0.0) / unit for label in listed}
