"""Prove that two models answer the same: both run on the same random inputs, and a difference is explained."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from coreml_updatable.converting.spread import ALLOWED, Agreement, agreement, agreement_by_logits, centered, compared
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import BuildError
from coreml_updatable.marking.features import rename_features
from coreml_updatable.marking.losses import is_squared_error
from coreml_updatable.marking.one_number import answers_one_number, end_of
from coreml_updatable.marking.outputs import HIDDEN
from coreml_updatable.marking.pipelines import freeze
from coreml_updatable.marking.tail import SOFTMAXES, answer_blob
from coreml_updatable.runtime import load
from coreml_updatable.runtime.steps.classes import softmax
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, copy_of
from coreml_updatable.spec.network import is_network, is_pipeline, network_of, pipeline_of
from coreml_updatable.spec.reserved_labels import reserved_labels
from coreml_updatable.spec.weights import numbers_in

LARGEST = 1e4  # 32-bit floats carry seven digits: beyond it a sum is off by more than 1e-3
_NO_SUMMANDS = ("loadConstant", "loadConstantND", "clip")  # a mask may well add minus infinity; bounds add nothing
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def remedy(model: Model) -> str:
    """The end of a sentence that says the answers of ``model`` and of what was made of it differ."""
    where, number = max(_extremes(model), key=lambda item: _size(item[1]), default=("", 0.0))
    if _size(number) > LARGEST:
        return (
            f"nothing was written, because {where} contains the number {number:.3g}, which makes 32-bit sums "
            "inexact; export the model again"
        )
    return "nothing was written; this is a bug in coreml_updatable, please report it"


def _size(number: float) -> float:
    return float("inf") if np.isnan(number) else abs(number)


def _extremes(model: Model) -> Iterator[tuple[str, float]]:
    """Of each layer, or of a model that has none: the number that is not finite, or else the largest."""
    if is_pipeline(model):
        for member in pipeline_of(model).models:
            yield from _extremes(member)
        return
    parts = [("model", getattr(model, model.WhichOneof("Type")))]
    if is_network(model):
        network = network_of(model)
        layers = [(place(index, layer), layer) for index, layer in enumerate(network.layers)]
        parts = [(where, layer) for where, layer in layers if layer_kind(layer) not in _NO_SUMMANDS]
        parts += [("preprocessing", each) for each in network.preprocessing]
    for where, part in parts:
        for numbers in _numbers(part):
            result = np.asarray(numbers, np.float64).ravel()
            if result.size:
                yield where, float(result[np.argmax(np.where(np.isnan(result), np.inf, np.abs(result)))])


def _numbers(message: Any) -> Iterator[Any]:
    if message.DESCRIPTOR.name == "WeightParams":
        values = numbers_in(message).values
        yield [] if values is None else values
        return
    for field, value in message.ListFields():
        if field.cpp_type in _FLOATS:
            yield value
        elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else (value,):
                yield from _numbers(inner)


WEIGHTED = frozenset({"innerProduct", "convolution", "batchedMatmul"})
ALLOWED_DIFFERENCE = 1e-5  # in probability: 32-bit sums in another order differ by less
ROUNDING = 1e-3  # of logits near 100 in 32 bits, as a part of their exponentials
ROWS = 8


def unchanged(before: Model, after: Model, reserved_share: float = HIDDEN) -> float:
    """The largest difference of ``prove_unchanged``."""
    return prove_unchanged(before, after, reserved_share).difference


def prove_unchanged(before: Model, after: Model, reserved_share: float = HIDDEN) -> Agreement:
    """Compare both over eight rows; a BuildError above 1e-5 in probability, or 0.01 of the spread of the logits.

    Answers that are no distribution (logits, logarithms of probabilities) are compared behind a softmax; one number
    that became two classes as [1 - p, p], p the number itself behind a sigmoid, else its sigmoid. Of pipelines
    the last members are compared on what is given to them, and the others must be the same. Spare classes that were
    added may take ``reserved_share`` of an answer together; the others are compared as shares of the rest. Where values
    are learned, they are compared themselves, against the largest of them or 1.
    """
    if is_pipeline(before):
        _expect_same_front(before, after)
        return prove_unchanged(pipeline_of(before).models[-1], pipeline_of(after).models[-1], reserved_share)
    if is_squared_error(network_of(after)):
        return _values_unchanged(before, after)
    old, new = _of_classes(before, _finite(before)), _distributions(_answers(after))
    added = len(reserved_labels(after)) - len(reserved_labels(before))
    if new.shape[1] != old.shape[1] + added:
        raise BuildError(f"marked model: has {new.shape[1]} classes, expected {old.shape[1] + added}; {remedy(before)}")
    known = new[:, : old.shape[1]]
    taken = float((new.sum(axis=1) - known.sum(axis=1)).max())
    if not taken <= reserved_share * (1 + ROUNDING):
        raise BuildError(
            f"marked model: its reserved labels have a probability of {taken:.2g}, expected at most "
            f"{reserved_share:.2g}; {remedy(before)}"
        )
    shares = known / known.sum(axis=1, keepdims=True)
    difference = float(np.abs(old - shares).max())
    if not difference <= ALLOWED_DIFFERENCE:  # NaN too
        raise BuildError(
            f"marked model: its probabilities differ from those before by {difference:.2g}, expected at most "
            f"{ALLOWED_DIFFERENCE}; {remedy(before)}"
        )
    return _by_spread(before, after, old, shares, difference)


def _by_spread(before: Model, after: Model, old: Float64Array, new: Float64Array, difference: float) -> Agreement:
    """What the agreement in probability is worth: probabilities that are all 0 and 1 agree with many others."""
    ours, theirs = _logits(before), _logits(after)
    if ours is None or theirs is None:
        return agreement(difference, old, new, "the answer of the model")
    logits = compared(centered(ours), centered(theirs[:, : ours.shape[1]]))
    if logits.verdict == "differ":
        raise BuildError(
            f"marked model: its logits differ from those before by {logits.relative:.2g} of their spread over the "
            f"rows, expected at most {ALLOWED:g}; {remedy(before)}"
        )
    return agreement_by_logits(difference, old, new, logits, "the model")


def _values_unchanged(before: Model, after: Model) -> Agreement:
    old, new = _finite(before), _answers(after)
    with np.errstate(invalid="ignore"):  # of infinite answers
        difference = float(np.abs(old - new).max() / max(1.0, float(np.abs(old).max())))
        values = compared(old, new)
    if not difference <= ALLOWED_DIFFERENCE or values.verdict == "differ":
        raise BuildError(
            f"marked model: its outputs differ from those before by {difference:.2g} of the largest value, expected "
            f"at most {ALLOWED_DIFFERENCE}, and by {values.relative:.2g} of the spread of the values, expected "
            f"{ALLOWED:g}; {remedy(before)}"
        )
    return agreement(difference, old, new, "the answer of the model")


def softmax_input(model: Model) -> str | None:
    """The blob that the softmax behind a network's last weights reads; None for what has none.

    A softmax in front of weights is one of attention.
    """
    for layer in reversed(network_of(model).layers) if is_network(model) else ():
        if layer_kind(layer) in SOFTMAXES:
            return str(layer.input[0])
        if layer_kind(layer) in WEIGHTED:
            return None
    return None


def _logits(model: Model) -> Float64Array | None:
    """float64 [rows, classes]: what the softmax reads, [0, z] of one number; None where a model is no network."""
    if not is_network(model):
        return None
    one = answers_one_number(model)
    blob = end_of(model).blob if one else softmax_input(model) or answer_blob(model)
    said = load(unrounded(model)).predict(trial_rows(model, ROWS), intermediate={blob})
    if not all(blob in answer and not isinstance(answer[blob], Mapping) for answer in said):
        return None
    logits = np.array([np.ravel(answer[blob]) for answer in said], np.float64)
    return np.hstack([np.zeros_like(logits), logits])[:, :: end_of(model).sign] if one else logits


def _of_classes(model: Model, answers: Float64Array) -> Float64Array:
    """float64 [rows, classes]: what the answers of a model that is to learn labels say of each."""
    if answers.shape[1] != 1 or not answers_one_number(model):
        return _distributions(answers)
    yes = answers if end_of(model).sigmoid else 1 / (1 + np.exp(-answers))
    return np.hstack([1 - yes, yes])


def _expect_same_front(before: Model, after: Model) -> None:
    names = {
        str(old.name): str(new.name)
        for old, new in zip(before.description.input, after.description.input, strict=True)
        if old.name != new.name
    }
    fronts = []
    for model in (rename_features(before, names), after):
        members = list(pipeline_of(model).models[:-1])
        for member in members:
            freeze(member)
            member.description.SetInParent()
        fronts.append([model_bytes(member) for member in members])
    if fronts[0] != fronts[1]:
        raise BuildError(
            "marked model: a model before the last of the pipeline has changed; nothing was written; this is a bug "
            "in coreml_updatable, please report it"
        )


def _finite(model: Model) -> Float64Array:
    """The answers before the change; a BuildError where they are not numbers to compare with."""
    answers = _answers(model)
    if not np.isfinite(answers).all():
        raise BuildError("model: returned NaN or infinite numbers even before any change; check its weights")
    return answers


def _distributions(answers: Float64Array) -> Float64Array:
    """float64 [rows, classes]: the answers as they are, or behind a softmax; NaN where one is not finite."""
    if (answers >= 0).all() and np.allclose(answers.sum(axis=1), 1, atol=1e-3):
        return answers
    if not np.isfinite(answers).all():
        return np.full_like(answers, np.nan)
    return softmax(answers)


def _answers(model: Model) -> Float64Array:
    """float64 [rows, outputs], over rows that are the same for models whose inputs differ in name only."""
    rows = trial_rows(model, ROWS)
    if not is_network(model) and not model.description.predictedProbabilitiesName:
        model = _with_probabilities(model)
    model = unrounded(model)
    blob = answer_blob(model) if is_network(model) else str(model.description.predictedProbabilitiesName)
    said = [answer[blob] for answer in load(model).predict(rows, intermediate={blob})]
    if all(isinstance(answer, Mapping) for answer in said):  # a feature called like the blob: label -> probability
        said = [list(answer.values()) for answer in said]
    return np.array([np.ravel(answer) for answer in said], np.float64)


def unrounded(model: Model) -> Model:
    """The same model, its answers in 32 bits whatever it declares, pictures too: it is the sums that are compared."""
    result = copy_of(model)
    for feature in result.description.output:
        if feature.type.WhichOneof("Type") in ("multiArrayType", "imageType"):
            feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    return result


def _with_probabilities(model: Model) -> Model:
    """A classifier that answers a label only, with the probabilities behind it."""
    result = copy_of(model)
    result.description.predictedProbabilitiesName = "probabilities"
    return result
