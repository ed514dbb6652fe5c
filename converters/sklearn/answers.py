"""The estimator's own predictions, and rows for the comparison."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from coreml_updatable.converting.contract import Row
from coreml_updatable.data.inputs import Float32Array, Float64Array
from coreml_updatable.errors import SourceError

from .linear import Linear
from .neighbors import is_neighbors
from .steps import feature_count

ROWS, DRAWN = 16, 64
CLEAR = 1e-4  # by which the nearest sample that has no vote must be further away, as a share of its distance


def answers_of(estimator: Any, name: str) -> Callable[[Sequence[Row]], Float64Array]:
    """Return ``predict_proba`` for the feature ``name`` of the rows."""

    def answers(rows: Sequence[Row]) -> Float64Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the columns have no names here
            try:
                return np.asarray(estimator.predict_proba(np.stack([row[name] for row in rows])), np.float64)
            except (AttributeError, TypeError, ValueError) as error:
                raise SourceError(
                    f"source: predict_proba failed ({type(error).__name__}: {error}); fit the estimator again"
                ) from error

    return answers


def rows_for(classifier: Any, linear: Sequence[Linear], name: str, seed: int) -> tuple[Row, ...]:
    """Return rows from a standard normal distribution, or near the samples of a k-NN, as before the linear steps."""
    generator = np.random.default_rng(seed)
    drawn = generator.standard_normal((DRAWN, feature_count(classifier)))
    if is_neighbors(classifier):
        samples = np.asarray(classifier._fit_X, np.float64)
        spread = samples.std(axis=0) + 1e-3
        drawn = samples[generator.integers(len(samples), size=DRAWN)] + 0.3 * spread * drawn
    for step in reversed(linear):
        drawn = step.undo(drawn)
    rows = drawn.astype(np.float32)
    if is_neighbors(classifier):
        rows = rows[_decided(classifier, linear, rows)]
        if not len(rows):
            raise SourceError(
                "source: the samples of the KNeighborsClassifier are so similar that the nearest ones are undecided "
                "everywhere; fit it on samples that differ"
            )
    return tuple({name: row} for row in rows[:ROWS])


def _decided(classifier: Any, linear: Sequence[Linear], rows: Float32Array) -> Any:
    """Return which rows have a clear last neighbor; among equally distant samples, either may vote."""
    neighbors = int(classifier.n_neighbors)
    if neighbors >= len(classifier._fit_X):
        return np.ones(len(rows), bool)
    embedded = rows.astype(np.float64)
    for step in linear:
        embedded = step.apply(embedded)
    distances, _ = classifier.kneighbors(embedded, neighbors + 1)
    return distances[:, -1] - distances[:, -2] > CLEAR * distances[:, -1]
