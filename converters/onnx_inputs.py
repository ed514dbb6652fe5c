"""What an ONNX graph is given: pictures where its input looks like one, arrays else."""

from collections.abc import Sequence
from typing import Any

from coreml_updatable.conversion import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError

Input = ImageInput | ArrayInput


def inputs_of(model: Any, given: Sequence[Input]) -> tuple[Input, ...]:
    """The inputs in the graph's order: ``given``, as many and of the same shapes, else the graph's own."""
    constants = {one.name for one in model.graph.initializer}
    own = [one for one in model.graph.input if one.name not in constants]
    if len(model.graph.output) != 1:
        names = ", ".join(repr(one.name) for one in model.graph.output) or "none"
        raise SourceError(
            f"source: has {len(model.graph.output)} outputs ({names}), expected one, with logits or probabilities; "
            "export the classifier alone"
        )
    if not given:
        return tuple(_own(one, "image" if len(own) == 1 else one.name) for one in own)
    if len(given) != len(own):
        names = ", ".join(repr(one.name) for one in own)
        raise SourceError(f"input: {len(given)} given, the graph has {len(own)} ({names}); say --input once for each")
    for one, value in zip(given, own, strict=True):
        found = one.shape if isinstance(one, ArrayInput) else (one.channels, one.height, one.width)
        wanted = _shape(value)
        if len(found) != len(wanted) or any(w not in (0, f) for f, w in zip(found, wanted, strict=True)):
            raise SourceError(
                f"input {one.name!r}: has the shape {list(found)}, the graph expects {[w or 'any' for w in wanted]}; "
                "name it as the graph has it, pictures as NAME:WIDTHxHEIGHT"
            )
    return tuple(given)


def _shape(value: Any) -> tuple[int, ...]:
    """Without the batch; 0 where any length will do."""
    lengths = [int(one.dim_value) for one in value.type.tensor_type.shape.dim]
    if not lengths or lengths[0] > 1:
        raise SourceError(
            f"input {value.name!r}: has the shape {lengths}, expected a batch of 1 or of any size first; export it so"
        )
    return tuple(lengths[1:])


def is_whole(value: Any) -> bool:
    from onnx import TensorProto

    return value.type.tensor_type.elem_type in (TensorProto.INT32, TensorProto.INT64)


def _own(value: Any, picture: str) -> Input:
    shape = _shape(value)
    if not shape or 0 in shape:
        found = [length or "any" for length in shape]
        raise SourceError(f"input {value.name!r}: has no fixed shape ({found}), expected one; say it with --input")
    if len(shape) == 3 and shape[0] in (1, 3):
        return ImageInput(picture, shape[2], shape[1], "rgb" if shape[0] == 3 else "grayscale")
    return ArrayInput(value.name, shape, whole=is_whole(value))
