"""The proof that marking a model has not changed what it answers: both are run on the same inputs made by chance."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from coreml_updatable.conversion import Float64Array
from coreml_updatable.errors import BuildError
from coreml_updatable.marking.tail import answer_blob
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2, Model

ALLOWED_DIFFERENCE = 1e-5  # in probability: 32-bit sums in another order differ by less
ROWS = 8
MOST_VALUES = 2**26  # of one input in one row: a picture of 4,700 by 4,700 pixels
_GRAYSCALE = FeatureTypes_pb2.ImageFeatureType.GRAYSCALE
_WHOLE = FeatureTypes_pb2.ArrayFeatureType.INT32


def unchanged(before: Model, after: Model) -> float:
    """The largest difference in probability between the two over eight rows; a BuildError above 1e-5.

    Answers that are no distribution (logits, logarithms of probabilities) are compared behind a softmax.
    """
    difference = float(np.abs(_distributions(before) - _distributions(after)).max())
    if not difference <= ALLOWED_DIFFERENCE:  # NaN too
        raise BuildError(
            f"marked model: answers otherwise than before by {difference:.2g} in probability, expected at most "
            f"{ALLOWED_DIFFERENCE}; nothing was written, this is a fault of coreml_updatable, please report it"
        )
    return difference


def chance_rows(model: Model, count: int) -> list[Mapping[str, Any]]:
    """``count`` rows that fit the inputs: pictures of uniform noise, arrays from a standard normal, integers 0 or 1."""
    chance = np.random.default_rng(0)
    return [{str(feature.name): _value(feature, chance) for feature in model.description.input} for _ in range(count)]


def _value(feature: FeatureDescription, chance: np.random.Generator) -> Any:
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        image = feature.type.imageType
        colors = () if image.colorSpace == _GRAYSCALE else (3,)
        shape = _sensible(feature, (int(image.height), int(image.width), *colors))
        return chance.integers(0, 256, shape, np.uint8)
    if kind == "multiArrayType" and feature.type.multiArrayType.shape:
        array = feature.type.multiArrayType
        shape = _sensible(feature, tuple(int(length) for length in array.shape))
        whole = array.dataType == _WHOLE
        return chance.integers(0, 2, shape, np.int32) if whole else chance.standard_normal(shape, np.float32)
    raise BuildError(
        f"input '{feature.name}': is a {kind}, expected an image or an array of known shape; its answers can not be "
        "compared before and after marking"
    )


def _sensible(feature: FeatureDescription, shape: tuple[int, ...]) -> tuple[int, ...]:
    """``shape``, before anything of that size is made; a BuildError for a declared size that can not be meant."""
    if min(shape) < 1 or prod(shape) > MOST_VALUES:
        raise BuildError(
            f"input '{feature.name}': declares the size {list(shape)}, expected lengths from 1 up and at most "
            f"{MOST_VALUES} values; export the model with its real input size"
        )
    return shape


def _distributions(model: Model) -> Float64Array:
    """float64 [rows, classes], over rows that are the same for models whose inputs differ in name only."""
    blob, rows = answer_blob(model), chance_rows(model, ROWS)
    said = [answer[blob] for answer in load(model).predict(rows, intermediate=True)]
    if all(isinstance(answer, Mapping) for answer in said):  # a feature called like the blob: label -> probability
        said = [list(answer.values()) for answer in said]
    answers = np.array([np.ravel(answer) for answer in said], np.float64)
    if (answers >= 0).all() and np.allclose(answers.sum(axis=1), 1, atol=1e-3):
        return answers
    powers = np.exp(answers - answers.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
