"""What Apple's compiler lets pass in an updatable network and a device does not forgive."""

from collections.abc import Iterator

from coreml_updatable.checking.loss import is_cross_entropy
from coreml_updatable.checking.problem import Finding
from coreml_updatable.checking.updatable_layers import updatable_layers
from coreml_updatable.spec.graph import layer_kind, loss_blobs, needed_layers, place, producers
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of


def layers_reach_loss(model: Model) -> Iterator[Finding]:
    """Every updatable layer leads to the loss."""
    network = network_of(model)
    loss = loss_blobs(network)
    if loss is None or loss[0] not in producers(network.layers):
        return  # of that other rules speak
    needed = set(needed_layers(network.layers, [loss[0]]))
    for number, layer in updatable_layers(model):
        if number not in needed:
            yield Finding(
                place(number, layer),
                "updatable, but does not lead to the loss",
                "layers before the loss",
            )


def batchnorm_on_path(model: Model) -> Iterator[Finding]:
    """No batchnorm lies between an updatable layer and the loss: devices do not train through it (coremltools #492)."""
    for number in _between(model):
        layer = network_of(model).layers[number]
        if layer_kind(layer) == "batchnorm":
            yield Finding(
                place(number, layer),
                "is a batchnorm before which a layer is updatable",
                "none",
            )


def stacked_convolutions(model: Model) -> Iterator[Finding]:
    """No updatable convolution feeds another one: trained together they crash older phones (coremltools #490)."""
    layers = network_of(model).layers
    trained = {number for number, layer in updatable_layers(model) if layer_kind(layer) == "convolution"}
    for number in sorted(trained):
        before = trained & set(needed_layers(layers, [str(blob) for blob in layers[number].input])) - {number}
        if before:
            first = max(before)
            yield Finding(
                place(number, layers[number]),
                f"is an updatable convolution behind another one, {place(first, layers[first])}",
                "one updatable convolution on the way",
            )


def squared_error_on_linear_head(model: Model) -> Iterator[Finding]:
    """Mean squared error does not read an inner product directly: the update then fails (coremltools #1983)."""
    network = network_of(model)
    loss = loss_blobs(network)
    number = producers(network.layers).get(loss[0]) if loss is not None and not is_cross_entropy(network) else None
    if number is not None and layer_kind(network.layers[number]) == "innerProduct":
        where = place(number, network.layers[number])
        yield Finding(
            "loss",
            f"squared error reads {where}, an inner product",
            "an activation between them",
        )


def _between(model: Model) -> list[int]:
    """Layers through which the gradient of some updatable layer passes."""
    network = network_of(model)
    loss = loss_blobs(network)
    if loss is None:
        return []
    updatable = {number for number, _ in updatable_layers(model)}
    return [
        number
        for number in needed_layers(network.layers, [loss[0]])
        if number not in updatable
        and updatable & set(needed_layers(network.layers, [str(blob) for blob in network.layers[number].input]))
    ]
