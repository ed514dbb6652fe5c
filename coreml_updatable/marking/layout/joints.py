"""The layers by which the two parts of a cut network meet: a vector out of the one, its old shape in the other.

    extractor: ... -> blob -> [joint] -> features [D]          head: features [D] -> [joint] -> blob -> ...

Networks in the old mapping know no reshapeStatic; there, flatten and reshape do the same.
"""

from collections.abc import Sequence

from coreml_updatable.marking.building_blocks import flatten, new_layer, reshape_static
from coreml_updatable.spec.graph import consumers, layer_kind
from coreml_updatable.spec.messages import Model, NeuralNetwork, NeuralNetwork_pb2, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of

_RANK5 = (NeuralNetwork_pb2.RANK5_ARRAY_MAPPING, NeuralNetwork_pb2.RANK5_IMAGE_MAPPING)
_JOINTS = ("reshapeStatic", "flatten", "reshape")
_FIELDS = NeuralNetwork_pb2.NeuralNetworkLayer.DESCRIPTOR.fields_by_name
_LAST_OLD_FIELD = 500  # layer kinds up to ``custom`` existed in specification 3


def in_old_mapping(network: NeuralNetwork) -> bool:
    """Whether vectors stand as [1, 1, C, 1, 1] and pictures as [1, 1, C, H, W] (both mappings of the format at 0)."""
    mappings = (network.arrayInputShapeMapping, network.imageInputShapeMapping)
    return mappings == _RANK5 and all(_is_old(layer) for layer in network.layers)


def to_vector(network: NeuralNetwork, name: str, blob: str, features: str, length: int) -> NeuralNetworkLayer:
    """The extractor's last layer."""
    if in_old_mapping(network):
        return flatten(name, blob, features)
    return reshape_static(name, blob, features, [length])


def from_vector(
    network: NeuralNetwork, name: str, features: str, blob: str, shape: Sequence[int]
) -> NeuralNetworkLayer:
    """The head's first layer."""
    if not in_old_mapping(network):
        return reshape_static(name, features, blob, shape)
    if tuple(shape[-2:]) == (1, 1):
        return flatten(name, features, blob)
    layer = new_layer(name, features, blob)
    layer.reshape.targetShape.extend(shape[-3:])
    layer.reshape.mode = NeuralNetwork_pb2.ReshapeLayerParams.CHANNEL_FIRST
    return layer


def last_joint(model: Model, features: str) -> NeuralNetworkLayer | None:
    """The joint that writes ``features`` and does nothing else for the extractor; None where there is none."""
    layers = network_of(model).layers
    if not layers or features in consumers(layers):
        return None
    return layers[-1] if _is_joint(layers[-1]) and list(layers[-1].output) == [features] else None


def first_joint(model: Model, features: str) -> NeuralNetworkLayer | None:
    """The joint that alone reads ``features`` in the head; None where there is none."""
    layers = network_of(model).layers
    if not layers or consumers(layers).get(features) != [0] or features in (f.name for f in model.description.output):
        return None
    return layers[0] if _is_joint(layers[0]) and list(layers[0].input) == [features] else None


def _is_old(layer: NeuralNetworkLayer) -> bool:
    kind = layer_kind(layer)
    return not kind or bool(_FIELDS[kind].number <= _LAST_OLD_FIELD)


def _is_joint(layer: NeuralNetworkLayer) -> bool:
    return layer_kind(layer) in _JOINTS and len(layer.input) == 1 and len(layer.output) == 1
