"""Whether a Keras model scales pixels of 0..255 by itself, as most of its pictures' models do, and so wants them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from coreml_updatable.conversion import ImageInput, SourceRequest

from .keras_inputs import Input
from .keras_reading import import_keras

# Values that are taken away, or divided by, above this are of 0..255: no pixels of 0..1 spread or lie so far.
MOST_OF_UNIT = 16
SCALING = {"Rescaling", "Normalization", "TrueDivide", "Divide", "Multiply", "Subtract", "Add"}
# What a picture passes with its pixels in the range in which they were; beside all Random... layers.
PASSING = {"Resizing", "CenterCrop", "ZeroPadding2D", "Cropping2D", "Permute", "Reshape", "Concatenate", "Identity"}
PASSING |= {"Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "GetItem", "Stack", "Cast"}

Place = tuple[Any, Any]  # a graph of layers, and a tensor in it


def as_it_takes_them(model: Any, inputs: Sequence[Input], request: SourceRequest) -> tuple[SourceRequest, list[str]]:
    """``request`` with pictures of 0..255 where the model's first layers scale such, and a note that says so.

    What the request says of its pictures itself stands as it is.
    """
    if request.mean or request.std:
        return request, []
    names = set[str]()
    for given, tensor in zip(inputs, model.inputs, strict=True):
        if isinstance(given, ImageInput):
            found = _first_on((_graph(model), tensor))
            if not found or None in found:
                return request, []
            names |= {name for name in found if name is not None}
    if not names:
        return request, []
    layers = " and ".join(map(repr, sorted(names)))
    takes = f"layer {layers} takes" if len(names) == 1 else f"layers {layers} take"
    note = f"{takes} pixels of 0..255, so they reach it as such; say --pixels if it expects them otherwise"
    return replace(request, mean=(0.0,), std=(1 / 255,)), [note]


def _first_on(start: Place) -> set[str | None]:
    """The layers that first compute with the picture ``start``: by name where they scale 0..255, None for others."""
    keras = import_keras()
    waiting: list[tuple[Place, ...]] = [(start,)]
    seen, found = set[tuple[int, ...]](), set[str | None]()
    while waiting:
        places = waiting.pop()
        outer, (graph, tensor) = places[:-1], places[-1]
        key = tuple(id(reached) for _, reached in places)
        if key in seen:
            continue
        seen.add(key)
        if outer and any(tensor is one for one in graph.outputs):  # through a model in the model
            waiting.append(outer)
        for layer, node in _readers(graph, tensor):
            kind = type(layer).__name__
            behind = [(*outer, (graph, one)) for one in node.outputs]
            if isinstance(layer, keras.Model):
                inner, number = _graph(layer), [one is tensor for one in node.input_tensors].index(True)
                waiting += [(*way, (inner, inner.inputs[number])) for way in behind]
            elif kind in PASSING or kind.startswith("Random"):
                waiting += behind
            else:
                found.add(str(layer.name) if kind in SCALING and _scales_bytes(layer, node, tensor) else None)
    return found


def _graph(model: Any) -> Any:
    return getattr(model, "_functional", None) or model  # a Sequential has its graph within


def _readers(graph: Any, tensor: Any) -> Iterator[tuple[Any, Any]]:
    for layer in getattr(graph, "operations", ()):
        for node in layer._inbound_nodes:
            if any(one is tensor for one in node.input_tensors):
                yield layer, node


def _scales_bytes(layer: Any, node: Any, tensor: Any) -> bool:
    """Whether it divides by, or takes away, more than pixels of 0..1 could ask for, as black and white show."""
    keras = import_keras()
    given = node.arguments.args
    if [one is tensor for one in given].count(True) != 1 or len(node.input_tensors) != 1:
        return False
    shape = [length or 1 for length in tensor.shape]
    black, white = (
        keras.ops.convert_to_numpy(layer(*(pixels if one is tensor else one for one in given)))
        for pixels in (keras.ops.zeros(shape), keras.ops.ones(shape))
    )
    scale = np.abs(white - black)
    return bool(0 < scale.max() < 1 / MOST_OF_UNIT or (np.abs(black) > MOST_OF_UNIT * scale).any())
