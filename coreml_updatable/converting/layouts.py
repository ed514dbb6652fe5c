"""From one layout to another, checked and proved: they answer the same, and one update leaves the same weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from coreml_updatable.checking import Problem, expect_valid
from coreml_updatable.converting.equivalence import remedy
from coreml_updatable.converting.spread import ALLOWED as ALLOWED_SPREAD
from coreml_updatable.converting.spread import CONSTANT, Agreement, Compared, compared, not_proved
from coreml_updatable.converting.trial_rows import MOST_VALUES, trial_rows
from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import BuildError, ModelError
from coreml_updatable.marking.layouts import (
    Parts,
    from_files,
    from_pipeline,
    from_single,
    to_files,
    to_pipeline,
    to_single,
    with_bits,
)
from coreml_updatable.marking.layouts.precision import fewest_bits
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2, Model
from coreml_updatable.spec.network import class_labels, is_network, is_pipeline, last_member, network_of
from coreml_updatable.spec.samples import nearest_neighbors_of, sample_labels, samples_of
from coreml_updatable.spec.storage import weight_fields
from coreml_updatable.spec.weights import packed_floats
from coreml_updatable.updating import UpdateTask

Models: TypeAlias = Sequence[Model]  # one model, or an extractor and its head
ALLOWED = {32: 1e-6, 16: 0.01, 8: 0.1}  # in probability: what rounding the extractor's weights may change
ROWS = 8
_WHOLE = FeatureTypes_pb2.ArrayFeatureType.INT32


def agreement(before: Models, after: Models, extractors: tuple[Model, Model], bits: int) -> tuple[Agreement, float]:
    """Run and update both on eight random rows.

    Returns how far their answers and the extractor's features agree, and the largest difference of what an update makes
    of the heads, relative to their largest number. Raises BuildError where they differ by more than ALLOWED[bits].
    ``extractors``: those of both. ``bits``: of the second, where it has fewer than the first; else 32.
    """
    rows = trial_rows(before[0], ROWS)
    features, of_features = _of_features(*extractors, rows)
    if bits == 32 and (not features <= ALLOWED[32] or of_features.verdict == "differ"):
        raise BuildError(
            f"layout: the extractor's features differ by {features:.2g}, expected {ALLOWED[32]:g}, and by "
            f"{of_features.relative:.2g} of how far rows lie apart, expected {ALLOWED_SPREAD:g}; {remedy(before[-1])}"
        )
    old = _answers(before, rows)
    answers = _difference(old, _answers(after, rows))
    if not answers <= ALLOWED[bits]:
        advice = "nothing was written; keep more bits" if bits < 32 else remedy(before[-1])
        raise BuildError(
            f"layout: the predictions differ from those before by {answers:.2g}, expected at most {ALLOWED[bits]:g}; "
            f"{advice}"
        )
    first, one, other = _weights_of(before[-1]), _learned(before, rows), _learned(after, rows)
    heads = float(np.abs(one - other).max() / max(1.0, float(np.abs(one).max()))) if one.size else 0.0
    moved = compared(np.stack([first, one]), np.stack([first, other])) if first.size == one.size > 0 else None
    if bits == 32 and (not heads <= ALLOWED[32] or (moved is not None and moved.verdict == "differ")):
        raise BuildError(
            f"layout: the updated heads differ by {heads:.2g}, expected at most {ALLOWED[32]:g}"
            + (f", and by {moved.relative:.2g} of what it changes, expected {ALLOWED_SPREAD:g}" if moved else "")
            + f"; {remedy(before[-1])}"
        )
    notes = list[str]()
    if len(rows) > 1 and (of_features.verdict == "constant" or _alike(old)):
        notes.append(not_proved("the model's answer", len(rows)))
    if moved is not None and moved.spread == 0:
        notes.append(
            "NOT PROVED: one update with eight rows changes no weights, so it is not known whether both heads learn "
            "the same"
        )
    return Agreement(answers, len(rows), features, not notes, tuple(notes)), heads


def _alike(answers: list[dict[str, Any]]) -> bool:
    """Whether all rows have the answer of the first, as far as 32 bits tell."""
    return _difference([answers[0]] * (len(answers) - 1), answers[1:]) <= CONSTANT


def _of_features(model: Model, other: Model, rows: Sequence[Mapping[str, Any]]) -> tuple[float, Compared]:
    """Relative to the largest, and to the spread; a network whose features hardly count would else agree with any."""
    expected = _features(model, rows)
    actual = expected if model == other else _features(other, rows)
    largest = float(np.abs(actual - expected).max() / max(1e-9, float(np.abs(expected).max())))
    return largest, compared(expected, actual)


def _features(model: Model, rows: Sequence[Mapping[str, Any]]) -> Float64Array:
    answers = load(model).predict(rows)
    return np.array([np.concatenate([np.ravel(value) for value in answer.values()]) for answer in answers], np.float64)


def _answers(laid: Models, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    for model in laid:
        rows = load(model).predict(rows)
    return [dict(row) for row in rows]


def _difference(item: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    """NaN where one of them is."""
    largest = [0.0]
    for mine, theirs in zip(item, other, strict=True):
        for name, value in mine.items():
            if isinstance(value, Mapping):
                shares = theirs[name]
                largest += [abs(value.get(key, 0.0) - shares.get(key, 0.0)) for key in {*value, *shares}]
            elif not isinstance(value, str):
                actual, expected = np.asarray(theirs[name], np.float64), np.asarray(value, np.float64)
                largest.append(float(np.abs(actual.ravel() - expected.ravel()).max()) if actual.size else 0.0)
    return float(np.max(largest))


def _learned(laid: Models, rows: Sequence[Mapping[str, Any]]) -> Float64Array:
    """The head's numbers after an update on ``rows``, with labels in turn: weights, or a k-NN's new samples."""
    head = laid[-1]
    if len(laid) > 1:
        (name,) = (str(feature.name) for feature in head.description.input)
        given = load(laid[0]).predict(rows)
        if any(name not in answer for answer in given):
            raise BuildError(f"extractor: describes the output {name!r} but does not compute it; export it again")
        rows = [{name: answer[name]} for answer in given]
    inputs = {str(feature.name) for feature in head.description.input}
    targets = [feature for feature in head.description.trainingInput if feature.name not in inputs]
    training_rows = [
        {**row, **{str(target.name): _target(target, head, index) for target in targets}}
        for index, row in enumerate(rows)
    ]
    return _weights_of(UpdateTask(head, training_rows, parameters=_fewest_epochs(head)).resume().model.message)


def _weights_of(model: Model) -> Float64Array:
    """The numbers that an update changes: weights of the updatable layers, or the samples of a k-NN."""
    model = last_member(model)
    if not is_network(model):
        return np.asarray(samples_of(model).embeddings, np.float64).ravel()
    trained = [layer for layer in network_of(model).layers if layer.isUpdatable]
    if not trained:
        return np.zeros(0)
    return np.concatenate([packed_floats(weights) for layer in trained for _, weights in weight_fields(layer)]).astype(
        np.float64
    )


def _target(feature: FeatureDescription, model: Model, index: int) -> Any:
    model = last_member(model)
    kind = feature.type.WhichOneof("Type")
    if kind == "multiArrayType":
        array = feature.type.multiArrayType
        shape = [int(length) for length in array.shape]
        if min(shape, default=1) < 1 or prod(shape) > MOST_VALUES:
            raise BuildError(
                f"training input '{feature.name}': declares the size {shape}, expected lengths of 1 or more and at "
                f"most {MOST_VALUES} values; mark the model again"
            )
        return np.zeros(shape, np.int32) if array.dataType == _WHOLE else np.full(shape, 0.5, np.float32)
    known: Sequence[str | int] = class_labels(model)
    if not known and not is_network(model):
        known = sample_labels(nearest_neighbors_of(model))
    return known[index % len(known)] if known else "a" if kind == "stringType" else 0


def _fewest_epochs(model: Model) -> dict[str, int]:
    model = last_member(model)
    if not is_network(model):
        return {}
    epochs = network_of(model).updateParams.epochs
    match epochs.WhichOneof("AllowedValues"):
        case "set":
            return {"epochs": int(min(epochs.set.values, default=1))}
        case "range":
            return {"epochs": max(1, int(epochs.range.minValue))}
    return {"epochs": 1}


LAYOUTS = ("single", "pipeline", "split")


@dataclass(frozen=True)
class Laid:
    """``models``: one, or extractor and head. ``sizes``: bytes of each layout at these bits, where it can be made."""

    models: tuple[Model, ...]
    bits: int  # of the extractor
    agreement: Agreement  # of answers in probability; relative: of features, to their largest number
    heads: float  # largest difference after an update, relative to the largest number
    warnings: tuple[Problem, ...]
    sizes: dict[str, tuple[int, ...]]


def laid_out(models: Sequence[Model], layout: str, bits: int | None = None) -> Laid:
    """``models`` (one model, or the two of a split) in another layout, with the extractor's weights in ``bits``.

    Without ``bits`` they stay as they are; a single network has 32. Raises ModelError for what cannot be laid out so,
    BuildError where the result breaks a rule or does not answer and learn as ``models``.
    """
    arranged = arrange(models, layout, bits)
    before, parts, result = arranged.before, arranged.parts, arranged.models
    kept = 32 if layout == "single" else fewest_bits(parts.extractor)
    rounded = bits if bits is not None and bits < fewest_bits(before.extractor) else 32
    whole = models if len(models) == 1 else (before.extractor, before.head)
    agreed, heads = agreement(whole, result, (before.extractor, parts.extractor), rounded)
    return Laid(result, kept, agreed, heads, arranged.warnings, _sizes(parts, layout, result))


@dataclass(frozen=True)
class Arranged:
    """``models`` in another layout, not yet proved to be the same; ``parts`` are ``before`` in the wanted bits."""

    before: Parts
    parts: Parts
    models: tuple[Model, ...]
    warnings: tuple[Problem, ...]


def arrange(models: Sequence[Model], layout: str, bits: int | None = None) -> Arranged:
    """What ``laid_out`` makes and judges, without running anything; it raises the same errors, but for the proof's."""
    if layout == "single" and bits not in (None, 32):
        raise ModelError(
            f"layout: a single network with {bits} bits cannot be trained, expected 32; use the layout pipeline"
        )
    before = _parts(models)
    parts = before if bits is None else Parts(with_bits(before.extractor, bits), before.head)
    result = _models(parts, layout)
    return Arranged(
        before, parts, result, tuple(problem for item in result for problem in expect_valid(item, "layout", BuildError))
    )


def _parts(models: Sequence[Model]) -> Parts:
    match len(models):
        case 1:
            return from_pipeline(models[0]) if is_pipeline(models[0]) else from_single(models[0])
        case 2:
            return from_files(models[0], models[1])
    raise ModelError(f"files: found {len(models)}, expected one model, or the extractor and the head of a split")


def _models(parts: Parts, layout: str) -> tuple[Model, ...]:
    match layout:
        case "single":
            return (to_single(parts),)
        case "pipeline":
            return (to_pipeline(parts),)
        case "split":
            return to_files(parts)
    raise ModelError(f"layout: found {layout!r}, expected one of {', '.join(LAYOUTS)}")


def _sizes(parts: Parts, layout: str, result: tuple[Model, ...]) -> dict[str, tuple[int, ...]]:
    sizes = {layout: tuple(len(model_bytes(model)) for model in result)}
    for other in LAYOUTS:
        if other not in sizes:
            try:
                sizes[other] = tuple(len(model_bytes(model)) for model in _models(parts, other))
            except ModelError:
                continue  # a k-NN, for one, is no single network
    return {name: sizes[name] for name in LAYOUTS if name in sizes}
