"""What a recipe may say of training with Turi Create, and what is refused before or after it: no Turi Create here."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.building.converter import find_converter, load_converter
from coreml_updatable.conversion import ConversionRequest, Examples, ImageInput
from coreml_updatable.errors import DataError, SourceError
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model_pb2

on_pixels = import_module("coreml_updatable.converters.turicreate_pixels").on_pixels
convert = load_converter(find_converter("turicreate"))


def examples(count: int, width: int = 28, height: int = 28, channels: int = 1) -> Examples:
    pixels = np.random.default_rng(count).integers(0, 256, (count, height, width, channels), np.uint8)
    names = tuple(f"picture {number}" for number in range(count))
    return Examples(pixels, np.arange(count) % 3, names, names)


def request_for(source: dict[str, Any], **changes: Any) -> ConversionRequest:
    part = examples(6)
    image = ImageInput("drawing", 28, 28, "grayscale")
    made = ConversionRequest(source, Path(), image, ("c", "a", "b"), part, part, part, seed=1)
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({}, 'source.train is missing, expected "drawing_classifier", "image_classifier" or "logistic_classifier"; ad'),
        ({"train": "drawings"}, "source.train is 'drawings', expected 'drawing_classifier', 'image_classifier' or 'lo"),
        ({"train": "drawing_classifier", "iteration": 3}, "source.iteration is no field of the turicreate converter; "),
        ({"train": "drawing_classifier", "iteration": 3}, "did you mean 'iterations'"),
        ({"train": "drawing_classifier", "weights_of": 3}, "the fields here are: batch_size, iterations, l2_penalty, "),
        ({"train": "drawing_classifier", "iterations": 0}, "source.iterations is 0: input should be greater than or e"),
        ({"train": "image_classifier", "network": "vgg"}, "source.network is 'vgg', expected 'squeezenet_v1.1' or 're"),
        (
            {"train": "image_classifier"},
            "input: 28x28 grayscale, Turi Create's image_classifier sees 227x227 rgb; wri",
        ),
        ({"train": "image_classifier", "network": "resnet-50"}, "image_classifier sees 224x224 rgb; write this into"),
    ],
)
def test_fields_that_are_refused(source: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SourceError) as raised:
        convert(request_for(source))
    assert sentence in str(raised.value)


def test_a_label_without_pictures() -> None:
    part = examples(2)
    with pytest.raises(DataError, match="data: no picture to train on has the label 'b'; add some"):
        convert(request_for({"train": "drawing_classifier"}, train=part))


def test_training_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / "python3.8"
    interpreter.write_text("#!/bin/sh\nsleep 60\n")
    interpreter.chmod(0o755)
    monkeypatch.setenv("TURICREATE_PYTHON", str(interpreter))
    with pytest.raises(SourceError, match=r"training: took longer than 0.2 seconds and was stopped; give it more with"):
        convert(request_for({"train": "drawing_classifier", "seconds": 0.2}))


@pytest.mark.parametrize(("color", "channels"), [("grayscale", 1), ("rgb", 3)])
def test_a_logistic_classifier_of_pixels_is_a_network(color: Any, channels: int) -> None:
    """Against its formula in NumPy."""
    random = np.random.default_rng(0)
    weights, offsets = random.normal(size=(2, 6 * 4 * channels)), random.normal(size=2)
    exported = Model_pb2.Model(specificationVersion=1)
    linear = exported.pipelineClassifier.pipeline.models.add(specificationVersion=1).glmClassifier
    for row in weights:
        linear.weights.add(value=row)
    linear.offset.extend(offsets)
    part = examples(5, 6, 4, channels)
    answers = load(on_pixels(exported, ImageInput("picture", 6, 4, color))).predict(
        [{"picture": pixels} for pixels in part.pixels]
    )
    flat = part.pixels.transpose(0, 3, 1, 2).reshape(5, -1) / 255
    scores = np.concatenate([np.zeros((5, 1)), flat @ weights.T + offsets], axis=1)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = np.array([np.ravel(answer["probabilities"]) for answer in answers])
    np.testing.assert_allclose(found, expected, atol=1e-5)
