"""What a converter is given and what it gives back.

A converter is registered under the entry-point group ``coreml_updatable.converters`` and is one function::

    def convert(request: ConversionRequest) -> Converted

It imports its framework inside the function. It knows nothing of update parameters: marking comes after it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from coreml_updatable.spec.messages import Model

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


# Called with the stage's name ("train"), the fraction done in 0..1, and a short detail ("epoch 3, loss 0.21").
Progress = Callable[[str, float, str], None]


def silent(stage: str, fraction: float, detail: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class ImageInput:
    """A picture input: its feature name, its size in pixels and its colour layout."""

    name: str
    width: int
    height: int
    color: Literal["rgb", "grayscale"]
    description: str = ""

    @property
    def channels(self) -> int:
        return 3 if self.color == "rgb" else 1


@dataclass(frozen=True)
class Examples:
    """Labelled pictures.

    ``pixels`` uint8 [n, height, width, channels]; ``labels`` int64 [n], indices into the class labels; ``names`` where
    each came from (file name or number of the drawing); ``kinds`` what it shows (e.g. "burger").
    """

    pixels: UInt8Array
    labels: Int64Array
    names: tuple[str, ...]
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class ConversionRequest:
    """Everything a converter may look at."""

    source: Mapping[str, Any]  # the recipe's [source] table; each converter validates its own fields
    folder: Path  # the recipe's folder: relative paths start here and may not leave it
    input: ImageInput
    labels: tuple[str, ...]  # class labels, in the order of the network's outputs
    train: Examples
    validation: Examples  # for early stopping; never trained on
    test: Examples  # never seen in training
    seed: int
    on_progress: Progress = silent


@dataclass(frozen=True)
class Converted:
    """A converted classifier, not yet marked."""

    model: Model  # a neuralNetworkClassifier or neuralNetwork message as the framework's converter wrote it
    test_probabilities: Float64Array  # [len(test), len(labels)]: what the source itself answers on the test pictures
    history: tuple[
        Mapping[str, float], ...
    ]  # one entry an epoch: epoch, train_loss, validation_accuracy, ...; empty if not trained
    facts: Mapping[str, Any]  # for the report: architecture, parameters, how it was trained, versions
