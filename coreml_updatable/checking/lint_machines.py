"""Warnings about support vector machines and non-maximum suppression that Apple's validator accepts."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels

MACHINES = ("supportVectorClassifier", "supportVectorRegressor")
_SHOWN = 3  # findings of the same kind


def vectors_alike(model: Model) -> Iterator[Finding]:
    """Dense support vectors have equal lengths; sparse ones name each value once, from 1; no count is negative."""
    kind = model.WhichOneof("Type")
    if kind not in MACHINES:
        return
    machine = getattr(model, kind)
    lengths = {len(vector.values) for vector in machine.denseSupportVectors.vectors}
    if len(lengths) > 1:
        yield Finding("denseSupportVectors", f"{min(lengths)} to {max(lengths)} values long", "all of one length")
    for index, vector in islice(_wrong_indexes(machine), _SHOWN):
        yield Finding(f"sparseSupportVectors[{index}]", f"names value {vector}", "each value once, counted from 1")
    if min(getattr(machine, "numberOfSupportVectorsPerClass", ()), default=0) < 0:
        yield Finding("numberOfSupportVectorsPerClass", "has a number below 0", "0 or more")


def offsets_fit(model: Model) -> Iterator[Finding]:
    """The rho of a support vector classifier has a number for each pair of classes."""
    if model.WhichOneof("Type") != "supportVectorClassifier":
        return
    machine, classes = model.supportVectorClassifier, len(class_labels(model))
    pairs = classes * (classes - 1) // 2
    if classes and len(machine.rho) != pairs:
        yield Finding("rho", f"has {len(machine.rho)} numbers", f"{pairs}, one per pair of classes")


def probabilities_made(model: Model) -> Iterator[Finding]:
    """A support vector classifier with an output for probabilities has probA and probB to compute them."""
    if model.WhichOneof("Type") != "supportVectorClassifier":
        return
    name, machine = str(model.description.predictedProbabilitiesName), model.supportVectorClassifier
    if name and not (machine.probA and machine.probB):
        yield Finding(f"output '{name}'", "has no probA and probB", "both, or no such output")


def method_set(model: Model) -> Iterator[Finding]:
    """A non-maximum suppression has a method."""
    if model.WhichOneof("Type") != "nonMaximumSuppression":
        return
    if model.nonMaximumSuppression.WhichOneof("SuppressionMethod") is None:
        yield Finding("SuppressionMethod", "is not set", "pickTop")


def ranges_agree(model: Model) -> Iterator[Finding]:
    """Both outputs of a non-maximum suppression allow the same number of boxes."""
    if model.WhichOneof("Type") != "nonMaximumSuppression":
        return
    nms, result = model.nonMaximumSuppression, set()
    for name in (nms.confidenceOutputFeatureName, nms.coordinatesOutputFeatureName):
        feature = feature_named(model.description.output, str(name))
        ranges = list(feature.type.multiArrayType.shapeRange.sizeRanges) if feature is not None else []
        result |= {(int(ends.lowerBound), int(ends.upperBound)) for ends in ranges[:1]}
    if len(result) > 1:
        yield Finding("outputs", "have different ranges of boxes", "the same first axis")


def _wrong_indexes(machine: Any) -> Iterator[tuple[int, str]]:
    for index, vector in enumerate(machine.sparseSupportVectors.vectors):
        indexes = [int(node.index) for node in vector.nodes]
        if min(indexes, default=1) < 1:
            yield index, str(min(indexes))
        elif len(set(indexes)) < len(indexes):
            yield index, "one name twice"
