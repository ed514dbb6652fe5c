"""Files from outside: bytes flipped, cut and inserted in valid models. Only our own errors come out."""

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.errors import UserError
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import parse_model
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model_pb2

EDITS = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "insert"]), st.floats(0, 0.999), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


def network() -> bytes:
    spec = Model_pb2.Model(specificationVersion=4)
    for features, name, shape in ((spec.description.input, "x", [1, 2, 4, 4]), (spec.description.output, "y", [])):
        array = features.add(name=name).type.multiArrayType
        array.shape.extend(shape)
        array.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    spec.neuralNetwork.arrayInputShapeMapping = 1
    conv = spec.neuralNetwork.layers.add(name="c", input=["x"], output=["a"]).convolution
    conv.outputChannels, conv.kernelChannels = 2, 2
    conv.kernelSize.extend([2, 2])
    conv.weights.floatValue.extend([0.5] * 16)
    conv.same.SetInParent()
    pool = spec.neuralNetwork.layers.add(name="p", input=["a"], output=["b"]).pooling
    pool.includeLastPixel.paddingAmounts.extend([1, 1])
    upsample = spec.neuralNetwork.layers.add(name="u", input=["b"], output=["d"]).upsample
    upsample.scalingFactor.extend([2, 2])
    spec.neuralNetwork.layers.add(name="f", input=["d"], output=["e"]).flatten.SetInParent()
    spec.neuralNetwork.layers.add(name="r", input=["e"], output=["y"]).reshapeStatic.targetShape.extend([1, -1])
    content: bytes = spec.SerializeToString()
    return content


def knn() -> bytes:
    spec = Model_pb2.Model(specificationVersion=4)
    spec.description.input.add(name="x").type.multiArrayType.shape.append(3)
    spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "probs"
    classifier = spec.kNearestNeighborsClassifier
    classifier.nearestNeighborsIndex.numberOfDimensions = 3
    classifier.nearestNeighborsIndex.floatSamples.add().vector.extend([1, 2, 3])
    classifier.stringClassLabels.vector.append("a")
    classifier.numberOfNeighbors.defaultValue = 3
    content: bytes = spec.SerializeToString()
    return content


def edited(content: bytes, edits: list[tuple[str, float, int]]) -> bytes:
    changed = bytearray(content)
    for kind, place, value in edits:
        at = int(place * len(changed))
        if kind == "flip":
            changed[at] = value
        elif kind == "cut":
            del changed[at : at + 1 + value % 8]
        else:
            changed[at:at] = bytes([value])
    return bytes(changed)


@pytest.mark.parametrize("content", [network(), knn()], ids=["network", "k-NN"])
def test_only_our_errors_come_out(content: bytes) -> None:
    rows: list[dict[str, Any]] = [{"x": np.ones((1, 2, 4, 4), np.float32)}, {"x": np.ones(3, np.float32)}]

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(EDITS)
    def run(edits: Any) -> None:
        for row in rows:
            with contextlib.suppress(UserError):
                load(parse_model(edited(content, edits), "a file")).predict(row)

    run()
