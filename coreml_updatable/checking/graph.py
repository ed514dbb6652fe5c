"""Rules of every network: layers, and the wires between them (``NeuralNetwork``)."""

from collections import Counter
from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.inner_layers import every_layer, inner_networks
from coreml_updatable.spec.messages import Model, NeuralNetwork
from coreml_updatable.spec.network import network_of


def layers_in_order(model: Model) -> Iterator[Finding]:
    """A network has layers, and each reads model inputs or what earlier layers wrote."""
    if not network_of(model).layers:
        yield Finding("network", "has no layers", "at least one")
    known = {str(feature.name) for feature in model.description.input}
    for where, layer in every_layer(model):
        for blob in layer.input:
            if blob not in known:
                yield Finding(
                    where,
                    f"reads {str(blob)!r}, which nothing before it writes",
                    "a model input or the output of an earlier layer",
                    "put the layers in order",
                )
        known.update(str(blob) for blob in layer.output)


def outputs_distinct(model: Model) -> Iterator[Finding]:
    """No two layers write the same blob, nor one an input of the model; copies, and the two sides of a branch, may."""
    written = {str(feature.name): "the model's input" for feature in model.description.input}
    yield from _distinct(network_of(model), "", written)


def _distinct(network: NeuralNetwork, inside: str, written: dict[str, str]) -> Iterator[Finding]:
    """``written``: blob -> who wrote it; it grows."""
    for number, layer in enumerate(network.layers):
        where = inside + place(number, layer)
        sides = [(name, inner, dict(written)) for name, inner in inner_networks(layer)]
        for name, inner, before in sides:
            yield from _distinct(inner, f"{where}: {name}: ", before)
        for _, _, after in sides:
            written |= after
        for blob in layer.output:
            if blob in written and layer_kind(layer) != "copy":
                yield Finding(where, f"writes {str(blob)!r}, as does {written[str(blob)]}", "a name of its own")
            written.setdefault(str(blob), where)


def network_features(model: Model) -> Iterator[Finding]:
    """Inputs of a network are images or arrays, and so are the outputs of a plain one."""
    features = [("input", feature) for feature in model.description.input]
    if model.WhichOneof("Type") == "neuralNetwork":
        features += [("output", feature) for feature in model.description.output]
    for side, feature in features:
        kind = feature.type.WhichOneof("Type")
        if kind not in ("imageType", "multiArrayType", None):
            yield Finding(f"{side} {str(feature.name)!r}", f"is a {kind}", "an image or a multi-array")


def outputs_written(model: Model) -> Iterator[Finding]:
    """Every output of a plain network is written by a layer, and described once."""
    if model.WhichOneof("Type") != "neuralNetwork" or not network_of(model).layers:
        return
    written = {str(blob) for _, layer in every_layer(model) for blob in layer.output}
    names = [str(feature.name) for feature in model.description.output]
    for name in dict.fromkeys(names):
        if name and name not in written:
            yield Finding(f"output {name!r}", "is written by no layer", "a layer's output", "name the last blob")
        if names.count(name) > 1:
            yield Finding(f"output {name!r}", f"is described {names.count(name)} times", "once", "remove one")


def duplicates(names: list[str]) -> list[str]:
    """The names that stand more than once, each once."""
    return [name for name, count in Counter(names).items() if count > 1]
