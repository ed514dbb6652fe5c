"""Which systems read a model: by its specification version, and by what in it is newer than that.

Sources: the list of versions at the head of ``Model`` and the comments on ``NeuralNetworkLayer`` in the format.
"""

from collections.abc import Iterator

from coreml_updatable.spec.graph import all_layers, layer_kind
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, NeuralNetwork_pb2, NeuralNetworkLayer
from coreml_updatable.spec.network import is_network, network_of
from coreml_updatable.spec.storage import storage, weight_fields

# The first systems that read each specification version.
AVAILABILITY = {
    1: "iOS 11",
    2: "iOS 11.2",
    3: "iOS 12",
    4: "iOS 13",
    5: "iOS 14",
    6: "iOS 15",
    7: "iOS 16",
    8: "iOS 17",
    9: "iOS 18",
    10: "iOS 26",
}
MACOS = {
    1: "macOS 10.13",
    2: "macOS 10.13.2",
    3: "macOS 10.14",
    4: "macOS 10.15",
    5: "macOS 11",
    6: "macOS 12",
    7: "macOS 13",
    8: "macOS 14",
    9: "macOS 15",
    10: "macOS 26",
}
_LAST_OF_3 = 500  # the field numbers of NeuralNetworkLayer rise with the versions that brought the kinds
_FIRST_OF_5 = 1450
_KINDS = NeuralNetwork_pb2.NeuralNetworkLayer.DESCRIPTOR.fields_by_name
_ARRAY, _IMAGE = FeatureTypes_pb2.ArrayFeatureType, FeatureTypes_pb2.ImageFeatureType
_ARRAYS = {_ARRAY.FLOAT16: 7, _ARRAY.INT8: 10}


def availability(model: Model) -> str:
    """``iOS 13, macOS 10.15 or later``: by the version that the model states, or by what in it came later."""
    version = max([int(model.specificationVersion), *(version for _, version in newer_contents(model))])
    return f"{systems(version)} or later" if version in AVAILABILITY else "not known"


def systems(version: int) -> str:
    return f"{AVAILABILITY[version]}, {MACOS[version]}"


def newer_contents(model: Model) -> Iterator[tuple[str, int]]:
    """Yield what in the model needs a newer version than it states, in words, and that version."""
    for what, version in _needs(model):
        if version > model.specificationVersion:
            yield what, version


def layer_version(layer: NeuralNetworkLayer) -> int:
    """The specification version that brought this kind of layer, or the 16-bit weights in it."""
    kind = layer_kind(layer)
    number = _KINDS[kind].number if kind else 0
    if number >= _FIRST_OF_5:
        return 5
    if number > _LAST_OF_3:
        return 4
    halves = any(storage(weights) == "float16" for _, weights in weight_fields(layer))
    return 2 if kind == "custom" or halves else 1


def _needs(model: Model) -> Iterator[tuple[str, int]]:
    if model.WhichOneof("Type") == "mlProgram":
        yield "an ML program", 6
    for feature in (*model.description.input, *model.description.output):
        kind = feature.type.WhichOneof("Type")
        if kind == "multiArrayType" and feature.type.multiArrayType.dataType in _ARRAYS:
            yield f"the element type of '{feature.name}'", _ARRAYS[feature.type.multiArrayType.dataType]
        if kind == "imageType" and feature.type.imageType.colorSpace == _IMAGE.GRAYSCALE_FLOAT16:
            yield f"the 16-bit grayscale of '{feature.name}'", 7
    if is_network(model):
        for name, layer in all_layers(network_of(model)):
            yield f"layer '{name}' ({layer_kind(layer)})", layer_version(layer)
