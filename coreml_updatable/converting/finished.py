"""A finished classifier from anywhere as an updatable model: converted, marked, held to the rules, and proved equal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable.checking import Problem, expect_valid
from coreml_updatable.converting.contract import ConvertedSource, Row, SourceRequest
from coreml_updatable.converting.equivalence import ROWS, softmax_input
from coreml_updatable.converting.marked import marked_and_proved
from coreml_updatable.converting.spread import Agreement, agreement, agreement_by_logits, centered, compared
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import BuildError, ModelError, SourceError, located
from coreml_updatable.files import refuse_lfs_pointer
from coreml_updatable.marking import check_labels, mark
from coreml_updatable.marking.features import check_distinct
from coreml_updatable.marking.marking import Wishes
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
    agreement: Agreement  # of no rows where the source is such a model itself
    notes: tuple[str, ...]
    warnings: tuple[Problem, ...]
    facts: Mapping[str, Any]


def finish(convert: Callable[[SourceRequest], ConvertedSource], request: SourceRequest) -> Finished:
    """What ``convert`` makes of ``request``, updatable.

    Raises the converter's SourceError, one where the request scales pictures and there are none, a ModelError where it
    cannot be marked or breaks a rule, and a BuildError where it answers otherwise than its source. They name the
    source where it is a file.
    """
    if not isinstance(request.source, Path):
        return _finished(convert, request)
    refuse_lfs_pointer(request.source, SourceError)
    with located("source", request.source), located("model", request.source):
        return _finished(convert, request)


def _finished(convert: Callable[[SourceRequest], ConvertedSource], request: SourceRequest) -> Finished:
    if request.labels:
        check_labels(request.labels)
    check_distinct([given.name for given in request.inputs])
    converted = convert(request)
    model = converted.model
    if (request.mean or request.std) and not any(
        given.type.WhichOneof("Type") == "imageType" for given in model.description.input
    ):
        raise SourceError(
            "--pixels, --mean and --std apply to pictures, but the source takes none; omit them, or put the scaling "
            "into the source"
        )
    wishes: Wishes = {"labels": request.labels or converted.labels or None}
    if converted.answers is None:
        return _of_core_ml(converted, request, wishes)
    if not model.isUpdatable:
        try:
            model = mark(model, UpdateSettings(), **wishes)
        except ModelError as error:
            if "has the shape unknown" not in str(error):
                raise
            raise SourceError(
                "the source answers what its operators make of the logits, of a shape that cannot be told, which no "
                "layer can be trained for; export the network without what follows its last layer, so that it answers "
                "logits"
            ) from error
    warnings = expect_valid(model, "converted model")
    rows = converted.rows or tuple(trial_rows(model, ROWS))
    result = _agreement(model, replace(converted, rows=rows), converted.answers(rows))
    return Finished(
        model,
        _trained(model),
        converted.reference,
        result,
        (*converted.notes, *result.notes),
        tuple(warnings),
        converted.facts,
    )


def _of_core_ml(converted: ConvertedSource, request: SourceRequest, wishes: Wishes) -> Finished:
    """A Core ML model is marked as ``mark`` does it; one that is updatable already stays, unless something is asked."""
    model, notes, output = converted.model, converted.notes, Agreement(0.0)
    if not model.isUpdatable or request.labels or request.head == "new":
        if request.head == "new":
            wishes = {**wishes, "head": "new"}
            notes = (
                *notes,
                "the head is new; with the old weights in its place, the predictions are the same as before",
            )
        result, output = marked_and_proved(model, UpdateSettings(), **wishes)
        model, notes = result.model, (*notes, *result.repairs)
    warnings = expect_valid(model, "converted model")
    return Finished(
        model, _trained(model), converted.reference, output, (*notes, *output.notes), tuple(warnings), converted.facts
    )


def _trained(model: Model) -> tuple[str, ...]:
    if is_pipeline(model):
        return tuple(name for member in pipeline_of(model).models for name in _trained(member))
    return (
        tuple(str(layer.name) for layer in network_of(model).layers if layer.isUpdatable) if is_network(model) else ()
    )


SAME_LOGITS = 1e-4  # of their spread over the rows
ROUNDING = 2.0  # times that of the source: what is measured is the largest of a few
MOST_ROUNDING = 10.0  # times the tolerance: beyond it, whatever the source does, nothing is proved


def _agreement(model: Model, converted: ConvertedSource, expected: Float64Array) -> Agreement:
    """``model`` against its source, each as it answers itself; a BuildError where they differ."""
    rows, runnable, reference = converted.rows, load(model), converted.reference
    said = probabilities(runnable, rows, converted.labels)
    own = _logits(runnable, rows) if converted.scores is not None else None
    logits = (
        None if converted.scores is None or own is None else compared(centered(converted.scores(rows)), centered(own))
    )
    same = logits is not None and logits.verdict == "agree" and logits.relative <= SAME_LOGITS
    difference, rounding, notes = _difference(converted, said, expected, same_logits=same)
    if logits is None:
        actual = agreement(difference, expected, said, f"the answer of {reference}")
    elif logits.verdict == "differ":
        raise BuildError(
            f"converted model: its logits differ from those of {reference} by {logits.relative:.2g} of their spread "
            "over the rows, expected at most 0.01; nothing was written, because this source does not convert "
            "correctly"
        )
    else:
        actual = agreement_by_logits(difference, expected, said, logits, reference)
    return replace(actual, notes=(*notes, *actual.notes), rounding=rounding)


def _difference(
    converted: ConvertedSource, said: Float64Array, expected: Float64Array, *, same_logits: bool
) -> tuple[float, float, tuple[str, ...]]:
    """The largest difference in probability, the source's own rounding where that explains it, and notes.

    A row may differ by more than the tolerance only from a source that rounds as much itself (``ROUNDING``), and only
    where all logits are the same: a wrong weight shows in rows that round little, or in the logits. A BuildError where
    ``said`` is farther away.
    """
    difference, reference = float(np.abs(said - expected).max()), converted.reference
    if difference <= converted.tolerance:
        return difference, 0.0, ()
    exact = converted.precise(converted.rows) if converted.precise is not None else None
    if exact is not None:
        away = np.abs(said - exact).max(axis=1)
        if (away <= converted.tolerance).all():
            return (
                float(away.max()),
                0.0,
                (
                    f"{reference} differs from its own answer in 64 bits by {np.abs(expected - exact).max():.2g} in "
                    "probability; the model is compared with that answer",
                ),
            )
        if same_logits and converted.rounding is not None and (away <= MOST_ROUNDING * converted.tolerance).all():
            own = converted.rounding(converted.rows)
            if (away <= np.maximum(converted.tolerance, ROUNDING * own)).all():
                return (
                    float(away.max()),
                    float(own.max()),
                    (
                        f"{reference} rounds by up to {own.max():.2g} in probability when it runs in 32 bits, and the "
                        f"model is as far from its answer in 64 bits ({away.max():.2g}); their logits agree",
                    ),
                )
    raise BuildError(
        f"converted model: its probabilities differ from those of {reference} by {difference:.2g}, expected at "
        f"most {converted.tolerance:g}; nothing was written, because this source does not convert correctly"
    )


def _logits(model: RunnableModel, rows: Sequence[Row]) -> Float64Array | None:
    """What the softmax of a network reads, float64 [n, outputs]; None for what has none."""
    blob = softmax_input(model.message)
    if blob is None:
        return None
    answers = model.predict(list(rows), intermediate={blob})
    return np.array([np.ravel(answer[blob]) for answer in answers], np.float64)


def probabilities(model: RunnableModel, rows: Sequence[Row], labels: Sequence[str] | Sequence[int]) -> Float64Array:
    """What ``model`` answers on ``rows``, float64 [n, labels]."""
    name = str(model.message.description.predictedProbabilitiesName)
    answers = model.predict(list(rows))
    return np.array([[answer[name].get(label, 0.0) for label in labels] for answer in answers], np.float64)
