"""Messages of single steps, filled by the tests from fitted scikit-learn estimators."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model_pb2

Describe: TypeAlias = Callable[..., Any]
DOUBLE = FeatureTypes_pb2.ArrayFeatureType.DOUBLE


def described(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    """A model message without a kind. A type is "double", "int64", "string", "words" and "places" (dictionaries), or
    a list, the shape of an array of doubles."""
    spec = Model_pb2.Model(specificationVersion=3)
    for features, wanted in ((spec.description.input, inputs), (spec.description.output, outputs)):
        for name, kind in wanted.items():
            type_ = features.add(name=name).type
            if isinstance(kind, list):
                type_.multiArrayType.dataType = DOUBLE
                type_.multiArrayType.shape.extend(kind)
            elif kind == "words":
                type_.dictionaryType.stringKeyType.SetInParent()
            elif kind == "places":
                type_.dictionaryType.int64KeyType.SetInParent()
            else:
                getattr(type_, f"{kind}Type").SetInParent()
    return spec


@pytest.fixture
def describe() -> Describe:
    return described


@pytest.fixture
def classifier() -> Callable[..., Any]:
    """classifier(inputs, labels): described, with the outputs "label" and "probs"; the kind is still to be set."""

    def make(inputs: Mapping[str, Any], labels: list[Any], kind: str) -> Any:
        string = isinstance(labels[0], str)
        spec = described(inputs, {"label": "string" if string else "int64", "probs": "words" if string else "places"})
        spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "probs"
        message = getattr(spec, kind)
        (message.stringClassLabels if string else message.int64ClassLabels).vector.extend(labels)
        return spec

    return make
