"""Who writes a blob and who reads it: the wires between the layers of one network."""

from collections.abc import Iterator, Sequence

from coreml_updatable.spec.messages import NeuralNetwork, NeuralNetworkLayer

# Layers that give the same numbers another shape or order.
RESHAPES = (
    "reshapeStatic", "flatten", "flattenTo2D", "squeeze", "expandDims", "rankPreservingReshape", "reshape", "transpose",
    "permute",
)  # fmt: skip
_INNER = {"branch": ("ifBranch", "elseBranch"), "loop": ("conditionNetwork", "bodyNetwork")}


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
