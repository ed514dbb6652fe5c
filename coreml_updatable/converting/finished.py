"""A finished classifier from anywhere as an updatable model: converted, marked, held to the rules, and proved equal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable.checking import Problem, check
from coreml_updatable.converting.contract import ConvertedSource, Row, SourceRequest
from coreml_updatable.converting.equivalence import ROWS, unchanged
from coreml_updatable.converting.spread import Compared, centered, compared
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import BuildError, ModelError, SourceError, located
from coreml_updatable.files import refuse_lfs_pointer
from coreml_updatable.marking import check_labels, mark
from coreml_updatable.marking.features import check_distinct
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.marking.tail import SOFTMAXES
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
    logits_difference: float | None  # the largest, as a part of how far rows lie apart; None: not compared
    proved: bool  # False where the source answers the same on every row, so that agreement says little
    notes: tuple[str, ...]
    warnings: tuple[Problem, ...]
    facts: Mapping[str, Any]


def finish(
    convert: Callable[[SourceRequest], ConvertedSource], request: SourceRequest, settings: UpdateSettings | None = None
) -> Finished:
    """What ``convert`` makes of ``request``, updatable.

    Raises the converter's SourceError, one where the request scales pictures and there are none, a ModelError where it
    cannot be marked or breaks a rule, and a BuildError where it answers otherwise than its source. They name the
    source where it is a file.
    """
    if not isinstance(request.source, Path):
        return _finished(convert, request, settings)
    refuse_lfs_pointer(request.source, SourceError)
    with located("source", request.source), located("model", request.source):
        return _finished(convert, request, settings)


def _finished(
    convert: Callable[[SourceRequest], ConvertedSource], request: SourceRequest, settings: UpdateSettings | None
) -> Finished:
    if request.labels:
        check_labels(request.labels)
    check_distinct([given.name for given in request.inputs])
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
    found = _Agreement(0.0) if untouched else _agreement(model, replace(converted, rows=rows))
    return Finished(
        model,
        _trained(model),
        converted.reference,
        len(rows),
        found.difference,
        found.logits.relative if found.logits is not None else None,
        found.proved,
        (*converted.notes, *found.notes),
        tuple(problems),
        converted.facts,
    )


def _trained(model: Model) -> tuple[str, ...]:
    if is_pipeline(model):
        return tuple(name for member in pipeline_of(model).models for name in _trained(member))
    return (
        tuple(str(layer.name) for layer in network_of(model).layers if layer.isUpdatable) if is_network(model) else ()
    )


@dataclass(frozen=True)
class _Agreement:
    difference: float
    logits: Compared | None = None
    proved: bool = True
    notes: tuple[str, ...] = ()


def _agreement(model: Model, converted: ConvertedSource) -> _Agreement:
    """``model`` against its source, each as it answers itself; a BuildError where they differ."""
    if converted.answers is None:
        return _Agreement(unchanged(converted.model, model))
    rows, runnable, reference = converted.rows, load(model), converted.reference
    expected = converted.answers(rows)
    said = probabilities(runnable, rows, converted.labels)
    difference = float(np.abs(said - expected).max())
    if not difference <= converted.tolerance:  # NaN too
        raise BuildError(
            f"converted model: differs from {reference} by {difference:.2g} in probability, expected at most "
            f"{converted.tolerance:g}; nothing was written, this source does not convert faithfully"
        )
    of_answers = compared(expected, said)
    own = _logits(runnable, rows) if converted.scores is not None else None
    if converted.scores is None or own is None:
        alike = len(rows) > 1 and of_answers.verdict == "constant"
        return _Agreement(difference, None, not alike, (_alike(reference, len(rows)),) if alike else ())
    logits = compared(centered(converted.scores(rows)), centered(own))
    if logits.verdict == "differ":
        raise BuildError(
            f"converted model: its logits differ from those of {reference} by {logits.relative:.2g} of how far they "
            "spread over the rows, expected at most 0.01; nothing was written, this source does not convert faithfully"
        )
    if logits.verdict == "constant":
        return _Agreement(difference, logits, False, (_alike(reference, len(rows)),))
    notes = (_saturated(expected, reference, logits),) if of_answers.verdict == "constant" else ()
    return _Agreement(difference, logits, True, notes)


def _alike(reference: str, rows: int) -> str:
    return (
        f"NOT PROVED: {reference} answers the same on all {rows} rows, as far as 32 bits tell, so that the model does "
        "too proves little; check the weights, and how its input is scaled"
    )


def _saturated(expected: Float64Array, reference: str, logits: Compared) -> str:
    return (
        f"{reference} gives the same probabilities on every row (the largest is {expected.max():.4g}), which prove "
        f"nothing: its logits are compared instead, and agree within {logits.relative:.1g} of their spread"
    )


def _logits(model: RunnableModel, rows: Sequence[Row]) -> Float64Array | None:
    """What the softmax of a network reads, float64 [n, outputs]; None for what has none."""
    if not is_network(model.message):
        return None
    network = network_of(model.message)
    blobs = [str(layer.input[0]) for layer in network.layers if layer.WhichOneof("layer") in SOFTMAXES][-1:]
    if not blobs:
        return None
    answers = model.predict(list(rows), intermediate=True)
    return np.array([np.ravel(answer[blobs[0]]) for answer in answers], np.float64)


def probabilities(model: RunnableModel, rows: Sequence[Row], labels: Sequence[str] | Sequence[int]) -> Float64Array:
    """What ``model`` answers on ``rows``, float64 [n, labels]."""
    name = str(model.message.description.predictedProbabilitiesName)
    answers = model.predict(list(rows))
    return np.array([[answer[name].get(label, 0.0) for label in labels] for answer in answers], np.float64)
