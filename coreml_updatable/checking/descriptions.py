"""Rules for the description of a single feature (``FeatureType``)."""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.features import ARRAY_TYPES, COLOR_SPACES
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2, Model

_ARRAY = FeatureTypes_pb2.ArrayFeatureType
_ARRAY_SINCE = {_ARRAY.DOUBLE: 1, _ARRAY.FLOAT32: 1, _ARRAY.INT32: 1, _ARRAY.FLOAT16: 7, _ARRAY.INT8: 10}
_DEFAULTS = {  # the optional value of an array -> the data types it may have
    "doubleDefaultValue": (_ARRAY.DOUBLE,),
    "floatDefaultValue": (_ARRAY.FLOAT32, _ARRAY.FLOAT16),
    "intDefaultValue": (_ARRAY.INT32, _ARRAY.INT8),
}
_GRAY_16 = FeatureTypes_pb2.ImageFeatureType.GRAYSCALE_FLOAT16
_FLEXIBLE = 3  # the version since which shapes may vary, and sequences exist
_STATES = 9


def features_described(model: Model) -> Iterator[Finding]:
    """Every feature has a name and a type; arrays have a shape and a data type, images a size and colors that fit."""
    version = int(model.specificationVersion)
    described = model.description
    for side, features in (("input", described.input), ("output", described.output), ("state", described.state)):
        for index, feature in enumerate(features):
            where = f"{side}[{index}] '{feature.name}'"
            if not feature.name:
                yield Finding(where, "has no name", "one", "name it")
            match feature.type.WhichOneof("Type"):
                case None:
                    yield Finding(where, "has no type", "one")
                case "stateType":
                    yield from _state(where, feature, version, side)
                case _ if side == "state":
                    yield Finding(where, "is not a state", "states only")
                case "multiArrayType":
                    yield from _array(where, feature.type.multiArrayType, version, given=side == "input")
                case "imageType":
                    yield from _image(where, feature, version)
                case "dictionaryType" if feature.type.dictionaryType.WhichOneof("KeyType") is None:
                    yield Finding(where, "is a dictionary without a key type", "strings or integers")
                case "sequenceType":
                    yield from _sequence(where, feature.type.sequenceType, version)


def _state(where: str, feature: FeatureDescription, version: int, side: str) -> Iterator[Finding]:
    array = feature.type.stateType.arrayType
    if version < _STATES or side == "output":
        yield Finding(where, "is a state", f"states among the inputs only from version {_STATES} on")
    if feature.type.isOptional or array.WhichOneof("defaultOptionalValue") is not None:
        yield Finding(where, "is an optional state", "a required state", "clear isOptional")
    if not array.shape or any(length < 0 for length in array.shape) or array.WhichOneof("ShapeFlexibility"):
        yield Finding(where, f"is a state of shape {list(array.shape)[:9]}", "a fixed shape")
    if array.dataType not in (_ARRAY.FLOAT16, _ARRAY.INT8):
        yield Finding(where, "is a state of another data type", "Float16 or Int8", "set its data type")


def _array(where: str, array: FeatureDescription, version: int, *, given: bool) -> Iterator[Finding]:
    flexibility = array.WhichOneof("ShapeFlexibility")
    if given and not array.shape and (flexibility is None or version < _FLEXIBLE):
        yield Finding(where, "is an array without a shape", "one", "export with a fixed input shape")
    if any(length < 0 for length in array.shape):
        yield Finding(where, f"is an array of shape {list(array.shape)}", "no negative lengths")
    if version >= _FLEXIBLE and flexibility == "enumeratedShapes":
        yield from _enumerated(where, array)
    elif version >= _FLEXIBLE and flexibility == "shapeRange":
        yield from _ranges(where, array)
    since = _ARRAY_SINCE.get(array.dataType)
    if since is None:
        yield Finding(where, "is an array without a data type", "Double, Float32 or Int32", "set its data type")
    elif version < since:
        name = ARRAY_TYPES[array.dataType]
        yield Finding(where, f"is a {name} array at version {version}", f"version {since}", "use Float32")
    value = array.WhichOneof("defaultOptionalValue")
    if value is not None and array.dataType not in _DEFAULTS[value]:
        yield Finding(where, f"has a {value}", "one of its data type", "clear it")
    elif value == "intDefaultValue" and array.dataType == _ARRAY.INT8 and not -128 <= array.intDefaultValue <= 127:
        yield Finding(where, f"has the default {array.intDefaultValue}", "-128 to 127 for Int8", "clear it")


