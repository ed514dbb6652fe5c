"""What a Keras model is given: pictures where its input looks like one, arrays else."""

from collections.abc import Sequence
from typing import Any

from coreml_updatable.conversion import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError

Input = ImageInput | ArrayInput


def inputs_of(model: Any, given: Sequence[Input]) -> tuple[Input, ...]:
    """The inputs in the model's order: ``given``, as many and of the same shapes, else the model's own."""
    own = getattr(model, "inputs", None)
    if not own:
        raise SourceError("source: the model has not been built, expected known inputs; call it once and save it again")
    if not given:
        return tuple(_own(tensor, "image" if len(own) == 1 else str(tensor.name)) for tensor in own)
    if len(given) != len(own):
        names = ", ".join(repr(str(tensor.name)) for tensor in own)
        raise SourceError(f"input: {len(given)} given, the model has {len(own)} ({names}); say --input once for each")
    for one, tensor in zip(given, own, strict=True):
        found, wanted = _channels_last(one), tuple(tensor.shape[1:])
        if len(found) != len(wanted) or any(w not in (None, f) for f, w in zip(found, wanted, strict=True)):
            raise SourceError(
                f"input {one.name!r}: has the shape {list(found)}, the model expects {list(wanted)}; "
                "name it as the model has it, pictures as NAME:WIDTHxHEIGHT"
            )
    return tuple(given)


def _channels_last(given: Input) -> tuple[int, ...]:
    return given.shape if isinstance(given, ArrayInput) else (given.height, given.width, given.channels)


def _own(tensor: Any, picture: str) -> Input:
    shape = tuple(tensor.shape[1:])
    if None in shape or not shape:
        raise SourceError(
            f"input {str(tensor.name)!r}: has no fixed shape ({list(shape)}), expected one; say it with --input"
        )
    if len(shape) == 3 and shape[2] in (1, 3):
        return ImageInput(picture, shape[1], shape[0], "rgb" if shape[2] == 3 else "grayscale")
    return ArrayInput(str(tensor.name), shape, whole=str(tensor.dtype).startswith("int"))
