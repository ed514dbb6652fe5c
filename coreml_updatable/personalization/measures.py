"""What is measured of an owner's model, from its probabilities. docs/metrics.md gives each formula and its source."""

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.data.inputs import Float64Array, Int64Array

Bools = NDArray[np.bool_]
BINS = 10
LEAST = 1e-7  # of a probability, so that one row cannot make a log-likelihood infinite
MEASURES = (
    "personal_accuracy",
    "base_accuracy",
    "forgetting",
    "log_loss",
    "brier",
    "calibration_error",
    "unknown_auroc",
    "worst_base_accuracy",
    "before_reveal",
)
PERSONAL, BASE, FORGETTING, WORST, REVEAL = 0, 1, 2, 7, 8
RESAMPLED = (PERSONAL, BASE, FORGETTING)


def shares_of(right: Bools, counted: Bools) -> Float64Array:
    """[O]: the share of each owner's counted rows [O, n] that are right; NaN where none is counted."""
    return _ratio((right & counted).sum(axis=-1), counted.sum(axis=-1))


def log_loss(probabilities: Float64Array, wanted: Int64Array, counted: Bools) -> Float64Array:
    """[O]: mean of -ln p of the wanted class, of probabilities [O, C, n]; p is at least 1e-7."""
    own = np.take_along_axis(probabilities, np.maximum(wanted, 0)[:, None], axis=1)[:, 0]
    return _ratio((-np.log(np.maximum(own, LEAST)) * counted).sum(axis=-1), counted.sum(axis=-1))


def brier(probabilities: Float64Array, wanted: Int64Array, counted: Bools) -> Float64Array:
    """[O]: mean over rows of the sum over classes of (p - [class is the wanted one])^2, 0 to 2 (Brier 1950)."""
    own = np.take_along_axis(probabilities, np.maximum(wanted, 0)[:, None], axis=1)[:, 0]
    squares = (probabilities**2).sum(axis=1) - 2 * own + 1
    return _ratio((squares * counted).sum(axis=-1), counted.sum(axis=-1))


def calibration_error(confidence: Float64Array, right: Bools, counted: Bools) -> Float64Array:
    """[O]: expected calibration error over ten bins of equal width (Naeini et al. 2015; Guo et al. 2017)."""
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = np.zeros(confidence.shape[0])
    for place in range(BINS):
        inside = counted & (bins == place)
        gaps += np.abs((right * inside).sum(axis=-1) - (confidence * inside).sum(axis=-1))
    return _ratio(gaps, counted.sum(axis=-1))


def rejection(known: Float64Array, counted: Bools, unknown: Float64Array) -> Float64Array:
    """[O]: the area under the ROC curve of telling known rows [O, n] from unknown ones [O, m] by the greatest
    probability (Hendrycks and Gimpel 2017): how often a known row scores higher, a tie counting one half."""
    if not unknown.shape[1]:
        return np.full(len(known), np.nan)
    wins = np.zeros(len(known))
    for owner, scores in enumerate(np.sort(unknown, axis=1)):
        asked = known[owner, counted[owner]]
        wins[owner] = (scores.searchsorted(asked, "left") + scores.searchsorted(asked, "right")).sum() / 2
    return _ratio(wins, counted.sum(axis=-1) * unknown.shape[1])


def _ratio(total: NDArray[np.generic], count: NDArray[np.generic]) -> Float64Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(np.asarray(count) > 0, np.asarray(total) / np.asarray(count), np.nan), np.float64)
