"""The message classes of the Core ML format, without the weight of coremltools.

``import coremltools`` takes seconds and prints; its generated protobuf classes need none of it. A stand-in package
that has only a search path lets Python import the generated modules alone. It is taken out again afterwards, so a
later, real ``import coremltools`` finds the very same classes.
"""

import importlib
import importlib.util
import sys
import types
from typing import Any, TypeAlias

from coreml_updatable.errors import ModelError, a_kind

# Generated classes carry no types of their own; the aliases say which message a function means.
Model: TypeAlias = Any
FeatureDescription: TypeAlias = Any
NeuralNetwork: TypeAlias = Any  # also its Classifier and Regressor containers
NeuralNetworkLayer: TypeAlias = Any
WeightParams: TypeAlias = Any
FloatVector: TypeAlias = Any
KNearestNeighborsClassifier: TypeAlias = Any
Pipeline: TypeAlias = Any


def _import_messages(name: str) -> Any:
    full_name = f"coremltools.proto.{name}"
    if "coremltools" in sys.modules:
        return importlib.import_module(full_name)
    result = importlib.util.find_spec("coremltools")
    if result is None or result.submodule_search_locations is None:
        raise ModelError("coremltools is not installed; run: pip install coremltools==9.0")
    stand_in = types.ModuleType("coremltools")
    stand_in.__path__ = list(result.submodule_search_locations)
    sys.modules["coremltools"] = stand_in
    try:
        return importlib.import_module(full_name)
    finally:
        del sys.modules["coremltools"]


Model_pb2 = _import_messages("Model_pb2")
FeatureTypes_pb2 = _import_messages("FeatureTypes_pb2")
NeuralNetwork_pb2 = _import_messages("NeuralNetwork_pb2")
NearestNeighbors_pb2 = _import_messages("NearestNeighbors_pb2")


def copy_of(message: Any) -> Any:
    """A message of the same content, to be changed."""
    result = type(message)()
    result.CopyFrom(message)
    return result


def expect_message(model: object) -> None:
    """ModelError unless ``model`` is a ``Model`` message."""
    if not isinstance(model, Model_pb2.Model):
        raise ModelError(
            f"model: is {a_kind(model)}, expected a path, a Model message or a loaded model; give one of these"
        )
