"""Convert a network that outputs one number, the logit of two classes or its sigmoid, to a network of both classes.

sigmoid(z) is the second value of softmax([0, z]), and 1 - sigmoid(z) the second of softmax([z, 0]): the other row of
the last layer's weights is zero.
"""

from dataclasses import dataclass

import numpy as np

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.affine import affine_of, constants_of, data_input
from coreml_updatable.marking.building_blocks import as_inner_product, drop_rank_hints, output_channels
from coreml_updatable.marking.clearing import named_kind
from coreml_updatable.marking.folding import fold_tail
from coreml_updatable.marking.head import read_weights, write_weights
from coreml_updatable.marking.path import HEADS
from coreml_updatable.marking.tail import answer_blob, is_elementwise
from coreml_updatable.spec.graph import RESHAPES, consumers, layer_kind, place, producers
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer, copy_of
from coreml_updatable.spec.network import is_network, network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count


@dataclass(frozen=True)
class End:
    """The indices of the layers after the logits, last first, and whether one of them is a sigmoid.

    ``sign`` is -1 where the answer is one minus that sigmoid. ``blob`` holds the logits.
    """

    layers: tuple[int, ...]
    sigmoid: bool
    sign: int
    blob: str


def answers_one_number(model: Model) -> bool:
    """Return whether the network ``model`` is known to output one number per row."""
    if not is_network(model) or model.WhichOneof("Type") == "neuralNetworkClassifier":
        return False
    shape = blob_shapes(model).get(answer_blob(model))
    return shape is not None and element_count(shape) == 1


def end_of(model: Model) -> End:
    """Return what follows the logits of a network: a sigmoid, one minus it, and changes of shape."""
    network = network_of(model)
    written, constants, shapes = producers(network.layers), constants_of(network), blob_shapes(model)
    blob, result = answer_blob(model), list[int]()
    factor, offset = 1.0, 0.0  # of what stands behind ``blob``
    while blob in written:
        layer = network.layers[written[blob]]
        source = data_input(layer, constants)
        if source is None:
            break
        result.append(written[blob])
        if is_sigmoid(layer):
            if (factor, offset) not in ((1, 0), (-1, 1)):
                break
            return End(tuple(result), True, int(factor), source)
        affine = affine_of(layer, shapes.get(source), constants)
        if affine is not None and affine.factor.size == affine.offset.size == 1:
            offset, factor = factor * float(affine.offset[0]) + offset, factor * float(affine.factor[0])
        elif layer_kind(layer) not in RESHAPES:
            break
        blob = source
    return End((), False, 1, answer_blob(model))


def is_sigmoid(layer: NeuralNetworkLayer) -> bool:
    return layer_kind(layer) == "activation" and layer.activation.WhichOneof("NonlinearityType") == "sigmoid"


def two_classes(model: Model) -> tuple[Model, list[str]]:
    """Return the network ``model``, which outputs one number, with the logits of two classes, and what was done.

    Raises ModelError if no innerProduct or convolution computes that number alone.
    """
    result = copy_of(model)
    notes = fold_tail(result)
    end = end_of(result)
    head, dropped, factor, offset = _head_of(result, end.blob)
    network, answer = network_of(result), answer_blob(result)
    layer = network.layers[head]
    where = place(head, layer)
    if layer_kind(layer) == "batchedMatmul":
        layer.CopyFrom(as_inner_product(layer))
    weights, bias = read_weights(layer, where)
    weights, bias = weights * factor, bias * factor + offset
    pairs = [(np.zeros_like(weights), np.zeros_like(bias)), (weights, bias)][:: end.sign]
    doubled, biases = (np.concatenate([pair[part] for pair in pairs]) for part in (0, 1))
    write_weights(layer, doubled.astype(np.float32), biases.astype(np.float32), 2)
    gone = {*end.layers, *dropped}
    behind = _without(result, gone)
    drop_rank_hints(network.layers, behind | {answer})
    for feature in result.description.output:
        if feature.name == answer and feature.type.WhichOneof("Type") == "multiArrayType":
            del feature.type.multiArrayType.shape[:]
    what = "its sigmoid became their softmax" if end.sigmoid else "its single output was their logit"
    return result, [*notes, f"{where}: now computes the logits [0, z] of two classes; {what}"]


