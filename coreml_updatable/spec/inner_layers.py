"""The layers of a network and of the networks inside its branches and loops, in the order in which they stand."""

from collections.abc import Iterator

from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import Model, NeuralNetwork, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of

_INNER = {"branch": ("ifBranch", "elseBranch"), "loop": ("conditionNetwork", "bodyNetwork")}


def every_layer(model: Model) -> Iterator[tuple[str, NeuralNetworkLayer]]:
    """Place and layer, e.g. ``layers[3] 'loop': bodyNetwork: layers[0] 'add'``; the inner ones before the outer."""
    yield from _layers(network_of(model), "")


def inner_networks(layer: NeuralNetworkLayer) -> list[tuple[str, NeuralNetwork]]:
    """The networks inside a branch or loop, with the names of their fields."""
    kind = layer_kind(layer)
    return [(name, getattr(getattr(layer, kind), name)) for name in _INNER.get(kind, ())]


def _layers(network: NeuralNetwork, inside: str) -> Iterator[tuple[str, NeuralNetworkLayer]]:
    for number, layer in enumerate(network.layers):
        where = inside + place(number, layer)
        for name, inner in inner_networks(layer):
            yield from _layers(inner, f"{where}: {name}: ")
        yield where, layer
