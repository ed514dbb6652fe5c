"""Layers that only rearrange numbers: remove or replace them where they block an update.

Transposes in the tail: the layer that reads the transposed data is changed to read the original. Keras and TensorFlow
keep the channels last, so a converted network transposes its features before it averages or flattens them. A
``transpose`` blocks the gradient, and layers of rank 4 have their channels on axis -3.

``expandDims`` to rank 5, which converters write before a recurrent layer: MLUpdateTask failed in that layer's kernel
("Output rank cannot be more than 5 in expand_dims", coremltools #2074). A constant can be stored with all five axes,
and anything else with a fixed shape can be reshaped.
"""

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.marking.affine import constants_of, data_input
from coreml_updatable.marking.building_blocks import as_inner_product, drop_rank_hints, reshape_static
from coreml_updatable.marking.tail import answer_blob, is_elementwise, is_vector
from coreml_updatable.marking.widening import widen_layer
from coreml_updatable.spec.graph import RESHAPES, consumers, layer_kind, place, producers
from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer, copy_of
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes
from coreml_updatable.spec.weights import decode, write_floats

_WIDE = 5


def narrow_expansions(model: Model) -> list[str]:
    """Remove each ``expandDims`` to a known shape of rank 5, in place; return one line if any was removed."""
    layers, shapes = network_of(model).layers, blob_shapes(model)
    replaced = {index: new for index, layer in enumerate(layers) if (new := _narrowed(layer, shapes)) is not None}
    if not replaced:
        return []
    where = place(min(replaced), layers[min(replaced)])
    rewritten = [replaced.get(index) or copy_of(layer) for index, layer in enumerate(layers)]
    shown = {str(feature.name) for feature in model.description.output}
    kept = list(_with_wide_constants(rewritten, set(replaced), shown))
    del layers[:]
    layers.extend(kept)
    drop_rank_hints(layers, {str(new.output[0]) for new in replaced.values()})
    more = f", and {len(replaced) - 1} more" if len(replaced) > 1 else ""
    return [
        f"{where}{more}: expandDims to rank 5 became reshapeStatic, because updates were seen to fail in expandDims"
    ]


def _narrowed(layer: NeuralNetworkLayer, shapes: dict[str, Shape]) -> NeuralNetworkLayer | None:
    shape = shapes.get(str(layer.output[0])) if layer_kind(layer) == "expandDims" and layer.output else None
    if shape is None or len(shape) < _WIDE or shape.count(None) > 1:
        return None
    target = [-1 if length is None else length for length in shape]
    return reshape_static(str(layer.name), str(layer.input[0]), str(layer.output[0]), target)


def _with_wide_constants(
    layers: list[NeuralNetworkLayer], numbers: set[int], shown: set[str]
) -> Iterator[NeuralNetworkLayer]:
    """Store constants that only a reshape reads in the shape of its output."""
    readers = consumers(layers)
    dropped = set[int]()
    for index, layer in enumerate(layers):
        reader = readers.get(str(layer.output[0]), []) if len(layer.output) == 1 else []
        constant = layer_kind(layer) == "loadConstantND" and layer.output[0] not in shown
        if constant and len(reader) == 1 and reader[0] in numbers:
            target = layers[reader[0]]
            layer.loadConstantND.shape[:] = list(target.reshapeStatic.targetShape)
            layer.output[:] = list(target.output)
            dropped.add(reader[0])
        if index not in dropped:
            yield layer


def absorb_transposes(model: Model) -> list[str]:
    """Remove, in place, each transpose before the output that a later layer does not need; return one line for each."""
    notes = list[str]()
    while (note := _absorb_one(model)) is not None:
        notes.append(note)
    return notes


def _absorb_one(model: Model) -> str | None:
    layers, shapes = network_of(model).layers, blob_shapes(model)
    chain = _chain(model)
    for position, index in enumerate(chain):
        layer = layers[index]
        if layer_kind(layer) != "transpose" or is_vector(shapes.get(str(layer.output[0])) or (None,)):
            continue  # the order of a vector is the same either way
        axes = [int(axis) for axis in layer.transpose.axes]
        behind = [layers[following] for following in reversed(chain[:position])]
        done = _absorbed_by(axes, shapes, str(layer.input[0]), behind)
        if done is None:
            continue
        where = place(index, layer)
        for following in layers:
            following.input[:] = [str(layer.input[0]) if b == layer.output[0] else str(b) for b in following.input]
        del layers[index]
        return f"{where}: transpose was removed: {done}"
    return None


def _chain(model: Model) -> list[int]:
    """Return the layers before the output, nearest first, as long as each reads one blob that nothing else uses."""
    network = network_of(model)
    constants = constants_of(network)
    written, read = producers(network.layers), consumers(network.layers)
    shown = {str(feature.name) for feature in model.description.output}
    blob: str | None = answer_blob(model)
    chain = list[int]()
    while blob in written and (not chain or (len(read[blob]) == 1 and blob not in shown)):
        chain.append(written[blob])
        blob = data_input(network.layers[written[blob]], constants)
    return chain


def _absorbed_by(
    axes: list[int], shapes: dict[str, Shape], source: str, behind: list[NeuralNetworkLayer]
) -> str | None:
    """Change the layer that does not need the transpose; return what was done, or None if there is no such layer."""
    shape = shapes.get(source)
    lengths = [length for length in shape or () if length is not None]
    if shape is None or len(lengths) != len(shape) or sorted(axes) != list(range(len(shape))):
        return None
    flat = False
    for layer in behind:
        kind, name = layer_kind(layer), f"{layer_kind(layer)} {str(layer.name)!r}"
        if is_elementwise(layer):
            continue
        if kind in RESHAPES and is_vector(shapes.get(str(layer.output[0])) or (None,)):
            flat = True
        elif kind == "reduceMean" and not flat and _mean_elsewhere(layer, axes):
            return f"{name} now averages over the original axes"
        elif kind in ("innerProduct", "batchedMatmul") and flat:
            order = np.arange(prod(lengths)).reshape(lengths).transpose(axes).ravel()
            return f"the weights of {name} were reordered" if _reorder(layer, order) else None
        else:
            return None
    return None


def _mean_elsewhere(layer: NeuralNetworkLayer, axes: list[int]) -> bool:
    """Let the mean run over the axes before the transpose, if the order of the others stays the same."""
    params = layer.reduceMean
    averaged = {axes[int(axis) % len(axes)] for axis in params.axes}
    left = [axis for axis in axes if axis not in averaged]
    if params.keepDims or params.reduceAll or left != sorted(left):
        return False
    params.axes[:] = sorted(averaged)
    return True


def _reorder(layer: NeuralNetworkLayer, order: NDArray[np.int64]) -> bool:
    """Move each column of the weights to the new position of its input."""
    if layer_kind(layer) == "batchedMatmul":
        layer.CopyFrom(as_inner_product(layer))  # the same on a vector
    params = layer.innerProduct
    if params.inputChannels != len(order) or len(layer.input) != 1:
        return False
    widen_layer(layer, f"layer {layer.name!r}")
    weights = decode(params.weights, (int(params.outputChannels), len(order)), f"layer {layer.name!r}: weights")
    moved = np.empty_like(weights)
    moved[:, order] = weights
    write_floats(params.weights, moved)
    return True
