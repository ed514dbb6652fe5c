"""The graph of a network by blob names: what each layer reads and writes, and which layers no update can change."""

from collections.abc import Sequence
from dataclasses import dataclass

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.graph import inner_networks
from coreml_updatable.spec.messages import NeuralNetwork, NeuralNetworkLayer


@dataclass(frozen=True)
class Partition:
    """The indices of the layers, in the file's order: frozen ones, and those at or after an updatable one."""

    frozen: tuple[int, ...]
    trainable: tuple[int, ...]


def nested(layer: NeuralNetworkLayer) -> list[NeuralNetwork]:
    """Return the networks inside a branch or a loop."""
    return [network for _, network in inner_networks(layer)]


def reads(layer: NeuralNetworkLayer) -> set[str]:
    return {*layer.input}.union(*(reads(inner) for network in nested(layer) for inner in network.layers))


def writes(layer: NeuralNetworkLayer) -> set[str]:
    return {*layer.output}.union(*(writes(inner) for network in nested(layer) for inner in network.layers))


def check_graph(layers: Sequence[NeuralNetworkLayer], inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Raise ModelError unless every blob is written once, before it is read, and every output is written."""
    known = set(inputs)
    for index, layer in enumerate(layers):
        for blob in layer.input:
            if blob not in known:
                raise ModelError(_unwritten(layer, blob, layers[index:]))
        for blob in layer.output:
            if blob in known and layer.WhichOneof("layer") != "copy":
                raise ModelError(f"layer '{layer.name}': writes blob '{blob}', which already exists; rename it")
        known |= writes(layer)
    for blob in outputs:
        if blob not in known:
            raise ModelError(
                f"model: no layer writes the output '{blob}'; give the output the name of the last layer's blob"
            )


def _unwritten(layer: NeuralNetworkLayer, blob: str, later: Sequence[NeuralNetworkLayer]) -> str:
    writers = [other.name for other in later if blob in other.output]
    if writers:
        return (
            f"layer '{layer.name}': reads blob '{blob}' before layer '{writers[0]}' writes it; put the layers in "
            "order, without a cycle"
        )
    return (
        f"layer '{layer.name}': reads blob '{blob}', which is neither an input nor written by a layer; check the names"
    )


def partition(layers: Sequence[NeuralNetworkLayer]) -> Partition:
    """Split the layers: one is trainable if it is updatable or depends, even indirectly, on an updatable layer.

    If a blob is written twice (copy, loops), the order matters; then all layers from the first updatable one on are
    trainable.
    """
    written = [blob for layer in layers for blob in writes(layer)]
    in_order = len(written) != len(set(written)) or any(nested(layer) for layer in layers)
    changing: set[str] = set()
    trainable: list[int] = []
    for index, layer in enumerate(layers):
        if layer.isUpdatable or changing & reads(layer) or (in_order and trainable):
            trainable.append(index)
            changing |= writes(layer)
    return Partition(
        tuple(position for position in range(len(layers)) if position not in set(trainable)), tuple(trainable)
    )
