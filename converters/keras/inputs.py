"""The inputs of a Keras model: pictures or arrays."""

from collections.abc import Sequence
from typing import Any

from coreml_updatable.data.inputs import ArrayInput, ImageInput, Input
from coreml_updatable.errors import SourceError

from .._shared.picture_layout import as_typed, channels_last, picture_in


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
    for item, tensor in zip(given, own, strict=True):
        result, wanted = _channels_last(item), tuple(tensor.shape[1:])
        fits = len(result) == len(wanted) and all(w in (None, f) for f, w in zip(result, wanted, strict=True))
        if not fits and not has_channels_first(item, tensor):
            raise SourceError(
                f"input {item.name!r}: has the shape {list(result)}, but the model expects "
                f"{[length or 'any' for length in wanted]}; pass {_typed(item.name, tensor)}"
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
    result = picture_in(shape, picture)
    if result is not None:
        return result
    return ArrayInput(str(tensor.name), shape, whole=str(tensor.dtype).startswith("int"))
