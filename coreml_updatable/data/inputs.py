"""The input of a network, a picture or an array, and labeled rows for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from coreml_updatable.errors import DataError
from coreml_updatable.typed import typed_class

MOST_VALUES = 2**26  # of one row: a picture of 4,700 by 4,700 pixels

UInt8Array = npt.NDArray[np.uint8]

Float32Array = npt.NDArray[np.float32]

Int64Array = npt.NDArray[np.int64]

Float64Array = npt.NDArray[np.float64]

# Called with the stage's name ("train"), the fraction done in 0..1, and a short detail ("epoch 3, loss 0.21").
Progress = Callable[[str, float, str], None]


def silent(stage: str, fraction: float, detail: str) -> None:
    """Progress that nobody watches."""


Fit = Literal["centerCrop", "scaleFill", "scaleFit"]  # VNImageCropAndScaleOption


@typed_class
@dataclass(frozen=True)
class ImageInput:
    """A picture input: its feature name, its size in pixels and its color layout."""

    name: str
    width: int
    height: int
    color: Literal["rgb", "bgr", "grayscale"]  # the order in which the source has the colors
    description: str = ""
    fit: Fit = "centerCrop"  # how a photo of another size is made to fit, as Vision calls it

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1 or self.width * self.height > MOST_VALUES:
            raise DataError(
                f"input '{self.name}': is {self.width}x{self.height} pixels, expected at least 1x1 and at most "
                f"{MOST_VALUES} in all; give the size that the source takes"
            )

    @property
    def channels(self) -> int:
        return 1 if self.color == "grayscale" else 3

    @property
    def row(self) -> tuple[tuple[int, ...], type[np.uint8]]:
        """Shape and type of one row."""
        return (self.height, self.width, self.channels), np.uint8


@typed_class
@dataclass(frozen=True)
class ArrayInput:
    """A multi-array input: its feature name and the shape of one row, without a batch; float32, or int32 (tokens)."""

    name: str
    shape: tuple[int, ...]
    whole: bool = False
    description: str = ""
    sample_rate: int = 0  # of a sound, in Hz; 0: it is none

    @property
    def row(self) -> tuple[tuple[int, ...], type[np.float32]]:
        """Shape and type of one row."""
        return self.shape, np.float32


Input = ImageInput | ArrayInput


@dataclass(frozen=True)
class Examples:
    """Labelled rows.

    ``values`` uint8 [n, height, width, channels] of pictures, float32 [n, *shape] of multi-arrays; ``labels`` int64
    [n], indices into the class labels; ``names`` where each came from (file name or number of the drawing); ``kinds``
    what it shows (e.g. "burger").
    """

    values: UInt8Array | Float32Array
    labels: Int64Array
    names: tuple[str, ...]
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def pixels(self) -> UInt8Array:
        """The values of pictures: uint8 [n, height, width, channels]; a TypeError for multi-arrays."""
        if self.values.dtype != np.uint8:
            raise TypeError(f"values of type {self.values.dtype}, expected pictures of type uint8")
        return cast(UInt8Array, self.values)

    def take(self, rows: Sequence[int] | Int64Array) -> "Examples":
        """The rows with these numbers, in their order."""
        places = np.asarray(rows, np.intp)
        names, kinds = (tuple(texts[row] for row in places.tolist()) for texts in (self.names, self.kinds))
        return Examples(self.values[places], self.labels[places], names, kinds)


def joined(examples: Examples, other: Examples, values: UInt8Array | Float32Array | None = None) -> Examples:
    """Concatenate both; ``values`` replaces their values."""
    if values is None:
        values = np.concatenate([examples.values, other.values]) if len(other) else examples.values
    labels = np.concatenate([examples.labels, other.labels])
    return Examples(values, labels, (*examples.names, *other.names), (*examples.kinds, *other.kinds))