def _enumerated(where: str, array: FeatureDescription) -> Iterator[Finding]:
    shapes = [list(each.shape) for each in array.enumeratedShapes.shapes]
    if not shapes or [] in shapes:
        yield Finding(where, f"allows the shapes {shapes[:9]}", "at least one, none empty", "list the shapes")
    elif array.shape and list(array.shape) not in shapes:
        yield Finding(
            where, f"has the default shape {list(array.shape)}, which is not in its list", "a shape in the list"
        )


def _ranges(where: str, array: FeatureDescription) -> Iterator[Finding]:
    ranges = [(int(each.lowerBound), int(each.upperBound)) for each in array.shapeRange.sizeRanges]
    for low, high in ranges:
        if 0 < high < low:
            yield Finding(where, f"allows lengths from {low} to {high}", "a range that is not empty")
    if array.shape and len(array.shape) != len(ranges):
        yield Finding(where, f"has {len(ranges)} ranges for the shape {list(array.shape)}", "one range per length")
    elif any(length < low or 0 <= high < length for length, (low, high) in zip(array.shape, ranges, strict=False)):
        yield Finding(where, f"has the default shape {list(array.shape)} outside its ranges", "a shape within them")


def _image(where: str, feature: FeatureDescription, version: int) -> Iterator[Finding]:
    image = feature.type.imageType
    width, height = int(image.width), int(image.height)
    stated = width > 0 and height > 0
    flexibility = image.WhichOneof("SizeFlexibility") if version >= _FLEXIBLE else None
    if flexibility == "enumeratedSizes":
        sizes = [(int(each.width), int(each.height)) for each in image.enumeratedSizes.sizes]
        if not sizes or (stated and (width, height) not in sizes):
            yield Finding(where, f"is {width} × {height} pixels, but allows {sizes[:9]}", "its size to be allowed")
        width, height = (width, height) if stated or not sizes else sizes[0]
    elif flexibility == "imageSizeRange":
        limits = (image.imageSizeRange.widthRange, image.imageSizeRange.heightRange)
        for size, limit in zip((width, height), limits, strict=True):
            low, high = int(limit.lowerBound), int(limit.upperBound)
            if 0 < high < low or (stated and (size < low or 0 <= high < size)):
                yield Finding(
                    where, f"is {size} pixels wide or high, but allows {low} to {high}", "a size in that range"
                )
        if not stated:
            width, height = (int(limit.lowerBound) for limit in limits)
    if width < 1 or height < 1:
        yield Finding(where, f"is {width} × {height} pixels", "a positive size", "set width and height")
    if image.colorSpace not in COLOR_SPACES:
        yield Finding(where, "has no color space", "RGB, BGR or grayscale", "set its color space")
    elif image.colorSpace == _GRAY_16 and version < 7:
        yield Finding(where, f"is 16-bit grayscale at version {version}", "version 7", "use 8-bit grayscale")


def _sequence(where: str, sequence: FeatureDescription, version: int) -> Iterator[Finding]:
    limit = sequence.sizeRange
    if version < _FLEXIBLE:
        yield Finding(where, f"is a sequence at version {version}", f"version {_FLEXIBLE}")
    if 0 < limit.upperBound < limit.lowerBound:
        yield Finding(where, f"allows {limit.lowerBound} to {limit.upperBound} entries", "a range that is not empty")
    if sequence.WhichOneof("Type") is None:
        yield Finding(where, "is a sequence without a type", "strings or integers")
