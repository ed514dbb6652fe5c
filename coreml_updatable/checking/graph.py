"""Rules for every network: its layers and the blobs between them (``NeuralNetwork``)."""

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from coreml_updatable.checking.problem import Finding
from coreml_updatable.checking.wires import tangles, written_blobs
from coreml_updatable.spec.graph import place, producers
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of


def layers_in_order(model: Model) -> Iterator[Finding]:
    """A network has layers, and each reads only model inputs and outputs of earlier layers."""
    if not network_of(model).layers:
        yield Finding("network", "has no layers", "at least one")
    yield from _circle(model)
    yield from (finding for kind, finding in tangles(model) if kind == "read")


def _circle(model: Model) -> Iterator[Finding]:
    layers, writers = network_of(model).layers, producers(network_of(model).layers)
    inputs = {str(feature.name) for feature in model.description.input}
    waits_for = {
        index: {writers[blob] for blob in map(str, layer.input) if blob in writers and blob not in inputs}
        for index, layer in enumerate(layers)
    }
    try:
        TopologicalSorter(waits_for).prepare()
    except CycleError as error:
        ring = error.args[1][1:]  # in the order of the flow, from the last to itself
        start = ring.index(min(ring))
        first, *others = ring[start:] + ring[:start]
        way = f" by way of {' and '.join(place(other, layers[other]) for other in others)}" if others else ""
        yield Finding(place(first, layers[first]), f"waits for its own output{way}", "no circle of layers")


def outputs_distinct(model: Model) -> Iterator[Finding]:
    """No layer writes a model input or another layer's blob, except copies and the two sides of a branch."""
    yield from (finding for kind, finding in tangles(model) if kind == "written")


def loops_closed(model: Model) -> Iterator[Finding]:
    """The condition of a loop writes its condition variable; breaks and continues are inside the body of a loop."""
    yield from (finding for kind, finding in tangles(model) if kind == "loop")


def network_features(model: Model) -> Iterator[Finding]:
    """The inputs of a network are images or arrays, and so are the outputs of a plain network."""
    features = [("input", feature) for feature in model.description.input]
    if model.WhichOneof("Type") == "neuralNetwork":
        features += [("output", feature) for feature in model.description.output]
    for side, feature in features:
        kind = feature.type.WhichOneof("Type")
        if kind not in ("imageType", "multiArrayType", "stateType", None):
            yield Finding(f"{side} '{feature.name}'", f"is a {kind}", "an image or a multi-array")


def outputs_written(model: Model) -> Iterator[Finding]:
    """Every output of a plain network is written by a layer and described once."""
    if model.WhichOneof("Type") != "neuralNetwork" or not network_of(model).layers:
        return
    written = written_blobs(model)
    names = [str(feature.name) for feature in model.description.output]
    for name in dict.fromkeys(names):
        if name and name not in written:
            yield Finding(f"output '{name}'", "is not written by any layer", "a layer's output", "name the last blob")
        if names.count(name) > 1:
            yield Finding(f"output '{name}'", f"is described {names.count(name)} times", "once", "remove one")


def duplicates(names: list[str]) -> list[str]:
    """Return the names that occur more than once, each once."""
    return [name for name, count in Counter(names).items() if count > 1]
