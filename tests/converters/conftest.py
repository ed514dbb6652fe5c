"""A recipe's folder with a tiny network, and pictures that a tiny network can tell apart."""

import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.converting.contract import ConversionRequest
from coreml_updatable.data.inputs import Examples, ImageInput

LABELS = ("dark", "bright")
SIZE = 16
MODEL = """
from torch import nn

from .parts import block

def tiny(classes):
    return nn.Sequential(*block(3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))

def tiny_gray(classes):
    return nn.Sequential(*block(1, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))
"""
PARTS = """
from torch import nn

def block(channels, new_channels):
    return [nn.Conv2d(channels, new_channels, 3, 2, 1, bias=False), nn.BatchNorm2d(new_channels), nn.ReLU()]
"""


def pictures(count: int, seed: int, *, size: int = SIZE, channels: int = 3) -> Examples:
    """Noise, the second half of the labels a third brighter; two kinds of the dark label."""
    labels = np.arange(count, dtype=np.int64) % 2
    pixels = np.random.default_rng(seed).integers(0, 170, (count, size, size, channels), dtype=np.uint8)
    pixels[labels == 1] += 85
    kinds = tuple("sun" if label else ("night", "cave")[index % 4 // 2] for index, label in enumerate(labels))
    return Examples(pixels, labels, tuple(map(str, range(count))), kinds)


def _request(folder: Path, *, channels: int = 3, size: int = SIZE, seed: int = 0, **source: Any) -> ConversionRequest:
    parts = (pictures(count, index, size=size, channels=channels) for index, count in enumerate((48, 12, 20)))
    train, validation, test = parts
    return ConversionRequest(
        source={"training": {"epochs": 4, "batch_size": 8, "learning_rate": 0.02}, **source},
        folder=folder,
        input=ImageInput("image", size, size, "rgb" if channels == 3 else "grayscale"),
        labels=LABELS,
        train=train,
        validation=validation,
        test=test,
        seed=seed,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    (recipe / "model.py").write_text(MODEL)
    (recipe / "parts.py").write_text(PARTS)
    return recipe


@pytest.fixture
def request_for(folder: Path) -> Callable[..., ConversionRequest]:
    """``request_for(factory="model.py:tiny", ...)``: a request with these fields of [source]."""

    def make(**options: Any) -> ConversionRequest:
        return _request(folder, **options)

    return make


@pytest.fixture
def keras() -> Iterator[Any]:
    """On torch and seeded; without its warnings that HDF5 is the older format, and NumPy's about Keras."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = import_module("coreml_updatable.converters.keras.reading").import_keras()
        keras.utils.set_random_seed(0)
        yield keras
