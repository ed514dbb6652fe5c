"""Readable names: ``conv1``, ``relu1``, ``pool``, ``fc`` instead of the numbers that a tracer assigns.

A blob has the name of the layer that writes it. Features (inputs and outputs) keep their names.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.graph import free_name, layer_kind
from coreml_updatable.spec.messages import Model, NeuralNetwork, NeuralNetworkLayer, copy_of
from coreml_updatable.spec.network import network_of
from coreml_updatable.text import did_you_mean

_TRACER = re.compile(
    r"|\d.*|(input|x|var|op|linear|transpose|out|hidden_states)([._]\d+)*|.*[._]\d+(_\w+)?|.*_(rank4|logits)"
)
_SHORT = {
    "convolution": "conv",
    "pooling": "pool",
    "innerProduct": "fc",
    "batchedMatmul": "matmul",
    "reshapeStatic": "reshape",
    "softmaxND": "softmax",
    "addBroadcastable": "add",
    "multiplyBroadcastable": "multiply",
    "subtractBroadcastable": "subtract",
    "divideBroadcastable": "divide",
    "layerNormalization": "layernorm",
    "concatND": "concat",
    "splitND": "split",
    "loadConstantND": "constant",
    "uniDirectionalLSTM": "lstm",
    "transpose": "permute",  # tracers call theirs "transpose", so that this name would not be left alone
}
_LISTED = 20  # names in an error
_INNER_BLOBS = ("branch", "loop", "custom")  # these name blobs outside the wires


def has_tracer_names(network: NeuralNetwork, kept: Collection[str] = ()) -> bool:
    """Return whether any layer except ``kept`` has a tracer's temporary name, no name, or another layer's name."""
    names = [str(layer.name) for layer in network.layers]
    return len(set(names)) < len(names) or any(_TRACER.fullmatch(name) for name in names if name not in kept)


def readable_names(layers: list[NeuralNetworkLayer]) -> list[str]:
    """Return a name for every layer: a short form of its kind, numbered from 1 if there are several."""
    bases = [_base(layer) for layer in layers]
    total, seen = Counter(bases), Counter[str]()
    names = []
    for base in bases:
        seen[base] += 1
        names.append(f"{base}{seen[base]}" if total[base] > 1 else base)
    return names


def name_layers(model: Model, kept: Collection[str] = ()) -> Model:
    """Return ``model`` with readable layer and blob names if a tracer named its layers; otherwise unchanged.

    The same network always gets the same names, and naming twice changes nothing. A layer in ``kept``, the names that a
    user knows, keeps its name if it is unique.
    """
    named = copy_of(model)
    network = network_of(named)
    if not has_tracer_names(network, kept):
        return named
    names = _readable_but(list(network.layers), kept)
    features = {str(f.name) for f in (*named.description.input, *named.description.output)}
    elsewhere = any(layer_kind(layer) in _INNER_BLOBS for layer in network.layers)
    blobs = {} if elsewhere else _blob_names(network, names, features)
    for layer, name in zip(network.layers, names, strict=True):
        layer.name = name
    rename_blobs(network, blobs)
    return named


def _readable_but(layers: list[NeuralNetworkLayer], kept: Collection[str]) -> list[str]:
    """Return unique readable names that differ from the names that stay."""
    uses = Counter(str(layer.name) for layer in layers)
    staying = {name for name in kept if uses[name] == 1 and name}
    names = []
    for layer, name in zip(layers, readable_names(layers), strict=True):
        names.append(str(layer.name) if str(layer.name) in staying else free_name(name, staying, "_other"))
    return names


def rename_blobs(network: NeuralNetwork, names: Mapping[str, str]) -> None:
    """Rename blobs in place, wherever the network speaks of them."""
    for layer in network.layers:
        layer.input[:] = [names.get(blob, blob) for blob in layer.input]
        layer.output[:] = [names.get(blob, blob) for blob in layer.output]
    for loss in network.updateParams.lossLayers:
        kind = loss.WhichOneof("LossLayerType")
        if kind is not None:
            inner = getattr(loss, kind)
            inner.input = names.get(inner.input, inner.input)
            inner.target = names.get(inner.target, inner.target)
    for preprocessing in network.preprocessing:
        preprocessing.featureName = names.get(preprocessing.featureName, preprocessing.featureName)
    if network.DESCRIPTOR.name == "NeuralNetworkClassifier":
        network.labelProbabilityLayerName = names.get(
            network.labelProbabilityLayerName, network.labelProbabilityLayerName
        )


def layer_numbers(
    network: NeuralNetwork,
    names: Sequence[str],
    renamed: Mapping[str, str] | None = None,
    in_file: Mapping[str, int] | None = None,
) -> list[int]:
    """Return the indices of the layers ``names``, or of those that had these names before ``renamed`` (old -> new).

    A ModelError names the first that is missing; ``in_file``: how many layers of the file have each name, which
    explains why.
    """
    known = {str(layer.name): index for index, layer in enumerate(network.layers)}
    olds = {old: new for old, new in (renamed or {}).items() if old and old not in known and new in known}
    missing = [name for name in names if name not in known and name not in olds]
    if missing:
        written = f", or, by their names in the file, {_listed(olds)}" if olds else ""
        meant = did_you_mean(missing[0], [*known, *olds])
        why = _why(missing[0], (in_file or {}).get(missing[0], 0))
        raise ModelError(f"layers: {why}; expected names from {_listed(known)}{written}{meant and f'; {meant}'}")
    return [known[olds.get(name, name)] for name in names]


def _why(name: str, times: int) -> str:
    if times > 1:
        return f"{times} layers of the file are named {name!r}"
    if times:
        return f"the repair folded the layer {name!r} into another layer or removed it"
    return f"the network has no layer {name!r}"


def _listed(names: Collection[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(sorted(names)[:_LISTED]) + more


def _base(layer: NeuralNetworkLayer) -> str:
    kind = layer_kind(layer)
    if kind == "activation":
        function = str(layer.activation.WhichOneof("NonlinearityType") or kind).lower()
        return "affine" if function == "linear" else function  # a tracer's "linear" is the dense layer
    if kind == "convolution" and layer.convolution.isDeconvolution:
        return "deconv"
    return _SHORT.get(kind, kind.lower() or "layer")


def _blob_names(network: NeuralNetwork, layer_names: list[str], features: set[str]) -> dict[str, str]:
    """Return old blob -> new blob. A classifier's dictionary is not a blob, but its name is not used for one."""
    blobs: dict[str, str] = {}
    taken = set(features)
    kept = (
        features if network.DESCRIPTOR.name != "NeuralNetworkClassifier" else features - _unwritten(network, features)
    )
    for layer, name in zip(network.layers, layer_names, strict=True):
        for index, blob in enumerate(layer.output):
            if blob in kept or blob in blobs:
                continue
            wanted = free_name(name if len(layer.output) == 1 else f"{name}_{index + 1}", taken, "_out")
            taken.add(wanted)
            blobs[str(blob)] = wanted
    return blobs


def _unwritten(network: NeuralNetwork, features: set[str]) -> set[str]:
    """Return the only feature that is a dictionary of the probabilities blob, which may then be renamed."""
    return {str(network.labelProbabilityLayerName)} & features
