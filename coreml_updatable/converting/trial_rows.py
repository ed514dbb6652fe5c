"""Rows on which a model is tried: random ones, each number from the domain of its input (see ``spec/domains``)."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from coreml_updatable.errors import BuildError
from coreml_updatable.spec.domains import Domain, input_domains
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2, Model
from coreml_updatable.spec.network import is_pipeline, pipeline_of
from coreml_updatable.spec.shapes import MAX_AXES

MOST_VALUES = 2**25  # of one input in one row: a picture of 3,300 by 3,300 pixels
TOGETHER = 2**25  # values of all rows
LONGEST = 2**24  # of an integer that a float32 holds exactly
_GRAYSCALE = FeatureTypes_pb2.ImageFeatureType.GRAYSCALE
_WHOLE = FeatureTypes_pb2.ArrayFeatureType.INT32


def trial_rows(model: Model, count: int) -> list[Mapping[str, Any]]:
    """``count`` rows, fewer of very long ones, that fit the inputs: pictures of uniform noise; arrays and numbers
    uniform in the domain of their input, else from a standard normal, integers 0 or 1; text that the model knows."""
    random, domains = np.random.default_rng(0), _domains(model)
    rows: list[Mapping[str, Any]] = []
    while len(rows) < count:
        row = {
            str(feature.name): _value(feature, model, domains.get(str(feature.name)), random)
            for feature in model.description.input
        }
        rows.append(row)
        count = min(count, max(1, TOGETHER // max(1, sum(np.size(value) for value in row.values()))))
    return rows


def _domains(model: Model) -> dict[str, Domain]:
    """Of a pipeline, those of the first member that reads the feature."""
    if not is_pipeline(model):
        return input_domains(model)
    output: dict[str, Domain] = {}
    result: set[str] = set()
    for member in pipeline_of(model).models:
        for name, domain in _domains(member).items():
            if name not in result:
                output.setdefault(name, domain)
        result |= {str(feature.name) for feature in member.description.output}
    return output


def _value(feature: FeatureDescription, model: Model, domain: Domain | None, random: np.random.Generator) -> Any:
    match feature.type.WhichOneof("Type"):
        case "imageType":
            image = feature.type.imageType
            colors = () if image.colorSpace == _GRAYSCALE else (3,)
            shape = _sensible(feature, (int(image.height), int(image.width), *colors))
            return random.integers(0, 256, shape, np.uint8)
        case "multiArrayType" if _shape(feature):
            array = feature.type.multiArrayType
            return _numbers(_sensible(feature, _shape(feature)), array.dataType == _WHOLE, domain, random)
        case "doubleType":
            return float(_numbers((1,), False, domain, random)[0])
        case "int64Type":
            return int(_numbers((1,), True, domain, random)[0])
        case "stringType":
            return str(random.choice(_known(model, str(feature.name))))
        case "dictionaryType":
            return {key: float(random.integers(-5, 6)) for key in _known(model, str(feature.name))}
    raise BuildError(
        f"input '{feature.name}': is a {feature.type.WhichOneof('Type')}, expected a picture, numbers, text, or an "
        "array of known shape; predictions before and after marking cannot be compared"
    )


def _numbers(shape: tuple[int, ...], whole: bool, domain: Domain | None, random: np.random.Generator) -> Any:
    if domain is None:
        return random.integers(0, 2, shape, np.int32) if whole else random.standard_normal(shape, np.float32)
    if whole or domain.whole:
        low, high = (int(min(max(end, -LONGEST), LONGEST)) for end in (np.ceil(domain.low), np.floor(domain.high)))
        return random.integers(low, max(low, high) + 1, shape).astype(np.int32 if whole else np.float32)
    return random.uniform(domain.low, domain.high, shape).astype(np.float32)


def _shape(feature: FeatureDescription) -> tuple[int, ...]:
    """The declared one; else the first of the enumerated ones, or the lower bounds."""
    array = feature.type.multiArrayType
    if array.shape:
        return tuple(int(length) for length in array.shape)
    if array.enumeratedShapes.shapes:
        return tuple(int(length) for length in array.enumeratedShapes.shapes[0].shape)
    return tuple(max(1, int(ends.lowerBound)) for ends in array.shapeRange.sizeRanges)


def _known(model: Model, feature: str) -> list[str]:
    """The words of the encoder or vectorizer that reads ``feature``."""
    for member in pipeline_of(model).models if is_pipeline(model) else (model,):
        if feature in [str(item.name) for item in member.description.input]:
            for found in (member.oneHotEncoder.stringCategories, member.dictVectorizer.stringToIndex):
                if found.vector:
                    return [str(word) for word in found.vector]
    return [""]


def _sensible(feature: FeatureDescription, shape: tuple[int, ...]) -> tuple[int, ...]:
    """``shape``, before anything of that size is made; a BuildError for a declared size that cannot be meant."""
    if min(shape) < 1 or len(shape) > MAX_AXES or prod(shape) > MOST_VALUES:
        raise BuildError(
            f"input '{feature.name}': declares the size {list(shape)}, expected lengths of 1 or more, at most "
            f"{MOST_VALUES} values and {MAX_AXES} axes; export the model with its real input size"
        )
    return shape
