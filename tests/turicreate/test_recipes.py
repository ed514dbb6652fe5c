"""Recipes that train with Turi Create: a whole build on real digits, and what each kind of training gives."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from coreml_updatable.checking import check
from coreml_updatable.converting.contract import ConversionRequest, Converted
from coreml_updatable.converting.finished import probabilities
from coreml_updatable.converting.registry import find_converter, load_converter
from coreml_updatable.data.inputs import ArrayInput, Examples, ImageInput, Input
from coreml_updatable.errors import SourceError
from coreml_updatable.marking import mark
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from tests.cli.conftest import Run
from tests.turicreate.test_photos import photos

pytestmark = pytest.mark.turi
Digits = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
RECIPE = """
name = "Digits"
labels = ["zero", "one", "two"]
[input]
name = "digit"
width = 28
height = 28
color = "grayscale"
[source]
converter = "turicreate"
train = "logistic_classifier"
iterations = 20
[data]
load = "digits.py:load"
[data.kinds]
0 = "zero"
1 = "one"
2 = "two"
[update]
learning_rate = 0.01
mini_batch_size = 8
epochs = 3
[knn]
number_of_neighbors = 3
[metadata]
author = "a test"
license = "none"
version = "1"
description = "Digits."
"""
LOAD = """
from sklearn.datasets import load_digits
from PIL import Image
import numpy as np

def load():
    found = load_digits(n_class=3)
    for number, (shades, digit) in enumerate(zip(found.images, found.target)):
        yield str(digit), f"digit {number}", Image.fromarray((shades * 15.9).astype(np.uint8))
"""


def test_a_whole_build(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "digits.py").write_text(LOAD)
    monkeypatch.chdir(tmp_path)
    ran = run("build", folder / "recipe.toml")
    assert ran.status == 0, ran.err
    for name in ("Digits", "DigitsKNN"):
        assert not check(tmp_path / "build" / "digits" / f"{name}.mlmodel")
    report = json.loads((tmp_path / "build" / "digits" / "report.json").read_text())
    assert report["source"]["architecture"] == "Turi Create's logistic classifier"
    assert report["source"]["turicreate"] == "6.4.1"


def examples(pixels: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> Examples:
    names = tuple(f"picture {index}" for index in range(len(labels)))
    return Examples(pixels, labels, names, names)


def trained(source: dict[str, Any], given: Input, labels: tuple[str, ...], *parts: Examples) -> Converted:
    convert = load_converter(find_converter("turicreate"))
    return convert(ConversionRequest(source, Path(), given, labels, parts[0], parts[1], parts[1], seed=3))


def agrees(made: Converted, name: str, labels: tuple[str, ...], rows: npt.NDArray[Any]) -> None:
    marked = mark(made.model, UpdateSettings(), labels=labels)
    assert not check(marked)
    said = probabilities(load(marked), [{name: row} for row in rows], labels)
    np.testing.assert_allclose(said, made.test_probabilities, atol=1e-4)


def test_a_drawing_classifier_in_the_order_of_the_recipe_and_the_same_again(digits: Digits) -> None:
    pixels, numbers = digits[0][..., None], digits[1]
    labels = ("zero", "one", "two", "three", "four")  # not sorted, as Turi Create would have them
    parts = examples(pixels[:200], numbers[:200]), examples(pixels[-50:], numbers[-50:])
    source = {"train": "drawing_classifier", "iterations": 15, "batch_size": 32}
    result, again = (trained(source, ImageInput("drawing", 28, 28, "grayscale"), labels, *parts) for _ in range(2))
    agrees(result, "drawing", labels, pixels[-50:])
    assert (result.test_probabilities.argmax(axis=1) == numbers[-50:]).mean() > 0.8
    assert model_bytes(result.model) == model_bytes(again.model)


def test_a_logistic_classifier_of_arrays() -> None:
    generator = np.random.default_rng(0)
    numbers = np.arange(150) % 3
    rows = (generator.normal(size=(150, 2, 2)) + numbers[:, None, None] * 100).astype(np.float32)
    parts = examples(rows[:120], numbers[:120]), examples(rows[120:], numbers[120:])
    labels = ("low", "middle", "high")
    result = trained({"train": "logistic_classifier"}, ArrayInput("x", (2, 2)), labels, *parts)
    agrees(result, "x", labels, rows[120:])
    assert (result.test_probabilities.argmax(axis=1) == numbers[120:]).mean() > 0.9


def test_an_image_classifier(pretrained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parts = [examples(photos(count, seed), np.arange(count) % 3) for count, seed in ((18, 0), (6, 1))]
    labels, image = ("c", "a", "b"), ImageInput("photo", 227, 227, "rgb")
    monkeypatch.setenv("TURICREATE_PRETRAINED", str(tmp_path))
    with pytest.raises(SourceError, match=r"source: training: needs the pretrained network squeezenet_v1.1-TuriCreate"):
        trained({"train": "image_classifier", "iterations": 10}, image, labels, *parts)
    monkeypatch.setenv("TURICREATE_PRETRAINED", str(pretrained))
    result = trained({"train": "image_classifier", "iterations": 10}, image, labels, *parts)
    agrees(result, "photo", labels, parts[1].pixels)


def test_a_drawing_classifier_that_starts_from_a_download(digits: Digits) -> None:
    part = examples(digits[0][:50, ..., None], digits[1][:50])
    source = {"train": "drawing_classifier", "iterations": 1, "warm_start": True}
    with pytest.raises(SourceError, match=r"source: training: needs the pretrained network .*download https://docs-"):
        trained(source, ImageInput("drawing", 28, 28, "grayscale"), ("0", "1", "2", "3", "4"), part, part)
