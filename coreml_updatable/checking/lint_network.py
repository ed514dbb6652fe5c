"""What Apple's compiler lets pass in an updatable network and a device does not forgive."""

from collections.abc import Iterator

import numpy as np

from coreml_updatable.checking.loss import is_cross_entropy
from coreml_updatable.checking.problem import Finding
from coreml_updatable.checking.updatable_layers import updatable_layers
from coreml_updatable.spec.graph import layer_kind, loss_blobs, needed_layers, place, producers
from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import class_labels, network_of
from coreml_updatable.spec.shapes import blob_shapes
from coreml_updatable.spec.weight_fields import weight_fields
from coreml_updatable.spec.weights import storage


def shapes_agree(model: Model) -> Iterator[Finding]:
    """The shapes of the layers do not contradict each other; Apple's compiler then skips the rules of updating."""
    shapes = blob_shapes(model)
    for number, layer in enumerate(network_of(model).layers):
        shape = shapes.get(str(layer.input[0])) if layer.input else None
        found, expected = _channels(layer, shape)
        if None not in (found, expected) and found != expected:
            yield Finding(
                place(number, layer), f"is given {found} channels", str(expected), "look at the layer before it"
            )
        for blob in layer.output:
            if any(length is not None and length < 1 for length in shapes.get(str(blob), ())):
                yield Finding(
                    place(number, layer), f"gives {list(shapes[str(blob)])}", "lengths from 1 up", "use a larger input"
                )


def softmax_rank(model: Model) -> Iterator[Finding]:
    """A softmax works on rank 3 or more, for its classes stand on axis -3."""
    shapes = blob_shapes(model)
    for number, layer in enumerate(network_of(model).layers):
        shape = shapes.get(str(layer.input[0])) if layer_kind(layer) == "softmax" and layer.input else None
        if shape is not None and len(shape) < 3:
            yield Finding(
                place(number, layer),
                f"is a softmax at rank {len(shape)}",
                "at least 3",
            )


def all_32_bit(model: Model) -> Iterator[Finding]:
    """No weights of an updatable network are 16-bit: one puts it into 16 bits as a whole, which can not be trained."""
    for number, layer in enumerate(network_of(model).layers):
        if any(storage(weights) == "float16" for _, weights in weight_fields(layer)):
            yield Finding(place(number, layer), "has 16-bit weights", "32-bit floats")


def weights_finite(model: Model) -> Iterator[Finding]:
    """No weight is NaN or infinite."""
    for number, layer in enumerate(network_of(model).layers):
        for name, weights in weight_fields(layer):
            if storage(weights) == "float32" and not np.isfinite(np.array(weights.floatValue, np.float32)).all():
                yield Finding(f"{place(number, layer)}: {name}", "holds NaN or infinite numbers", "finite ones")


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
    """At most one convolution is updatable: several, one after another, crash older phones (coremltools #490)."""
    found = [row for row in updatable_layers(model) if layer_kind(row[1]) == "convolution"]
    if len(found) > 1:
        yield Finding(place(*found[0]), f"is one of {len(found)} updatable convolutions", "one")


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


def labels_fit_outputs(model: Model) -> Iterator[Finding]:
    """There are as many class labels as the softmax has outputs."""
    network = network_of(model)
    loss, labels = loss_blobs(network), class_labels(model)
    shape = blob_shapes(model).get(loss[0]) if loss is not None and is_cross_entropy(network) else None
    if not labels or shape is None or None in shape:
        return
    count = int(np.prod([length for length in shape if length is not None]))
    if count != len(labels):
        yield Finding("classLabels", f"{len(labels)} labels for {count} outputs", "one label an output")


def _channels(layer: NeuralNetworkLayer, shape: Shape | None) -> tuple[int | None, int | None]:
    """Channels given and expected."""
    kind = layer_kind(layer)
    if shape is None or kind not in ("convolution", "innerProduct", "batchnorm"):
        return None, None
    if kind == "innerProduct" and len(shape) < 4:
        return shape[-1], int(layer.innerProduct.inputChannels)
    if len(shape) < 3:
        return None, None
    if kind == "innerProduct":
        lengths = [length for length in shape[-3:] if length is not None]
        return (int(np.prod(lengths)) if len(lengths) == 3 else None), int(layer.innerProduct.inputChannels)
    if kind == "batchnorm":
        return shape[-3], int(layer.batchnorm.channels)
    params = layer.convolution
    groups = 1 if params.isDeconvolution else max(1, int(params.nGroups))
    return shape[-3], int(params.kernelChannels) * groups


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
