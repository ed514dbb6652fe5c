"""A finished classifier from anywhere as an updatable model: converted, marked, held to the rules, and proved equal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable.building.trial_rows import trial_rows
from coreml_updatable.building.unchanged import ROWS, unchanged
from coreml_updatable.checking import Problem, check
from coreml_updatable.conversion import ConvertedSource, Float64Array, Row, SourceRequest
from coreml_updatable.errors import BuildError, ModelError, SourceError, located
from coreml_updatable.marking import mark
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import is_network, is_pipeline, network_of, pipeline_of


@dataclass(frozen=True)
class Finished:
    """An updatable model with what was proved of it."""

    model: Model
    updatable: tuple[str, ...]  # the layers that learn; empty for one that learns by remembering
    reference: str  # whose answers it has
    rows: int  # on how many they were compared; 0 where the source is such a model itself
    difference: float  # the largest, in probability
    notes: tuple[str, ...]
    warnings: tuple[Problem, ...]
    facts: Mapping[str, Any]


def finish(
    convert: Callable[[SourceRequest], ConvertedSource], request: SourceRequest, settings: UpdateSettings | None = None
) -> Finished:
    """What ``convert`` makes of ``request``, updatable.

    Raises the converter's SourceError, one where the request scales pictures and there are none, a ModelError where it
    can not be marked or breaks a rule, and a BuildError where it answers otherwise than its source. They name the
    source where it is a file.
    """
    if not isinstance(request.source, Path):
        return _finished(convert, request, settings)
    with located("source", request.source), located("model", request.source):
        return _finished(convert, request, settings)


def _finished(
    convert: Callable[[SourceRequest], ConvertedSource], request: SourceRequest, settings: UpdateSettings | None
) -> Finished:
    converted = convert(request)
    model = converted.model
    if (request.mean or request.std) and not any(
        given.type.WhichOneof("Type") == "imageType" for given in model.description.input
    ):
        raise SourceError(
            "--pixels, --mean and --std: are of pictures, and the source takes none; "
            "leave them out, or put the scaling into the source"
        )
    if not model.isUpdatable:
        model = mark(model, settings or UpdateSettings(), labels=request.labels or converted.labels or None)
    problems = check(model)
    for problem in problems:
        if problem.severity == "error":
            raise ModelError(f"converted model: {problem}; nothing was written")
    untouched = converted.answers is None and model is converted.model
    rows = () if untouched else converted.rows or tuple(trial_rows(model, ROWS))
    difference = 0.0 if untouched else _difference(model, replace(converted, rows=rows))
    return Finished(
        model,
        _trained(model),
        converted.reference,
        len(rows),
        difference,
        converted.notes,
        tuple(problems),
        converted.facts,
    )


def _trained(model: Model) -> tuple[str, ...]:
    if is_pipeline(model):
        return tuple(name for member in pipeline_of(model).models for name in _trained(member))
    return (
        tuple(str(layer.name) for layer in network_of(model).layers if layer.isUpdatable) if is_network(model) else ()
    )


def _difference(model: Model, converted: ConvertedSource) -> float:
    """The largest difference in probability between ``model`` and its source; a BuildError above the tolerance."""
    if converted.answers is None:
        return unchanged(converted.model, model)
    expected = converted.answers(converted.rows)
    difference = float(np.abs(probabilities(load(model), converted.rows, converted.labels) - expected).max())
    if not difference <= converted.tolerance:  # NaN too
        raise BuildError(
            f"converted model: differs from {converted.reference} by {difference:.2g} in probability, expected at most "
            f"{converted.tolerance:g}; nothing was written, this source does not convert faithfully"
        )
    return difference


def probabilities(model: RunnableModel, rows: Sequence[Row], labels: Sequence[str] | Sequence[int]) -> Float64Array:
    """What ``model`` answers on ``rows``, float64 [n, labels]."""
    name = str(model.message.description.predictedProbabilitiesName)
    answers = model.predict(list(rows))
    return np.array([[answer[name].get(label, 0.0) for label in labels] for answer in answers], np.float64)
