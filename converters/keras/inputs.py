"""The inputs of a Keras model: pictures or arrays, and whether the model scales pixels of 0..255 itself."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError

from .._shared.picture_layout import as_typed, channels_last, picture_in
from .reading import import_keras

Input = ImageInput | ArrayInput


def inputs_of(model: Any, given: Sequence[Input]) -> tuple[Input, ...]:
    """Return the inputs in the model's order: ``given`` if they fit in number and shape, else the model's own."""
    own = getattr(model, "inputs", None)
    if not own:
        raise SourceError(
            "source: the model has not been built, so its inputs are unknown; call it once and save it again"
        )
    if not given:
        return tuple(_own(tensor, "image" if len(own) == 1 else str(tensor.name)) for tensor in own)
    if len(given) != len(own):
        names = ", ".join(repr(str(tensor.name)) for tensor in own)
        raise SourceError(
            f"input: found {len(given)} for a model with {len(own)} inputs ({names}); pass --input once for each"
        )
    for one, tensor in zip(given, own, strict=True):
        found, wanted = _channels_last(one), tuple(tensor.shape[1:])
        fits = len(found) == len(wanted) and all(w in (None, f) for f, w in zip(found, wanted, strict=True))
        if not fits and not has_channels_first(one, tensor):
            raise SourceError(
                f"input {one.name!r}: has the shape {list(found)}, but the model expects "
                f"{[length or 'any' for length in wanted]}; pass {_typed(one.name, tensor)}"
            )
    return tuple(given)


def has_channels_first(given: Input, tensor: Any) -> bool:
    """Return whether the picture ``given`` fits the input only with the channels first."""
    shape = tuple(length or 0 for length in tensor.shape[1:])
    if not isinstance(given, ImageInput) or len(shape) != 3 or shape[2] in (0, given.channels):
        return False
    return channels_last(given, shape) is False


def _typed(name: str, tensor: Any) -> str:
    return as_typed(name, [length or 0 for length in tensor.shape[1:]], whole=str(tensor.dtype).startswith("int"))


def _channels_last(given: Input) -> tuple[int, ...]:
    return given.shape if isinstance(given, ArrayInput) else (given.height, given.width, given.channels)


def _own(tensor: Any, picture: str) -> Input:
    shape = tuple(tensor.shape[1:])
    if None in shape or not shape:
        raise SourceError(
            f"input {str(tensor.name)!r}: has no fixed shape ({[length or 'any' for length in shape]}); pass "
            f"{_typed(picture if len(shape) == 3 else str(tensor.name), tensor)}"
        )
    if len(shape) == 3 and shape[2] in (1, 3):
        return ImageInput(picture, shape[1], shape[0], "rgb" if shape[2] == 3 else "grayscale")
    found = picture_in(shape, picture)
    if found is not None:
        return found
    return ArrayInput(str(tensor.name), shape, whole=str(tensor.dtype).startswith("int"))


# Values that are taken away, or divided by, above this are of 0..255: no pixels of 0..1 spread or lie so far.
MOST_OF_UNIT = 16
SCALING = {"Rescaling", "Normalization", "TrueDivide", "Divide", "Multiply", "Subtract", "Add"}
# What a picture passes with its pixels in the range in which they were; beside all Random... layers.
PASSING = {"Resizing", "CenterCrop", "ZeroPadding2D", "Cropping2D", "Permute", "Reshape", "Concatenate", "Identity"}
PASSING |= {"Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "GetItem", "Stack", "Cast"}

Place = tuple[Any, Any]  # a graph of layers, and a tensor in it


def as_it_takes_them(model: Any, inputs: Sequence[Input], request: SourceRequest) -> tuple[SourceRequest, list[str]]:
    """Return ``request`` with pictures of 0..255 if the model's first layers scale them, and a note that says so.

    What the request itself says about its pictures takes precedence.
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
    note = f"{takes} pixels of 0..255, so it receives them unscaled; use --pixels if it expects something else"
    return replace(request, mean=(0.0,), std=(1 / 255,)), [note]


def _first_on(start: Place) -> set[str | None]:
    """Yield the first layers that use the picture ``start``: the name if they scale 0..255, else None."""
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
    """Return whether it scales black and white more strongly than pixels of 0..1 would need."""
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
