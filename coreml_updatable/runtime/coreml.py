"""Run a model with Apple's own runtime, through coremltools, on a Mac."""

import math
import platform
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.messages import Model

Predict = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def coreml_runtime(model: Model) -> Predict:
    """Return Core ML's own prediction for one row, in full precision on the CPU. Raises ModelError on other systems."""
    if platform.system() != "Darwin":
        raise ModelError("model: Core ML runs on a Mac only, and this is another system; run it there")
    import coremltools

    loaded = coremltools.models.MLModel(model, compute_units=coremltools.ComputeUnit.CPU_ONLY)

    def predict(row: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = loaded.predict({name: _as_coremltools_takes(value) for name, value in row.items()})
        return answer

    return predict


def _as_coremltools_takes(value: Any) -> Any:
    """Convert pictures (uint8 [H, W, C] or [H, W]) to PIL images; everything else stays."""
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return Image.fromarray(value[..., 0] if value.ndim == 3 and value.shape[2] == 1 else value)
    return value


def largest_difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """Return the largest difference of two answers, relative above 1; infinite if outputs, labels or shapes differ."""
    if set(ours) != set(theirs):
        return math.inf
    return max((_difference(value, theirs[name]) for name, value in ours.items()), default=0.0)


def _difference(ours: Any, theirs: Any) -> float:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return largest_difference(*({str(name): value for name, value in each.items()} for each in (ours, theirs)))
    if isinstance(ours, str) or isinstance(theirs, str):
        return 0.0 if str(ours) == str(theirs) else math.inf
    one, other = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if one.size != other.size:
        return math.inf
    return float(np.max(np.abs(one.ravel() - other.ravel()) / np.maximum(1, np.abs(one.ravel())), initial=0.0))
