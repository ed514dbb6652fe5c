"""What marking takes for granted of a network, looked at once before anything is changed.

Every walk along the wires ends, every layer reads and writes as many blobs as its kind does, one layer writes a blob,
the weights are as many as their layer declares, and each label stands once. Apple's validator has these rules too
(`checking/graph.py`, `checking/stored_weights.py`).
"""

from collections.abc import Sequence

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.declared_weights import declared_weights, held_and_needed
from coreml_updatable.spec.graph import all_layers, circle, inner_networks, layer_kind, place
from coreml_updatable.spec.layer_kinds import wrong_counts
from coreml_updatable.spec.messages import Model, NeuralNetwork, NeuralNetworkLayer
from coreml_updatable.spec.network import class_labels, network_of
from coreml_updatable.spec.storage import storage

_ADVICE = "`coreml-updatable check` names all that is wrong; export the model again"


def expect_sound(model: Model) -> None:
    """A ModelError for the first thing in the network of ``model`` that no marking could work with."""
    network = network_of(model)
    if not network.layers:
        raise ModelError("network: has no layers, expected one at least; export the model again")
    inputs = {str(feature.name) for feature in model.description.input}
    _expect_wires(network, inputs)
    for number, layer in enumerate(network.layers):
        _expect_weights(layer, place(number, layer))
    labels = class_labels(model)
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ModelError(f"labels: the model has {twice!r} twice, expected each once; {_ADVICE}")


def _expect_wires(network: NeuralNetwork, inputs: set[str]) -> None:
    known, written = set(inputs), dict.fromkeys(inputs, "the model's input")
    for number, layer in enumerate(network.layers):
        where, kind = place(number, layer), layer_kind(layer)
        if not kind:
            raise ModelError(f"{where}: is a layer of no kind, expected one; {_ADVICE}")
        for found, expected in wrong_counts(layer):
            raise ModelError(f"{where}: {found}, expected {expected}; {_ADVICE}")
        for blob in map(str, layer.output):
            if blob in written and kind != "copy":
                raise ModelError(f"{where}: writes {blob!r}, as does {written[blob]}, expected one writer; {_ADVICE}")
            written.setdefault(blob, where)
        for blob in map(str, layer.input):
            if blob not in known:
                raise ModelError(f"{where}: reads {blob!r}, {_why(network.layers, inputs, number)}; {_ADVICE}")
        inside = [inner for _, network in inner_networks(layer) for _, inner in all_layers(network)]
        known.update(str(blob) for each in (layer, *inside) for blob in each.output)


def _why(layers: Sequence[NeuralNetworkLayer], inputs: set[str], number: int) -> str:
    """Why a layer reads what is not there yet."""
    ring = circle(layers, inputs)
    if number in ring and len(ring) > 1:
        others = " and ".join(place(other, layers[other]) for other in ring if other != number)
        return f"which waits for its own output by way of {others}, expected no circle"
    if number in ring:
        return "which it writes itself, expected no circle"
    return "which nothing before it writes, expected a model input or the output of an earlier layer"


def _expect_weights(layer: NeuralNetworkLayer, where: str) -> None:
    kind = layer_kind(layer)
    if kind in ("convolution", "innerProduct") and not getattr(layer, kind).outputChannels:
        raise ModelError(f"{where}: has 0 outputs, expected one at least; {_ADVICE}")
    for declared in declared_weights(layer):
        held, needed = held_and_needed(declared.weights, declared.count)
        packed = storage(declared.weights) in ("raw", "int8")
        if held < needed or (held != needed and not packed):
            unit = "bytes" if packed or storage(declared.weights) == "float16" else "values"
            raise ModelError(f"{where}: {declared.name} holds {held} {unit}, expected {needed}; {_ADVICE}")
