"""Rules for the updatable layers of a network, and for names."""

from collections.abc import Iterator

from coreml_updatable.checking.graph import duplicates
from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.layer_kinds import can_be_updatable
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of


def updatable_layers(model: Model) -> list[tuple[int, NeuralNetworkLayer]]:
    return [(index, layer) for index, layer in enumerate(network_of(model).layers) if layer.isUpdatable]


def weighted(model: Model) -> list[tuple[int, NeuralNetworkLayer]]:
    """Return the updatable convolutions and inner products, for which the flags of the weights count."""
    return [row for row in updatable_layers(model) if layer_kind(row[1]) in ("convolution", "innerProduct")]


def any_updatable_layer(model: Model) -> Iterator[Finding]:
    """An updatable network has at least one updatable layer."""
    if not updatable_layers(model):
        yield Finding("network", "has no updatable layer", "at least one")


def updatable_layer_kinds(model: Model) -> Iterator[Finding]:
    """Only convolution, innerProduct and uniDirectionalLSTM layers can be updatable."""
    for index, layer in updatable_layers(model):
        if not can_be_updatable(layer):
            yield Finding(
                place(index, layer),
                f"is an updatable {layer_kind(layer)}",
                "a convolution, innerProduct or uniDirectionalLSTM",
            )


def weights_flagged(model: Model) -> Iterator[Finding]:
    """The weights of an updatable convolution or inner product are flagged as updatable, too."""
    for index, layer in weighted(model):
        if not getattr(layer, layer_kind(layer)).weights.isUpdatable:
            yield Finding(f"{place(index, layer)}: weights", "are not flagged as updatable", "the flag")


def bias_flagged(model: Model) -> Iterator[Finding]:
    """The bias of an updatable convolution or inner product, if any, is flagged as updatable, too."""
    for index, layer in weighted(model):
        params = getattr(layer, layer_kind(layer))
        if params.hasBias and not params.bias.isUpdatable:
            yield Finding(f"{place(index, layer)}: bias", "is not flagged as updatable", "the flag")


def weights_not_quantized(model: Model) -> Iterator[Finding]:
    """Weights and bias of an updatable convolution or inner product are not quantized."""
    for index, layer in weighted(model):
        params = getattr(layer, layer_kind(layer))
        for name in ("weights", "bias") if params.hasBias else ("weights",):
            if getattr(params, name).HasField("quantization"):
                where = f"{place(index, layer)}: {name}"
                yield Finding(where, "is quantized but updatable", "32-bit floats")


def names_distinct(model: Model) -> Iterator[Finding]:
    """In an updatable network, all names of layers and losses are distinct; the empty name counts as a name."""
    network = network_of(model)
    names = [str(layer.name) for layer in network.layers] + [str(loss.name) for loss in network.updateParams.lossLayers]
    for name in duplicates(names):
        yield Finding("network", f"{names.count(name)} layers or losses are named '{name}'", "each name once")
