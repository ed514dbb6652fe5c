"""The graph of one network: who writes a blob, who reads it, the networks inside branches and loops, and cycles."""

from collections.abc import Iterator, Sequence

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


# Layers that give the same numbers another shape or order.
RESHAPES = (
    "reshapeStatic", "flatten", "flattenTo2D", "squeeze", "expandDims", "rankPreservingReshape", "reshape", "transpose",
    "permute",
)  # fmt: skip


def producers(layers: Sequence[NeuralNetworkLayer]) -> dict[str, int]:
    """Blob name -> number of the first layer that writes it."""
    found: dict[str, int] = {}
    for number, layer in enumerate(layers):
        for blob in layer.output:
            found.setdefault(str(blob), number)
    return found


def consumers(layers: Sequence[NeuralNetworkLayer]) -> dict[str, list[int]]:
    """Blob name -> numbers of the layers that read it, in order."""
    found: dict[str, list[int]] = {}
    for number, layer in enumerate(layers):
        for blob in layer.input:
            found.setdefault(str(blob), []).append(number)
    return found


def needed_layers(layers: Sequence[NeuralNetworkLayer], blobs: Sequence[str]) -> list[int]:
    """Numbers of the layers on which ``blobs`` depend, in the order of the network."""
    writer = producers(layers)
    waiting, needed = list(blobs), set[int]()
    while waiting:
        number = writer.get(waiting.pop())
        if number is not None and number not in needed:
            needed.add(number)
            waiting.extend(str(blob) for blob in layers[number].input)
    return sorted(needed)


def all_layers(network: NeuralNetwork, path: str = "") -> Iterator[tuple[str, NeuralNetworkLayer]]:
    """Every layer with its name, those inside branches and loops too: ``loop1/bodyNetwork/fc``."""
    for layer in network.layers:
        name = f"{path}{layer.name}"
        yield name, layer
        kind = layer_kind(layer)
        for inner in _INNER.get(kind, ()):
            yield from all_layers(getattr(getattr(layer, kind), inner), f"{name}/{inner}/")


def layer_kind(layer: NeuralNetworkLayer) -> str:
    """The format's own name of the kind, e.g. ``innerProduct``; empty when the layer is none."""
    return layer.WhichOneof("layer") or ""


def place(number: int, layer: NeuralNetworkLayer) -> str:
    """Where a layer stands, for error messages: ``layers[12] 'fc'``."""
    return f"layers[{number}] '{layer.name}'"


def loss_blobs(network: NeuralNetwork) -> tuple[str, str] | None:
    """Input and target of the first loss layer; None without one, or without a type."""
    for loss in network.updateParams.lossLayers:
        kind = loss.WhichOneof("LossLayerType")
        return (str(getattr(loss, kind).input), str(getattr(loss, kind).target)) if kind else None
    return None
