"""Rows on which a model and Turi Create are compared, and how they are told to Turi Create."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable.conversion import Row
from coreml_updatable.spec.features import COLOR_SPACES
from coreml_updatable.spec.messages import FeatureDescription, Model
from coreml_updatable.spec.network import is_pipeline, pipeline_of

ROWS = 16


def rows_by_chance(model: Model, seed: int) -> tuple[Row, ...]:
    """Rows that fit the inputs of an exported ``model``; text and keys are those that it knows.

    Single numbers are whole, which Turi Create takes for both kinds of numbers.
    """
    chance = np.random.default_rng(seed)
    inputs = model.description.input
    return tuple({str(one.name): _value(one, model, chance) for one in inputs} for _ in range(ROWS))


def _value(feature: FeatureDescription, model: Model, chance: np.random.Generator) -> Any:
    match feature.type.WhichOneof("Type"):
        case "imageType":
            image = feature.type.imageType
            channels = COLOR_SPACES[image.colorSpace][1]
            return chance.integers(0, 256, (int(image.height), int(image.width), channels), np.uint8)
        case "multiArrayType":
            return chance.standard_normal(tuple(feature.type.multiArrayType.shape), np.float32)
        case "stringType":
            return str(chance.choice(_known(model, str(feature.name))))
        case "dictionaryType":
            return {key: float(chance.integers(-5, 6)) for key in _known(model, str(feature.name))}
    return float(chance.integers(-5, 6))


def _known(model: Model, feature: str) -> list[str]:
    """The words of the encoder or vectorizer that reads ``feature``."""
    for member in pipeline_of(model).models if is_pipeline(model) else ():
        if feature in [str(one.name) for one in member.description.input]:
            for found in (member.oneHotEncoder.stringCategories, member.dictVectorizer.stringToIndex):
                if found.vector:
                    return [str(word) for word in found.vector]
    return [""]


def columns_of(rows: Sequence[Row], folder: Path) -> dict[str, Any]:
    """For ``turi_python38/frames.py``: pictures go into files in ``folder``, the rest is plain."""
    columns: dict[str, Any] = {}
    for number, name in enumerate(rows[0]):
        values = [row[name] for row in rows]
        first = np.asarray(values[0])
        if first.dtype == np.uint8 and first.ndim >= 2:
            pixels = np.stack([np.asarray(value).reshape(*first.shape[:2], -1) for value in values])
            path = folder / f"pictures{number}.npy"
            np.save(path, pixels, allow_pickle=False)
            columns[name] = {"pictures": str(path)}
        else:
            columns[name] = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    return columns
