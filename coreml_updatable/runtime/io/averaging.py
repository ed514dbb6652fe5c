"""Average the answers for several rows that belong together, such as the windows of a recording."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coreml_updatable.runtime.model import Prediction
from coreml_updatable.spec.messages import Model


def mean_answer(model: Model, answers: Sequence[Prediction]) -> dict[str, Any]:
    """Average probabilities, arrays and numbers; the label is that of the greatest mean, or the most frequent one.

    ``answers``: at least one; all have the same shape.
    """
    label, shares = model.description.predictedFeatureName, model.description.predictedProbabilitiesName
    result: dict[str, Any] = {}
    for name, first in answers[0].items():
        values = [answer[name] for answer in answers]
        if isinstance(first, Mapping):
            result[name] = {key: float(np.mean([value.get(key, 0.0) for value in values])) for key in _keys(values)}
        elif isinstance(first, np.ndarray):
            result[name] = np.mean(values, axis=0)
        elif name != label and isinstance(first, int | float | np.number):
            result[name] = float(np.mean(values))
        else:
            result[name] = Counter(values).most_common(1)[0][0]
    if label in result and isinstance(result.get(shares), Mapping) and result[shares]:
        result[label] = max(result[shares], key=lambda key: result[shares][key])
    return result


def _keys(values: Sequence[Mapping[Any, float]]) -> list[Any]:
    return list(dict.fromkeys(key for value in values for key in value))
