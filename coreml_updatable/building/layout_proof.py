"""The proof that layouts are one model: they answer the same, and one update leaves them with the same new head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from coreml_updatable.building.trial_rows import MOST_VALUES, trial_rows
from coreml_updatable.building.whose_fault import remedy
from coreml_updatable.conversion import Float64Array
from coreml_updatable.errors import BuildError
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2, Model
from coreml_updatable.spec.network import class_labels, is_network, is_pipeline, network_of, pipeline_of
from coreml_updatable.spec.samples import nearest_neighbors_of, sample_labels, samples_of
from coreml_updatable.spec.weight_fields import weight_fields
from coreml_updatable.spec.weights import packed_floats
from coreml_updatable.updating import UpdateTask

Laid: TypeAlias = Sequence[Model]  # one model, or an extractor and its head
ALLOWED = {32: 1e-6, 16: 0.01, 8: 0.1}  # in probability: what rounding the extractor's weights may change
ROWS = 8
_WHOLE = FeatureTypes_pb2.ArrayFeatureType.INT32


@dataclass(frozen=True)
class Agreement:
    """Largest differences between two layouts: of answers in probability, and relative to the largest number of what an
    update makes of the head, and of what the extractor hands to it."""

    answers: float
    heads: float
    features: float


def agreement(before: Laid, after: Laid, extractors: tuple[Model, Model], bits: int) -> Agreement:
    """Both run and updated on eight rows made by chance; BuildError where they differ by more than ALLOWED[bits].

    ``extractors``: those of both. ``bits``: of the second, where it has fewer than the first; else 32.
    """
    rows = trial_rows(before[0], ROWS)
    features = _of_features(*extractors, rows)
    if bits == 32 and not features <= ALLOWED[32]:
        raise BuildError(
            f"layout: the extractor's features differ by {features:.2g}, expected {ALLOWED[32]:g}; {remedy(before[-1])}"
        )
    answers = _difference(_answers(before, rows), _answers(after, rows))
    if not answers <= ALLOWED[bits]:
        advice = "nothing was written, keep more bits" if bits < 32 else remedy(before[-1])
        raise BuildError(
            f"layout: answers otherwise than before by {answers:.2g}, expected at most {ALLOWED[bits]:g}; {advice}"
        )
    one, other = _learnt(before, rows), _learnt(after, rows)
    heads = float(np.abs(one - other).max() / max(1.0, float(np.abs(one).max()))) if one.size else 0.0
    if bits == 32 and not heads <= ALLOWED[32]:
        raise BuildError(
            f"layout: an update makes another head by {heads:.2g}, expected at most {ALLOWED[32]:g}; "
            f"{remedy(before[-1])}"
        )
    return Agreement(answers, heads, features)


def _of_features(one: Model, other: Model, rows: Sequence[Mapping[str, Any]]) -> float:
    """Relative to the largest; a network whose features hardly count would else agree with any."""
    if one == other:
        return 0.0
    found, expected = (
        np.array([[np.ravel(value) for value in answer.values()] for answer in load(model).predict(rows)], np.float64)
        for model in (other, one)
    )
    return float(np.abs(found - expected).max() / max(1e-9, float(np.abs(expected).max())))


def _answers(laid: Laid, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    for model in laid:
        rows = load(model).predict(rows)
    return [dict(row) for row in rows]


def _difference(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    """NaN where one of them is."""
    largest = [0.0]
    for mine, theirs in zip(one, other, strict=True):
        for name, value in mine.items():
            if isinstance(value, Mapping):
                shares = theirs[name]
                largest += [abs(value.get(key, 0.0) - shares.get(key, 0.0)) for key in {*value, *shares}]
            elif not isinstance(value, str):
                found, expected = np.asarray(theirs[name], np.float64), np.asarray(value, np.float64)
                largest.append(float(np.abs(found.ravel() - expected.ravel()).max()) if found.size else 0.0)
    return float(np.max(largest))


def _learnt(laid: Laid, rows: Sequence[Mapping[str, Any]]) -> Float64Array:
    """The head's numbers after an update on ``rows``, with labels in turn: weights, or a k-NN's new samples."""
    head = laid[-1]
    if len(laid) > 1:
        (name,) = (str(feature.name) for feature in head.description.input)
        given = load(laid[0]).predict(rows)
        if any(name not in answer for answer in given):
            raise BuildError(
                f"extractor: describes the output {name!r} and does not give it, expected it; export again"
            )
        rows = [{name: answer[name]} for answer in given]
    inputs = {str(feature.name) for feature in head.description.input}
    targets = [feature for feature in head.description.trainingInput if feature.name not in inputs]
    taught = [
        {**row, **{str(one.name): _target(one, head, number) for one in targets}} for number, row in enumerate(rows)
    ]
    learnt = UpdateTask(head, taught, parameters=_fewest_epochs(head)).resume().model.message
    while is_pipeline(learnt):
        learnt = pipeline_of(learnt).models[-1]
    if not is_network(learnt):
        return np.asarray(samples_of(learnt).embeddings, np.float64).ravel()
    trained = [layer for layer in network_of(learnt).layers if layer.isUpdatable]
    return np.concatenate([packed_floats(weights) for layer in trained for _, weights in weight_fields(layer)]).astype(
        np.float64
    )


def _target(feature: FeatureDescription, model: Model, number: int) -> Any:
    while is_pipeline(model):
        model = pipeline_of(model).models[-1]
    kind = feature.type.WhichOneof("Type")
    if kind == "multiArrayType":
        array = feature.type.multiArrayType
        shape = [int(length) for length in array.shape]
        if min(shape, default=1) < 1 or prod(shape) > MOST_VALUES:
            raise BuildError(
                f"training input '{feature.name}': declares the size {shape}, expected lengths from 1 up and at most "
                f"{MOST_VALUES} values; mark the model again"
            )
        return np.zeros(shape, np.int32) if array.dataType == _WHOLE else np.full(shape, 0.5, np.float32)
    known: Sequence[str | int] = class_labels(model)
    if not known and not is_network(model):
        known = sample_labels(nearest_neighbors_of(model))
    return known[number % len(known)] if known else "a" if kind == "stringType" else 0


def _fewest_epochs(model: Model) -> dict[str, int]:
    while is_pipeline(model):
        model = pipeline_of(model).models[-1]
    if not is_network(model):
        return {}
    epochs = network_of(model).updateParams.epochs
    match epochs.WhichOneof("AllowedValues"):
        case "set":
            return {"epochs": int(min(epochs.set.values, default=1))}
        case "range":
            return {"epochs": max(1, int(epochs.range.minValue))}
    return {"epochs": 1}
