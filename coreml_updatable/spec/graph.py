"""The graph of one network: who writes a blob, who reads it, the networks inside branches and loops, and cycles."""

from collections.abc import Container, Iterator, Sequence

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
    for index, layer in enumerate(network.layers):
        where = inside + place(index, layer)
        for name, inner in inner_networks(layer):
            yield from _layers(inner, f"{where}: {name}: ")
        yield where, layer


# Layers that give the same numbers another shape or order.
RESHAPES = (
    "reshapeStatic", "flatten", "flattenTo2D", "squeeze", "expandDims", "rankPreservingReshape", "reshape", "transpose",
    "permute",
)  # fmt: skip


def producers(layers: Sequence[NeuralNetworkLayer]) -> dict[str, int]:
    """Blob name -> number of the first layer that writes it."""
    result: dict[str, int] = {}
    for index, layer in enumerate(layers):
        for blob in layer.output:
            result.setdefault(str(blob), index)
    return result


def consumers(layers: Sequence[NeuralNetworkLayer]) -> dict[str, list[int]]:
    """Blob name -> numbers of the layers that read it, in order; a branch or loop reads what its inner layers do."""
    result: dict[str, list[int]] = {}
    for index, layer in enumerate(layers):
        for blob in (*layer.input, *_inside(layer, "input")):
            result.setdefault(str(blob), []).append(index)
    return result


def blobs_of(layers: Sequence[NeuralNetworkLayer]) -> set[str]:
    """The names of all blobs that the layers read or write."""
    return {str(blob) for layer in layers for blob in (*layer.input, *layer.output)}


def free_name(wanted: str, taken: Container[str], behind: str = "_") -> str:
    """Return ``wanted``, with ``behind`` appended until the name is not in ``taken``."""
    while wanted in taken:
        wanted += behind
    return wanted


def needed_layers(layers: Sequence[NeuralNetworkLayer], blobs: Sequence[str]) -> list[int]:
    """Numbers of the layers on which ``blobs`` depend, in the order of the network.

    A branch or loop is needed for what its inner layers write, which stands in no list of outputs: a loop copies its
    variables to the blobs that a layer before it has written.
    """
    writers = dict[str, list[int]]()
    for index, layer in enumerate(layers):
        for blob in dict.fromkeys((*layer.output, *_inside(layer, "output"))):
            writers.setdefault(str(blob), []).append(index)
    waiting, needed = list(blobs), set[int]()
    while waiting:
        for index in writers.get(waiting.pop(), ()):
            if index not in needed:
                needed.add(index)
                layer = layers[index]
                inner = dict.fromkeys(_inside(layer, "input"))
                condition = [str(layer.loop.conditionVar)] if layer_kind(layer) == "loop" else []
                waiting.extend([*map(str, layer.input), *inner, *condition])
    return sorted(needed)


def _inside(layer: NeuralNetworkLayer, field: str) -> Iterator[str]:
    """The blobs that the layers inside a branch or loop read ("input") or write ("output")."""
    for _, network in inner_networks(layer):
        for item in network.layers:
            yield from map(str, getattr(item, field))
            yield from _inside(item, field)


def all_layers(network: NeuralNetwork, path: str = "") -> Iterator[tuple[str, NeuralNetworkLayer]]:
    """Every layer with its name, those inside branches and loops too: ``loop1/bodyNetwork/fc``."""
    for layer in network.layers:
        name = f"{path}{layer.name}"
        yield name, layer
        for field, inner in inner_networks(layer):
            yield from all_layers(inner, f"{name}/{field}/")


def layer_kind(layer: NeuralNetworkLayer) -> str:
    """The format's own name of the kind, e.g. ``innerProduct``; empty when the layer is none."""
    return layer.WhichOneof("layer") or ""


def place(index: int, layer: NeuralNetworkLayer) -> str:
    """Return the place of a layer for error messages: ``layers[12] 'fc'``."""
    return f"layers[{index}] '{layer.name}'"


def loss_blobs(network: NeuralNetwork) -> tuple[str, str] | None:
    """Input and target of the first loss layer; None without one, or without a type."""
    for loss in network.updateParams.lossLayers:
        kind = loss.WhichOneof("LossLayerType")
        return (str(getattr(loss, kind).input), str(getattr(loss, kind).target)) if kind else None
    return None
