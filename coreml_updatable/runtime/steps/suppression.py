"""nonMaximumSuppression: of overlapping boxes, keeps the one with the highest confidence.

Confidences are [N, C], and the confidence of a box is that of its best class; boxes are [N, 4] as (x, y, width,
height), where x and y are the center. Two more inputs can replace ``iouThreshold`` and ``confidenceThreshold``. Boxes
below the confidence threshold are dropped. Starting with the highest confidence, a box is kept unless its intersection
over union with a box that was kept earlier exceeds the threshold; with ``perClass``, only boxes with the same best
class are compared. The outputs are the kept rows of both inputs, highest confidence first. If the description of an
output states a number of rows, they are cut or padded with rows of 0 to that number.

The format leaves open: the order of the kept boxes; equal confidences (here, the first box wins); boxes without area
(here, they overlap by 0). Class labels are not returned: Vision reads them from the model.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime.steps import RunStep
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.messages import FeatureDescription, Model

FIELDS = ("iouThresholdInputFeatureName", "confidenceThresholdInputFeatureName")
MAX_ROWS = 2**20  # of an output; more is an absurd size
Numbers = NDArray[np.float64]


def build(model: Model) -> RunStep:
    nms = model.nonMaximumSuppression
    if nms.WhichOneof("SuppressionMethod") is None:
        raise ModelError("model: is a nonMaximumSuppression without a method; export it again")
    description = model.description
    scores = _described(description.input, nms.confidenceInputFeatureName, "confidenceInputFeatureName")
    boxes = _described(description.input, nms.coordinatesInputFeatureName, "coordinatesInputFeatureName")
    scores_out = _described(description.output, nms.confidenceOutputFeatureName, "confidenceOutputFeatureName")
    boxes_out = _described(description.output, nms.coordinatesOutputFeatureName, "coordinatesOutputFeatureName")
    least, most = _rows_answered(scores_out, boxes_out)
    kind = nms.WhichOneof("ClassLabels")
    labels = len(getattr(nms, kind).vector) if kind else 0

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        answers = []
        for index, row in enumerate(rows):
            confidence = _table(row[scores.name], f"row {index}: feature '{scores.name}'", labels or None)
            places = _table(row[boxes.name], f"row {index}: feature '{boxes.name}'", 4)
            if len(confidence) != len(places):
                raise DataError(
                    f"row {index}: has {len(confidence)} confidences and {len(places)} boxes, expected equal numbers"
                )
            overlap = _threshold(row, nms.iouThresholdInputFeatureName, nms.iouThreshold, 1.0, index)
            floor = _threshold(row, nms.confidenceThresholdInputFeatureName, nms.confidenceThreshold, math.inf, index)
            kept = kept_boxes(confidence, places, overlap, floor, nms.pickTop.perClass)[:most]
            padding = max(least - len(kept), 0)
            answers.append(
                {
                    str(scores_out.name): np.pad(confidence[kept], ((0, padding), (0, 0))),
                    str(boxes_out.name): np.pad(places[kept], ((0, padding), (0, 0))),
                }
            )
        return answers

    return run


def threshold_names(model: Model) -> list[str]:
    """Return the features that can provide thresholds; all are optional, whatever their description says.

    Exporters name them in the message and describe them as inputs of the pipeline alone.
    """
    if model.WhichOneof("Type") != "nonMaximumSuppression":
        return []
    return [str(name) for field in FIELDS if (name := getattr(model.nonMaximumSuppression, field))]


def kept_boxes(confidence: Numbers, boxes: Numbers, overlap: float, floor: float, per_class: bool) -> NDArray[np.int64]:
    """Return the indices of the boxes to keep, highest confidence first. Confidences [N, C], boxes [N, 4]."""
    if not confidence.size:
        return np.zeros(0, np.int64)
    best, classes = confidence.max(1), confidence.argmax(1)
    order = np.argsort(-best, kind="stable")
    candidates = order[best[order] >= floor]
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    areas = boxes[:, 2:].prod(1)
    kept = []
    while len(candidates):
        first, rest = candidates[0], candidates[1:]
        kept.append(first)
        common = np.clip(np.minimum(high[first], high[rest]) - np.maximum(low[first], low[rest]), 0, None).prod(1)
        union = areas[first] + areas[rest] - common
        near = np.where(union > 0, common / np.where(union > 0, union, 1), 0) > overlap
        if per_class:
            near &= classes[rest] == classes[first]
        candidates = rest[~near]
    return np.array(kept, np.int64)


def _described(features: Sequence[FeatureDescription], name: str, field: str) -> FeatureDescription:
    feature = feature_named(features, str(name)) if name else None
    if feature is None or feature.type.WhichOneof("Type") != "multiArrayType":
        raise ModelError(f"model: {field} is {str(name)!r}, expected a described multi-array; check the names")
    return feature


def _rows_answered(scores: FeatureDescription, boxes: FeatureDescription) -> tuple[int, int]:
    """Return the minimum and maximum number of output rows, as stated by either output."""
    least, most = 0, MAX_ROWS
    for feature in (scores, boxes):
        array = feature.type.multiArrayType
        if array.WhichOneof("ShapeFlexibility") == "shapeRange" and len(array.shapeRange.sizeRanges):
            ends = array.shapeRange.sizeRanges[0]
            lower, upper = int(ends.lowerBound), int(ends.upperBound)
        elif len(array.shape) == 2:
            lower = upper = int(array.shape[0])
        else:
            continue
        least, most = max(least, lower), min(most, upper) if upper >= 0 else most
    if not 0 <= least <= most:
        raise ModelError(
            f"model: its outputs have at least {least} and at most {most} rows, expected 0 to {MAX_ROWS}; "
            "export the model again"
        )
    return least, most


def _table(value: Any, where: str, columns: int | None) -> Numbers:
    """[N, columns], columns of any number where it is None."""
    table = np.asarray(value, np.float64)
    if table.ndim != 2 or (columns is not None and table.shape[1] != columns):
        wanted = f"[boxes, {columns if columns is not None else 'classes'}]"
        raise DataError(f"{where}: has the shape {list(table.shape)}, expected {wanted}; reshape it")
    if not np.isfinite(table).all():
        raise DataError(f"{where}: contains NaN or infinite numbers; correct them")
    return table


def _threshold(row: Mapping[str, Any], name: str, default: float, most: float, index: int) -> float:
    """Return the threshold of the row, or that of the model if the row has none (NaN)."""
    given = float(row[name]) if name and name in row else math.nan
    if math.isnan(given):
        given = float(default)
        where = "model: the default"
    else:
        where = f"row {index}: feature '{name}'"
    if not 0 <= given <= most:
        ends = "0 to 1" if most == 1 else "0 or more"
        error = ModelError if where.startswith("model") else DataError
        raise error(f"{where}: is a threshold of {given:g}, expected {ends}")
    return given
