"""Fold separate scale and bias layers into the layer before them.

Old writers (MNIST-era files, Caffe) put ``bias`` and ``scale`` after an ``innerProduct``, others an addition of a
constant. These layers block the gradient, so nothing before them could be trained.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from coreml_updatable.marking.affine import Affine, Constants, affine_of, constants_of, data_input
from coreml_updatable.marking.building_blocks import as_inner_product, output_channels
from coreml_updatable.marking.tail import SOFTMAXES, answer_blob, is_vector
from coreml_updatable.marking.widening import widen_layer
from coreml_updatable.spec.graph import RESHAPES, consumers, layer_kind, needed_layers, place, producers
from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import Model, NeuralNetwork, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count
from coreml_updatable.spec.weights import decode, write_floats

_SHIFTS = ("add", "addBroadcastable", "subtractBroadcastable")
_LAST_LOOKED_AT = "convolution"  # what stands before it is the front, which stays as it is


def fold_tail(model: Model, *, classify: bool = False) -> list[str]:
    """Fold what can be folded between the output and the last convolution, in place; return one line for each change.

    If a softmax will be the last layer (``classify``), terms that are added to all logits of a row are removed, too.
    """
    notes = _drop_shifts(model) if classify else list[str]()
    constants = constants_of(network_of(model))
    while (note := _fold_one(model, constants)) is not None:
        notes.append(note)
    if notes:
        drop_unread_constants(model)
    return notes


def linear_into(layer: NeuralNetworkLayer, affine: Affine, where: str) -> None:
    """Fold y = factor (W x + b) + offset into one innerProduct or convolution with bias, in place, as 32-bit floats."""
    widen_layer(layer, where)
    params = getattr(layer, layer_kind(layer))
    count = int(params.outputChannels)
    bias = decode(params.bias, (count,), f"{where}: bias") if params.hasBias else np.zeros(count)
    if (affine.factor != 1).any():
        size = len(params.weights.floatValue)
        weights = decode(params.weights, (count, size // count), f"{where}: weights")
        factors = np.broadcast_to(affine.factor, count)
        write_floats(params.weights, weights * factors[:, None])
    params.hasBias = True
    write_floats(params.bias, bias * affine.factor + affine.offset)


def can_take(layer: NeuralNetworkLayer, shape: Shape | None) -> bool:
    """Return whether a factor and an offset can be folded into ``layer``, which writes ``shape``."""
    kind = layer_kind(layer)
    if len(layer.input) != 1:
        return False
    if kind == "batchedMatmul":  # from rank 4 on its last axis is not that of the channels
        return shape is not None and len(shape) < 4
    return kind == "innerProduct" or (kind == "convolution" and not layer.convolution.isDeconvolution)


def drop_unread_constants(model: Model) -> None:
    network = network_of(model)
    constants, read = constants_of(network), consumers(network.layers)
    shown = {str(feature.name) for feature in model.description.output}
    for index in reversed(range(len(network.layers))):
        layer = network.layers[index]
        blobs = {str(blob) for blob in layer.output}
        if blobs <= constants.keys() and not (blobs & (read.keys() | shown)):
            del network.layers[index]
            read = consumers(network.layers)


def _fold_one(model: Model, constants: Constants) -> str | None:
    network = network_of(model)
    layers, shapes = network.layers, blob_shapes(model)
    shown = {str(feature.name) for feature in model.description.output}
    read = consumers(layers)
    numbers = _chain(network, answer_blob(model), constants)
    for number in numbers:
        layer = layers[number]
        source = data_input(layer, constants)
        before = producers(layers).get(source) if source is not None else None
        if source is None or before is None or not can_take(layers[before], shapes.get(source)):
            continue
        affine = affine_of(layer, shapes.get(source), constants)
        if affine is None or len(read[source]) > 1 or source in shown:
            continue
        if not {affine.factor.size, affine.offset.size} <= {1, output_channels(layers[before])}:
            continue
        where, into = place(number, layer), place(before, layers[before])
        if layer_kind(layers[before]) == "batchedMatmul":
            layers[before].CopyFrom(as_inner_product(layers[before]))
        linear_into(layers[before], affine, into)
        layers[before].output[:] = layer.output
        del layers[number]
        return f"{where}: {layer_kind(layer)} was folded into {into}, because it blocks the gradient"
    return None


def _drop_shifts(model: Model) -> list[str]:
    """Replace z - mean(z), z - max(z) and the like before the softmax by z, in place: softmax ignores the shift.

    The layer stays as one that does nothing, and is then folded.
    """
    network, notes = network_of(model), list[str]()
    written, shapes, blob = producers(network.layers), blob_shapes(model), answer_blob(model)
    outputs = [str(feature.name) for feature in model.description.output]
    before = needed_layers(network.layers, [*outputs, blob])
    while blob in written:
        layer = network.layers[written[blob]]
        kind = layer_kind(layer)
        if kind in _SHIFTS and len(layer.input) == 2:
            kept = _shifted(layer, shapes)
            if kept is None:
                break
            layer.input[:] = [kept]
            layer.activation.linear.alpha = 1
            notes.append(
                f"{place(written[blob], layer)}: is removed: it adds the same number to all logits, which does not "
                "change a softmax"
            )
        elif kind not in (*RESHAPES, *SOFTMAXES) and not (kind == "unary" and layer.unary.type == layer.unary.LOG):
            break
        blob = str(layer.input[0])
    if notes:
        after = set(needed_layers(network.layers, [*outputs, answer_blob(model)]))
        for index in sorted(set(before) - after, reverse=True):
            del network.layers[index]
    return notes


def _shifted(layer: NeuralNetworkLayer, shapes: Mapping[str, Shape]) -> str | None:
    """Return the logits, one vector per row, to which ``layer`` adds a number per row; None if it does not."""
    first, second = (str(blob) for blob in layer.input)
    pairs = [(first, second)] if layer_kind(layer) == "subtractBroadcastable" else [(first, second), (second, first)]
    for logits, shift in pairs:
        shape, one = shapes.get(logits), shapes.get(shift)
        if shape is None or one is None or not is_vector(shape) or element_count(one) != 1:
            continue
        if (element_count(shape) or 0) > 1 and shapes.get(str(layer.output[0])) == shape:
            return logits
    return None


def _chain(network: NeuralNetwork, blob: str, constants: Constants) -> Sequence[int]:
    """Return the indices of the layers before ``blob``, nearest first, up to the first convolution or branch."""
    written, result = producers(network.layers), list[int]()
    following: str | None = blob
    while following in written and written[following] not in result:
        index = written[following]
        result.append(index)
        if layer_kind(network.layers[index]) == _LAST_LOOKED_AT:
            break
        following = data_input(network.layers[index], constants)
    return result
