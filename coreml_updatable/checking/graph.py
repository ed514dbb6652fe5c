"""Rules of every network: layers, wires and stored weights (``NeuralNetwork``, ``WeightParams``)."""

from collections import Counter
from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.expected_weights import expected_weights, held_and_needed
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.weights import storage

_STORAGES = ("floatValue", "float16Value", "rawValue", "int8RawValue")


def layers_in_order(model: Model) -> Iterator[Finding]:
    """A network has layers, and each reads model inputs or what earlier layers wrote."""
    layers = network_of(model).layers
    if not layers:
        yield Finding("network", "has no layers", "at least one", "convert the model again")
    known = {str(feature.name) for feature in model.description.input}
    for number, layer in enumerate(layers):
        for blob in layer.input:
            if blob not in known:
                yield Finding(
                    place(number, layer),
                    f"reads {str(blob)!r}, which nothing before it writes",
                    "a model input or the output of an earlier layer",
                    "put the layers in order",
                )
        known.update(str(blob) for blob in layer.output)


def outputs_distinct(model: Model) -> Iterator[Finding]:
    """No two layers write the same blob, copy layers aside."""
    written: dict[str, str] = {}
    for number, layer in enumerate(network_of(model).layers):
        for blob in layer.output:
            if blob in written and layer_kind(layer) != "copy":
                yield Finding(
                    place(number, layer),
                    f"writes {str(blob)!r} as {written[blob]} does",
                    "a name of its own",
                )
            written.setdefault(str(blob), place(number, layer))


def network_features(model: Model) -> Iterator[Finding]:
    """Inputs of a network are images or arrays, and so are the outputs of a plain one."""
    features = [("input", feature) for feature in model.description.input]
    if model.WhichOneof("Type") == "neuralNetwork":
        features += [("output", feature) for feature in model.description.output]
    for side, feature in features:
        kind = feature.type.WhichOneof("Type")
        if kind not in ("imageType", "multiArrayType", None):
            yield Finding(f"{side} {str(feature.name)!r}", f"is a {kind}", "an image or a multi-array")


def weight_counts(model: Model) -> Iterator[Finding]:
    """Convolutions and inner products store as many weights as they declare."""
    for number, layer in enumerate(network_of(model).layers):
        for name, weights, declared in expected_weights(layer):
            held, needed = held_and_needed(weights, declared)
            if held != needed:
                yield Finding(f"{place(number, layer)}: {name}", f"holds {held} values", f"{needed}")


def one_precision(model: Model) -> Iterator[Finding]:
    """Weights and bias of a layer share one float precision, and each fills one storage field."""
    for number, layer in enumerate(network_of(model).layers):
        stored = {name: weights for name, weights, _ in expected_weights(layer)}
        for name, weights in stored.items():
            filled = [field for field in _STORAGES if len(getattr(weights, field))]
            if len(filled) > 1:
                where = f"{place(number, layer)}: {name}"
                yield Finding(where, f"fills {' and '.join(filled)}", "one storage field", "clear the other")
        floats = {storage(weights) for weights in stored.values()} & {"float32", "float16"}
        if len(floats) > 1:
            yield Finding(
                place(number, layer), "mixes 16-bit and 32-bit floats", "one precision", "widen all to 32 bits"
            )


def convolution_weights(model: Model) -> Iterator[Finding]:
    """A convolution stores its weights, unless a second input brings them."""
    for number, layer in enumerate(network_of(model).layers):
        if (
            layer_kind(layer) == "convolution"
            and len(layer.input) < 2
            and storage(layer.convolution.weights) == "empty"
        ):
            yield Finding(place(number, layer), "is a convolution without weights", "stored weights")


def duplicates(names: list[str]) -> list[str]:
    """The names that stand more than once, each once."""
    return [name for name, count in Counter(names).items() if count > 1]