def without_end(model: Model) -> tuple[Model, list[str]]:
    """Return ``model`` without the activation that bounds the output of its last layer, and what was done.

    A new head learns its own numbers, followed by a softmax, so the old end is not needed.
    """
    result = copy_of(model)
    fold_tail(result)
    network, answer = network_of(result), answer_blob(result)
    constants, written = constants_of(network), producers(network.layers)
    blob, gone = answer, list[int]()
    while blob in written:
        layer = network.layers[written[blob]]
        source = data_input(layer, constants)
        if source is None or not (
            is_elementwise(layer) or layer_kind(layer) in RESHAPES or layer_kind(layer) == "unary"
        ):
            break
        gone.append(written[blob])
        blob = source
    ends = [index for index in gone if layer_kind(network.layers[index]) not in RESHAPES]
    while blob in written and layer_kind(network.layers[written[blob]]) in (*RESHAPES, "reduceMean", "pooling"):
        blob = str(network.layers[written[blob]].input[0])
    if not ends or blob not in written or layer_kind(network.layers[written[blob]]) not in (*HEADS, "batchedMatmul"):
        return model, []
    notes = [
        f"{place(end, network.layers[end])}: {named_kind(network.layers[end])} was removed, because a softmax "
        "follows the new head"
        for end in ends
    ]
    _without(result, set(ends))
    return result, notes


def _head_of(model: Model, blob: str) -> tuple[int, list[int], float, float]:
    """Return the one-output layer behind ``blob``, the layers between them except averages, and their effect.

    That is a change of shape, or a factor and an offset, which are those of an average as well.
    """
    network, shapes = network_of(model), blob_shapes(model)
    written, read, constants = producers(network.layers), consumers(network.layers), constants_of(network)
    dropped, factor, offset = list[int](), 1.0, 0.0
    while blob in written and len(read.get(blob, [])) <= 1:
        index = written[blob]
        layer, kind = network.layers[index], layer_kind(network.layers[index])
        if kind in (*HEADS, "batchedMatmul"):
            if output_channels(layer) == 1 and not (kind == "convolution" and layer.convolution.isDeconvolution):
                return index, dropped, factor, offset
            break
        source = data_input(layer, constants)
        if source is None:
            break
        affine = affine_of(layer, shapes.get(source), constants)
        if affine is not None and affine.factor.size == affine.offset.size == 1:
            offset, factor = factor * float(affine.offset[0]) + offset, factor * float(affine.factor[0])
            dropped.append(index)
        elif kind in RESHAPES:
            dropped.append(index)
        elif kind != "reduceMean" and not (kind == "pooling" and layer.pooling.type == layer.pooling.AVERAGE):
            break
        blob = source
    raise ModelError(
        "network: has a single output that does not come from one innerProduct or convolution, so it cannot be "
        "turned into two; make a new head: --head new --labels a,b"
    )


def _without(model: Model, gone: set[int]) -> set[str]:
    """Remove the layers ``gone`` in place, connecting what they read to what they wrote; return the affected blobs."""
    network = network_of(model)
    answer, blobs = answer_blob(model), set[str]()
    constants = constants_of(network)
    source: dict[str, str] = {}
    for index in gone:
        layer = network.layers[index]
        source[str(layer.output[0])] = str(data_input(layer, constants))
    for index in sorted(gone, reverse=True):
        del network.layers[index]

    def origin(blob: str) -> str:
        while blob in source:
            blob = source[blob]
        return blob

    new = {origin(answer): answer} if answer in source else {}
    for layer in network.layers:
        layer.input[:] = [new.get(origin(str(blob)), origin(str(blob))) for blob in layer.input]
        layer.output[:] = [new.get(str(blob), str(blob)) for blob in layer.output]
        blobs |= {str(blob) for blob in layer.output if str(blob) in new.values()}
    return blobs
