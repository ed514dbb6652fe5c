"""Numbers that are NaN or infinite in models other than networks, which Apple's validator does not look at."""

from collections.abc import Iterator, Sequence
from itertools import islice
from math import isfinite, isnan
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.messages import Model

_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
_TREES = ("treeEnsembleClassifier", "treeEnsembleRegressor")
_REPLACED = ("replaceDoubleValue",)  # what an imputer looks for: usually NaN
# Programs and custom models may well hold infinity; M12.2 looks at curves and thresholds.
_OTHERS = ("mlProgram", "customModel", "classConfidenceThresholding", "nonMaximumSuppression")
_SHOWN = 3  # findings of a model


def numbers_finite(model: Model) -> Iterator[Finding]:
    """No number of a model that is not a network is NaN or infinite; a branch of a tree may compare with infinity."""
    kind = model.WhichOneof("Type")
    if kind is None or kind in _OTHERS:
        return
    message = getattr(model, kind)
    places = _in_trees(message.treeEnsemble) if kind in _TREES else _in_message(message, "")
    for where in islice(places, _SHOWN):
        yield Finding(where, "is or holds NaN or an infinite number", "finite ones")


def _in_trees(trees: Any) -> Iterator[str]:
    """As ``_in_message``, with few look-ups per node: a file of 100 MB has a million of them."""
    if not _finite(trees.basePredictionValue):
        yield "treeEnsemble.basePredictionValue"
    for node in trees.nodes:
        if isnan(node.branchFeatureValue) or not all(isfinite(leaf.evaluationValue) for leaf in node.evaluationInfo):
            yield f"tree {node.treeId} node {node.nodeId}"


def _in_message(message: Any, where: str) -> Iterator[str]:
    """Yield the path of each field, at any depth, that is or holds a number that is not finite."""
    for field, value in message.ListFields():
        path = f"{where}.{field.name}" if where else str(field.name)
        if field.cpp_type in _FLOATS:
            if field.name not in _REPLACED and not _finite(value if field.is_repeated else (value,)):
                yield path
        elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            if field.message_type.GetOptions().map_entry:
                if not _finite([number for number in value.values() if isinstance(number, float)]):
                    yield path
            elif field.is_repeated:
                for index, inner in enumerate(value):
                    yield from _in_message(inner, f"{path}[{index}]")
            else:
                yield from _in_message(value, path)


def _finite(numbers: Sequence[float]) -> bool:
    return all(map(isfinite, numbers))
