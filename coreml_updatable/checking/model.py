"""Rules of every model: version, kind, and the descriptions of its features (``Model``, ``ModelDescription``)."""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.features import ARRAY_TYPES, COLOR_SPACES
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2, Model
from coreml_updatable.spec.network import NETWORK_KINDS, PIPELINE_KINDS, is_network, is_pipeline

NEWEST_VERSION = 10
UPDATABLE_KINDS = (*NETWORK_KINDS, "kNearestNeighborsClassifier", *PIPELINE_KINDS)
_ARRAY = FeatureTypes_pb2.ArrayFeatureType
_ARRAY_SINCE = {_ARRAY.DOUBLE: 1, _ARRAY.FLOAT32: 1, _ARRAY.INT32: 1, _ARRAY.FLOAT16: 7, _ARRAY.INT8: 10}
_GREY_16 = FeatureTypes_pb2.ImageFeatureType.GRAYSCALE_FLOAT16


def known_version(model: Model) -> Iterator[Finding]:
    """The specification version is 1 to 10."""
    if not 1 <= model.specificationVersion <= NEWEST_VERSION:
        yield Finding(
            "specificationVersion",
            f"is {model.specificationVersion}",
            f"1 to {NEWEST_VERSION}",
        )


def updatable_version(model: Model) -> Iterator[Finding]:
    """An updatable model has specification version 4 or higher."""
    if model.isUpdatable and 1 <= model.specificationVersion < 4:
        yield Finding("specificationVersion", f"is {model.specificationVersion}", "4 or higher for isUpdatable")


def updatable_kind(model: Model) -> Iterator[Finding]:
    """Only networks, k-nearest-neighbours classifiers and pipelines can be updatable; an ML program never."""
    kind = model.WhichOneof("Type")
    if model.isUpdatable and kind not in UPDATABLE_KINDS:
        yield Finding(
            "isUpdatable",
            f"is set on a {kind or 'model of no kind'}",
            "a neural network, k-NN or pipeline",
        )


def features_described(model: Model) -> Iterator[Finding]:
    """Inputs and outputs have names and types, array inputs a shape and data type, images a size and colour space."""
    for place, features in (("input", model.description.input), ("output", model.description.output)):
        for number, feature in enumerate(features):
            where = f"{place}[{number}] {str(feature.name)!r}"
            if not feature.name:
                yield Finding(where, "has no name", "one", "name it")
            match feature.type.WhichOneof("Type"):
                case None:
                    yield Finding(where, "has no type", "one", "describe it")
                case "multiArrayType" if place == "input":
                    yield from _array(where, feature, model.specificationVersion)
                case "imageType":
                    yield from _image(where, feature, model.specificationVersion)


def _array(where: str, feature: FeatureDescription, version: int) -> Iterator[Finding]:
    array = feature.type.multiArrayType
    if not array.shape and array.WhichOneof("ShapeFlexibility") is None:
        yield Finding(where, "is an array without a shape", "one", "export with a fixed input shape")
    since = _ARRAY_SINCE.get(array.dataType)
    if since is None:
        yield Finding(where, "is an array without a data type", "Double, Float32 or Int32", "set its data type")
    elif version < since:
        name = ARRAY_TYPES[array.dataType]
        yield Finding(where, f"is a {name} array at version {version}", f"version {since}", "use Float32")


def _image(where: str, feature: FeatureDescription, version: int) -> Iterator[Finding]:
    image = feature.type.imageType
    if (image.width < 1 or image.height < 1) and image.WhichOneof("SizeFlexibility") is None:
        yield Finding(where, f"is {image.width} × {image.height} pixels", "a positive size", "set width and height")
    if image.colorSpace not in COLOR_SPACES:
        yield Finding(where, "has no colour space", "RGB, BGR or grayscale", "set its colour space")
    elif image.colorSpace == _GREY_16 and version < 7:
        yield Finding(where, f"is 16-bit grayscale at version {version}", "version 7", "use 8-bit grayscale")


def inputs_and_outputs(model: Model) -> Iterator[Finding]:
    """A model has at least one output and one input."""
    description = model.description
    if description.functions:
        return
    if not description.output:
        yield Finding("description", "has no output", "at least one", "describe what the model answers")
    free = model.specificationVersion >= 9 and (is_network(model) or is_pipeline(model))
    if not description.input and not free:
        yield Finding("description", "has no input", "at least one", "describe what the model is given")


def optional_inputs(model: Model) -> Iterator[Finding]:
    """A network has an input that is not optional; a k-nearest-neighbours classifier has no optional one."""
    inputs = model.description.input
    optional = [str(feature.name) for feature in inputs if feature.type.isOptional]
    if is_network(model) and inputs and len(optional) == len(inputs):
        yield Finding("description", "has only optional inputs", "one that is not", "clear isOptional of an input")
    if model.WhichOneof("Type") == "kNearestNeighborsClassifier" and optional:
        yield Finding(f"input {optional[0]!r}", "is optional", "no optional input of a k-NN", "clear isOptional")
