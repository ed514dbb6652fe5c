"""The parts of an estimator: the scalers, the classifier after them, its features and labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError, a_kind

from .linear import Linear, linear_of

KNOWN = (
    "KNeighborsClassifier, LogisticRegression, SGDClassifier, MLPClassifier, LinearDiscriminantAnalysis, or a Pipeline "
    "of linear steps (such as StandardScaler or PCA) and one"
)
NO_OTHER_METRIC = "but Core ML has only the Euclidean distance; fit it with metric='euclidean'"


def steps_of(estimator: Any) -> tuple[tuple[Linear, ...], Any]:
    """Return the linear steps in order and the fitted classifier after them."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    linear: list[Linear] = []
    steps = _flat(estimator)
    alone = steps[0] is estimator
    for index, step in enumerate(steps):
        try:
            check_is_fitted(step)
        except NotFittedError as error:
            where = f"source: the {type(step).__name__}" if alone else f"source: {_place(index, step)}:"
            raise SourceError(f"{where} is not fitted; fit it on your data and save it again") from error
        except TypeError as error:
            raise SourceError(f"source: is {a_kind(step)}, expected a fitted {KNOWN}") from error
        if index < len(steps) - 1:
            linear.append(linear_of(step, _place(index, step)))
    return tuple(linear), steps[-1]


def _flat(estimator: Any) -> list[Any]:
    from sklearn.pipeline import Pipeline

    if not isinstance(estimator, Pipeline):
        return [estimator]
    inner = [step for _, step in estimator.steps if step is not None and not isinstance(step, str)]
    flat = [item for step in inner for item in _flat(step)]
    if not flat:
        raise SourceError(
            "source: the Pipeline has no steps, expected a classifier at its end; save the complete Pipeline"
        )
    return flat


def _place(index: int, step: Any) -> str:
    return f"step {index + 1} ({type(step).__name__})"


def feature_count(estimator: Any) -> int:
    return int(estimator.n_features_in_)


def input_name(inputs: Sequence[ImageInput | ArrayInput], count: int) -> str:
    """Return the name of the input; SourceError unless it is an array of ``count`` numbers."""
    if not inputs:
        return "features"
    given = inputs[0]
    if len(inputs) > 1 or not isinstance(given, ArrayInput) or given.whole or given.shape != (count,):
        raise SourceError(
            f"input {given.name!r}: does not fit the estimator, expected one array of {count} numbers; pass --input "
            f"{given.name}:{count}"
        )
    return given.name


def labels_of(classifier: Any, given: Sequence[str]) -> tuple[str, ...] | tuple[int, ...]:
    """Return the labels in the order of ``predict_proba``: the given ones, else the estimator's, integers or text."""
    classes = getattr(classifier, "classes_", None)
    if not isinstance(classes, np.ndarray) or classes.ndim != 1:
        raise SourceError(
            f"source: the {type(classifier).__name__} does not predict a single label, expected a fitted {KNOWN}"
        )
    if given:
        if len(given) != len(classes):
            raise SourceError(
                f"labels: found {len(given)} for an estimator with {len(classes)} classes; give one per class"
            )
        return tuple(given)
    if np.issubdtype(classes.dtype, np.integer):
        return tuple(int(cls) for cls in classes)
    return tuple(str(cls) for cls in classes)
