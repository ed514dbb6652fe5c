"""What ``inspect`` tells of a support vector machine or a non-maximum suppression, in words."""

from collections.abc import Iterator
from typing import Any

from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels

_SHOWN = 20  # numbers of a list


def kind_facts(model: Model) -> tuple[tuple[str, str], ...]:
    """Name and words of each fact; empty for other kinds of models."""
    match model.WhichOneof("Type"):
        case "supportVectorClassifier":
            return tuple(_classifier(model))
        case "supportVectorRegressor":
            return tuple(_machine(model.supportVectorRegressor))
        case "nonMaximumSuppression":
            return tuple(_suppression(model))
    return ()


def _classifier(model: Model) -> Iterator[tuple[str, str]]:
    machine = model.supportVectorClassifier
    yield from _machine(machine)
    counts = [str(count) for count in machine.numberOfSupportVectorsPerClass]
    yield "Of each class", ", ".join(counts[:_SHOWN]) + (", …" if len(counts) > _SHOWN else "")
    yield "Probabilities", "yes" if machine.probA and machine.probB else "no, the label alone"


def _machine(machine: Any) -> Iterator[tuple[str, str]]:
    kernel = machine.kernel
    match kernel.WhichOneof("kernel"):
        case "linearKernel":
            yield "Kernel", "linear"
        case "rbfKernel":
            yield "Kernel", f"radial basis function, gamma {kernel.rbfKernel.gamma:g}"
        case "polyKernel":
            poly = kernel.polyKernel
            yield "Kernel", f"polynomial of degree {poly.degree}, gamma {poly.gamma:g}, c {poly.c:g}"
        case "sigmoidKernel":
            yield "Kernel", f"sigmoid, gamma {kernel.sigmoidKernel.gamma:g}, c {kernel.sigmoidKernel.c:g}"
    kind = machine.WhichOneof("supportVectors")
    if kind:
        yield "Support vectors", f"{len(getattr(machine, kind).vectors)}, {kind.removesuffix('SupportVectors')}"


def _suppression(model: Model) -> Iterator[tuple[str, str]]:
    nms = model.nonMaximumSuppression
    yield "Suppression", "among boxes of the same class" if nms.pickTop.perClass else "among boxes of all classes"
    for what, value, name in (
        ("Overlap above", nms.iouThreshold, nms.iouThresholdInputFeatureName),
        ("Confidence below", nms.confidenceThreshold, nms.confidenceThresholdInputFeatureName),
    ):
        yield what, f"{value:g}" + (f", or the input '{name}'" if name else "")
    if not class_labels(model):
        yield "Labels", "none in the model"
