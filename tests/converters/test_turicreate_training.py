"""What a recipe may say of training with Turi Create, and what is refused before or after it: no Turi Create here."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.converting.contract import ConversionRequest
from coreml_updatable.converting.registry import find_converter, load_converter
from coreml_updatable.data.inputs import ArrayInput, Examples, ImageInput
from coreml_updatable.errors import DataError, SourceError
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model_pb2

network_of = import_module("coreml_updatable.converters.turicreate.training").network_of
convert = load_converter(find_converter("turicreate"))


def examples(count: int, width: int = 28, height: int = 28, channels: int = 1) -> Examples:
    pixels = np.random.default_rng(count).integers(0, 256, (count, height, width, channels), np.uint8)
    names = tuple(f"picture {index}" for index in range(count))
    return Examples(pixels, np.arange(count) % 3, names, names)


def request_for(source: dict[str, Any], **changes: Any) -> ConversionRequest:
    part = examples(6)
    image = ImageInput("drawing", 28, 28, "grayscale")
    result = ConversionRequest(source, Path(), image, ("c", "a", "b"), part, part, part, seed=1)
    return replace(result, **changes)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({}, 'source.train is missing, expected "drawing_classifier", "image_classifier" or "logistic_classifier"; ad'),
        ({"train": "drawings"}, "source.train is 'drawings', expected 'drawing_classifier', 'image_classifier' or 'lo"),
        (
            {"train": "drawing_classifier", "iteration": 3},
            "unknown field `source.iteration` of the turicreate converter; ",
        ),
        ({"train": "drawing_classifier", "iteration": 3}, "did you mean `iterations`"),
        ({"train": "drawing_classifier", "weights_of": 3}, "the fields are batch_size, iterations, l2_penalty, "),
        ({"train": "drawing_classifier", "iterations": 0}, "source.iterations is 0: input should be greater than or e"),
        ({"train": "image_classifier", "network": "vgg"}, "source.network is 'vgg', expected 'squeezenet_v1.1' or 're"),
        (
            {"train": "image_classifier"},
            "input: is 28x28 grayscale, but Turi Create's image_classifier takes 227x227 rgb; wri",
        ),
        ({"train": "image_classifier", "network": "resnet-50"}, "image_classifier takes 224x224 rgb; write this into"),
    ],
)
def test_fields_that_are_refused(source: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SourceError) as raised:
        convert(request_for(source))
    assert sentence in str(raised.value)


def test_a_label_without_pictures() -> None:
    part = examples(2)
    with pytest.raises(DataError, match="data: found no training rows with the label 'b'; add some"):
        convert(request_for({"train": "drawing_classifier"}, train=part))


def test_training_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / "python3.8"
    interpreter.write_text("#!/bin/sh\nsleep 60\n")
    interpreter.chmod(0o755)
    monkeypatch.setenv("TURICREATE_PYTHON", str(interpreter))
    with pytest.raises(SourceError, match=r"training: took longer than 0.2 seconds and was stopped; allow more with"):
        convert(request_for({"train": "drawing_classifier", "seconds": 0.2}))


def test_an_array_is_no_drawing() -> None:
    rows = Examples(np.zeros((3, 4), np.float32), np.arange(3), ("a", "b", "c"), ("a", "b", "c"))
    with pytest.raises(SourceError, match="is an array, but Turi Create's drawing_classifier takes 28x28 grayscale"):
        convert(request_for({"train": "drawing_classifier"}, input=ArrayInput("x", (4,)), train=rows))


def exported(weights: Any, offsets: Any) -> Any:
    result = Model_pb2.Model(specificationVersion=1)
    linear = result.pipelineClassifier.pipeline.models.add(specificationVersion=1).glmClassifier
    for row in weights:
        linear.weights.add(value=row)
    linear.offset.extend(offsets)
    return result


def formula(x: Any, weights: Any, offsets: Any) -> Any:
    scores = np.concatenate([np.zeros((len(x), 1)), x @ weights.T + offsets], axis=1)
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("color", "channels"), [("grayscale", 1), ("rgb", 3)])
def test_a_logistic_classifier_of_pixels_is_a_network(color: Any, channels: int) -> None:
    random = np.random.default_rng(0)
    weights, offsets = random.normal(size=(2, 6 * 4 * channels)), random.normal(size=2)
    pixels = examples(5, 6, 4, channels).pixels
    model = load(network_of(exported(weights, offsets), ImageInput("picture", 6, 4, color)))
    result = [np.ravel(answer["probabilities"]) for answer in model.predict([{"picture": item} for item in pixels])]
    flat = pixels.transpose(0, 3, 1, 2).reshape(5, -1) / 255
    np.testing.assert_allclose(result, formula(flat, weights, offsets), atol=1e-5)


def test_a_logistic_classifier_of_an_array_is_a_network() -> None:
    random = np.random.default_rng(0)
    weights, offsets = random.normal(size=(2, 6)), random.normal(size=2)
    rows = random.normal(size=(5, 2, 3)).astype(np.float32)
    model = load(network_of(exported(weights, offsets), ArrayInput("x", (2, 3))))
    result = [np.ravel(answer["probabilities"]) for answer in model.predict([{"x": row} for row in rows])]
    np.testing.assert_allclose(result, formula(rows.reshape(5, -1), weights, offsets), atol=1e-5)
