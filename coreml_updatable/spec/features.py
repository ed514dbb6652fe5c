"""The features of a model: what it is given and what it answers, and the color spaces of pictures."""

from collections.abc import Iterable

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2, Model

GRAYSCALE, RGB, BGR, GRAYSCALE_FLOAT16 = (
    FeatureTypes_pb2.ImageFeatureType.ColorSpace.Value(name)
    for name in ("GRAYSCALE", "RGB", "BGR", "GRAYSCALE_FLOAT16")
)
# Of the model's own metadata: what Xcode's preview shows answers by.
TYPE_KEY, PARAMETERS_KEY = "com.apple.coreml.model.preview.type", "com.apple.coreml.model.preview.params"

COLOR_SPACES: dict[int, tuple[str, int]] = {  # ImageFeatureType.ColorSpace -> (name, channels)
    FeatureTypes_pb2.ImageFeatureType.GRAYSCALE: ("grayscale", 1),
    FeatureTypes_pb2.ImageFeatureType.RGB: ("RGB", 3),
    FeatureTypes_pb2.ImageFeatureType.BGR: ("BGR", 3),
    FeatureTypes_pb2.ImageFeatureType.GRAYSCALE_FLOAT16: ("16-bit grayscale", 1),
}
ARRAY_TYPES: dict[int, str] = {  # ArrayFeatureType.ArrayDataType -> name, as Xcode writes it
    FeatureTypes_pb2.ArrayFeatureType.FLOAT32: "Float32",
    FeatureTypes_pb2.ArrayFeatureType.DOUBLE: "Double",
    FeatureTypes_pb2.ArrayFeatureType.INT32: "Int32",
    FeatureTypes_pb2.ArrayFeatureType.FLOAT16: "Float16",
    FeatureTypes_pb2.ArrayFeatureType.INT8: "Int8",
}


CROP_KEY = "coreml_updatable.crop"  # in a model's metadata: centerCrop, scaleFill or scaleFit, as training used it


def feature_named(features: Iterable[FeatureDescription], name: str) -> FeatureDescription | None:
    return next((feature for feature in features if feature.name == name), None)


def describe_floats(feature: FeatureDescription, *shape: int, description: str = "") -> None:
    """Describe ``feature``, which has no type yet, as an array of 32-bit floats."""
    feature.type.multiArrayType.shape.extend(shape)
    feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    if description:
        feature.shortDescription = description


def add_label_outputs(description: Model, label: str, probabilities: str, *, whole: bool) -> None:
    """Add the outputs of a classifier to a ``ModelDescription``: a label, 64-bit integers if ``whole`` or else strings,
    and a dictionary of probabilities."""
    answer, shares = description.output.add(name=label).type, description.output.add(name=probabilities).type
    (answer.int64Type if whole else answer.stringType).SetInParent()
    (shares.dictionaryType.int64KeyType if whole else shares.dictionaryType.stringKeyType).SetInParent()
    description.predictedFeatureName, description.predictedProbabilitiesName = label, probabilities


def the_input(model: Model) -> FeatureDescription:
    """The one input of ``model``; a ModelError when there are none or several."""
    inputs = model.description.input
    if len(inputs) != 1:
        names = ", ".join(repr(str(feature.name)) for feature in inputs) or "none"
        raise ModelError(f"model: has {len(inputs)} inputs ({names}), expected 1; use a model with a single input")
    return inputs[0]


def equal_types(description: FeatureDescription, other: FeatureDescription) -> bool:
    """Same type, whatever the short descriptions and the optional flags say (array default values aside)."""
    left, right = description.type, other.type
    kind = left.WhichOneof("Type")
    if kind != right.WhichOneof("Type"):
        return False
    if kind == "imageType":
        a, b = left.imageType, right.imageType
        return bool(a.width == b.width and a.height == b.height and a.colorSpace == b.colorSpace)
    if kind == "multiArrayType":
        return _equal_arrays(left.multiArrayType, right.multiArrayType)
    if kind == "dictionaryType":
        return bool(left.dictionaryType.WhichOneof("KeyType") == right.dictionaryType.WhichOneof("KeyType"))
    return True


def _equal_arrays(description: FeatureDescription, other: FeatureDescription) -> bool:
    if description.dataType != other.dataType or _rank(description) != _rank(other):
        return False
    flexible = description.WhichOneof("ShapeFlexibility") or other.WhichOneof("ShapeFlexibility")
    return bool(flexible) or list(description.shape) == list(other.shape)


def _rank(array: FeatureDescription) -> int:
    match array.WhichOneof("ShapeFlexibility"):
        case "shapeRange":
            return len(array.shapeRange.sizeRanges)
        case "enumeratedShapes" if array.enumeratedShapes.shapes:
            return len(array.enumeratedShapes.shapes[0].shape)
    return len(array.shape)


def describe_type(feature: FeatureDescription) -> str:
    """The type in words, as Xcode puts it: ``Image (RGB 128 × 128)``, ``MultiArray (Float32 1 × 64)``."""
    kind = feature.type.WhichOneof("Type")
    words = _describe(feature, kind)
    return f"{words}, optional" if feature.type.isOptional else words


def _describe(feature: FeatureDescription, kind: str | None) -> str:
    match kind:
        case "imageType":
            image = feature.type.imageType
            color = COLOR_SPACES.get(image.colorSpace, ("no color space", 0))[0]
            flexible = ", other sizes too" if image.WhichOneof("SizeFlexibility") else ""
            return f"Image ({color} {image.width} × {image.height}{flexible})"
        case "multiArrayType":
            array = feature.type.multiArrayType
            shape = " × ".join(str(length) for length in array.shape)
            flexible = ", other shapes too" if array.WhichOneof("ShapeFlexibility") else ""
            return f"MultiArray ({ARRAY_TYPES.get(array.dataType, 'no data type')} {shape}".rstrip() + f"{flexible})"
        case "dictionaryType":
            whole = feature.type.dictionaryType.WhichOneof("KeyType") == "int64KeyType"
            return f"Dictionary ({'Int64' if whole else 'String'} → Double)"
        case "stringType" | "int64Type" | "doubleType":
            return {"stringType": "String", "int64Type": "Int64", "doubleType": "Double"}[kind]
    return kind or "no type"
