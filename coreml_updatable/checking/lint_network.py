"""Warnings about updatable networks that Apple's compiler accepts, but that fail on devices."""

from collections.abc import Iterator, Sequence

from coreml_updatable.checking.loss import is_cross_entropy
from coreml_updatable.checking.problem import Finding
from coreml_updatable.checking.updatable_layers import updatable_layers
from coreml_updatable.spec.graph import RESHAPES, layer_kind, loss_blobs, needed_layers, place, producers
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes

_RECURRENT = ("uniDirectionalLSTM", "biDirectionalLSTM", "gru", "simpleRecurrent")
_WIDE = 5
_COPIES = (*RESHAPES, "concat", "concatND", "copy", "slice", "sliceStatic")


def layers_reach_loss(model: Model) -> Iterator[Finding]:
    """Every updatable layer leads to the loss."""
    network = network_of(model)
    loss = loss_blobs(network)
    if loss is None or loss[0] not in producers(network.layers):
        return  # of that other rules speak
    needed = set(needed_layers(network.layers, [loss[0]]))
    for index, layer in updatable_layers(model):
        if index not in needed:
            yield Finding(place(index, layer), "is updatable but does not lead to the loss", "layers before the loss")


def batchnorm_on_path(model: Model) -> Iterator[Finding]:
    """No batchnorm is between an updatable layer and the loss: devices do not train through it (coremltools #492)."""
    for index in _between(model):
        layer = network_of(model).layers[index]
        if layer_kind(layer) == "batchnorm":
            yield Finding(place(index, layer), "is a batchnorm after an updatable layer", "none")


def stacked_convolutions(model: Model) -> Iterator[Finding]:
    """No updatable convolution feeds another one: training both crashes older phones (coremltools #490)."""
    layers = network_of(model).layers
    trained = {position for position, layer in updatable_layers(model) if layer_kind(layer) == "convolution"}
    behind = _behind(layers, trained)
    for index in sorted(trained & set(behind)):
        yield Finding(
            place(index, layers[index]),
            f"is an updatable convolution after another one, {place(behind[index], layers[behind[index]])}",
            "one updatable convolution on the path",
        )


def no_wide_expansion(model: Model) -> Iterator[Finding]:
    """No expandDims produces rank 5: an update of a converted LSTM failed with an exception (coremltools #2074)."""
    layers, shapes = network_of(model).layers, blob_shapes(model)
    read = {str(blob) for layer in layers if layer_kind(layer) in _RECURRENT for blob in layer.input}
    for index, layer in enumerate(layers):
        if layer_kind(layer) != "expandDims" or not layer.output:
            continue
        result = str(layer.output[0])
        stated = int(layer.outputTensor[0].rank) if layer.outputTensor else 0
        rank = max(len(shapes.get(result, ())), stated, _WIDE if result in read else 0)
        if rank >= _WIDE:
            yield Finding(place(index, layer), f"is an expandDims to rank {rank} in an updatable network", "none")


def states_not_answered(model: Model) -> Iterator[Finding]:
    """No output is the state of a recurrent layer: Xcode 11 did not compile such a classifier (turicreate #2048)."""
    layers = network_of(model).layers
    named = {str(model.description.predictedFeatureName), str(model.description.predictedProbabilitiesName)}
    outputs = [str(feature.name) for feature in model.description.output if feature.name not in named]
    for index, layer in enumerate(layers):
        states = {str(blob) for blob in layer.output[1:]} if layer_kind(layer) in _RECURRENT else set[str]()
        for name in outputs if states else ():
            if _copied(layers, name) & states:
                result = f"writes its state to the output '{name}' of an updatable model"
                yield Finding(place(index, layer), result, "no state among the outputs")
                break


def _copied(layers: Sequence[NeuralNetworkLayer], blob: str) -> set[str]:
    """Return ``blob`` and the blobs that it contains unchanged: concatenated or reshaped, not computed."""
    copies = [layer for layer in layers if layer_kind(layer) in _COPIES]
    return {blob, *(str(name) for index in needed_layers(copies, [blob]) for name in copies[index].input)}


def squared_error_on_linear_head(model: Model) -> Iterator[Finding]:
    """Mean squared error does not read an inner product directly, because the update would fail (coremltools #1983)."""
    network = network_of(model)
    loss = loss_blobs(network)
    index = producers(network.layers).get(loss[0]) if loss is not None and not is_cross_entropy(network) else None
    if index is not None and layer_kind(network.layers[index]) == "innerProduct":
        where = place(index, network.layers[index])
        yield Finding("loss", f"squared error reads {where}, an inner product", "an activation between them")


def _between(model: Model) -> list[int]:
    """Return the frozen layers that the gradient of an updatable layer passes through."""
    network = network_of(model)
    loss = loss_blobs(network)
    updatable = {index for index, _ in updatable_layers(model)}
    behind = _behind(network.layers, updatable)
    needed = needed_layers(network.layers, [loss[0]]) if loss is not None else []
    return [index for index in needed if index in behind and index not in updatable]


def _behind(layers: Sequence[NeuralNetworkLayer], marked: set[int]) -> dict[int, int]:
    """Map each layer to one marked layer before it that it depends on; in a single pass."""
    result: dict[int, int] = {}
    carrying: dict[str, int] = {}  # blob -> the last marked layer that it depends on
    for index, layer in enumerate(layers):
        before = [carrying[str(blob)] for blob in layer.input if blob in carrying]
        if before:
            result[index] = max(before)
        if before or index in marked:
            carrying.update({str(blob): index if index in marked else max(before) for blob in layer.output})
    return result
