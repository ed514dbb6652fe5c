"""Damaged messages of steps: only our own errors come out."""

import contextlib
import warnings
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.errors import UserError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.steps import KINDS
from coreml_updatable.spec.io import parse_model
from coreml_updatable.spec.messages import Model
from tests.runtime.mutations import damaged_bytes, damaged_fields, fill
from tests.runtime.steps.conftest import described

INPUTS: dict[str, Any] = {
    "words": {"a": 1.0}, "places": {1: 2.0}, "string": "a", "int64": 1, "double": 1.5, "array": np.ones(3),
    "boxes": np.ones((3, 4)),
}  # fmt: skip


def stump(spec: Model) -> None:
    trees = getattr(spec, spec.WhichOneof("Type")).treeEnsemble
    trees.numPredictionDimensions = 1
    trees.nodes.add(nodeId=0, branchFeatureIndex=1, branchFeatureValue=0.5, trueChildNodeId=1, falseChildNodeId=2)
    for number in (1, 2):
        trees.nodes.add(nodeId=number, nodeBehavior=6).evaluationInfo.add(evaluationValue=number)


def machine(message: Any) -> None:
    """Two support vectors, one a class."""
    message.kernel.rbfKernel.gamma = 0.5
    for index in range(2):
        message.denseSupportVectors.vectors.add().values.extend([index, 1.0, 2.0])
    if message.DESCRIPTOR.name == "SupportVectorRegressor":
        message.coefficients.alpha.extend([1.0, -1.0])
        return
    message.coefficients.add().alpha.extend([1.0, -1.0])
    message.numberOfSupportVectorsPerClass.extend([1, 1])
    for field in (message.rho, message.probA, message.probB):
        field.append(0.5)


def sound() -> Iterator[tuple[Model, str]]:
    """A model of each kind, and the name of its input's type."""
    for kind in KINDS:
        source = {"oneHotEncoder": "string", "categoricalMapping": "string", "dictVectorizer": "words"}.get(
            kind, "array"
        )
        spec = described({"x": [3] if source == "array" else source}, {"y": "double"})
        message = getattr(spec, kind)
        message.SetInParent()
        spec.description.predictedFeatureName = "y"
        if kind.endswith("Classifier"):
            message.stringClassLabels.vector.extend(["no", "yes"])
        if kind.startswith("glm"):
            message.weights.add().value.extend([1.0, 2.0, 3.0])
        elif kind.startswith("tree"):
            stump(spec)
        elif kind.startswith("support"):
            machine(message)
        elif kind == "nonMaximumSuppression":
            for name in ("confidence", "coordinates"):
                setattr(message, f"{name}InputFeatureName", "x")
                setattr(message, f"{name}OutputFeatureName", "y")
            message.pickTop.perClass = True
            spec.description.input[0].type.multiArrayType.shape[:] = [3, 4]
            spec.description.output[0].type.multiArrayType.shape.extend([3, 4])
        yield spec, source


SOUND = list(sound())


def use(content: bytes, source: str) -> None:
    with warnings.catch_warnings(), contextlib.suppress(UserError):
        warnings.simplefilter("error")
        model = load(parse_model(content, "a file"))
        for given_as in (source, *INPUTS):
            with contextlib.suppress(UserError):
                model.predict({"x": INPUTS[given_as]})


def test_what_is_damaged_was_sound() -> None:
    for spec, _ in SOUND:
        if str(spec.WhichOneof("Type")).startswith(("support", "nonMaximum")):
            shape = list(spec.description.input[0].type.multiArrayType.shape)
            assert load(spec).predict({"x": np.ones(shape)})


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_only_our_errors_come_out(seed: int) -> None:
    random = Random(seed)
    spec, source = random.choice(SOUND)
    use(damaged_fields(spec, random).SerializeToString(), source)
    use(damaged_bytes(spec.SerializeToString(), SOUND[0][0].SerializeToString(), random), source)
    arbitrary = described({"x": [3] if source == "array" else source}, {"y": random.choice(["double", [3], "places"])})
    arbitrary.description.predictedFeatureName = "y"
    kind = str(spec.WhichOneof("Type"))
    getattr(arbitrary, kind).SetInParent()
    fill(getattr(arbitrary, kind), random, 4)
    use(arbitrary.SerializeToString(), source)
