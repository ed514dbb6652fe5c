"""The order of a picture's channels in a source, first or last, and advice for inputs that do not fit."""

from collections.abc import Sequence

from coreml_updatable.data.inputs import ImageInput, Input

Shape = Sequence[int]  # of one row; 0 where any length will do


def channels_last(given: Input, shape: Shape) -> bool | None:
    """Return whether the picture ``given`` fits ``shape`` with its channels last; None if it fits in neither order.

    If it fits in both orders, the channels are first.
    """
    if not isinstance(given, ImageInput):
        return None
    first, last = (given.channels, given.height, given.width), (given.height, given.width, given.channels)
    for shaped, answer in ((first, False), (last, True)):
        if len(shape) == 3 and all(wanted in (0, found) for wanted, found in zip(shape, shaped, strict=True)):
            return answer
    return None


def picture_in(shape: Shape, name: str) -> ImageInput | None:
    """Return the picture with the shape [channels, height, width] or [height, width, channels]; else None."""
    if len(shape) != 3 or 0 in shape:
        return None
    if shape[0] in (1, 3):
        channels, height, width = shape
    elif shape[2] in (1, 3):
        height, width, channels = shape
    else:
        return None
    return ImageInput(name, width, height, "rgb" if channels == 3 else "grayscale")


def as_typed(name: str, shape: Shape, *, whole: bool = False) -> str:
    """Return the ``--input`` for an input of this shape, with WIDTH, HEIGHT or LENGTH for any length."""
    known = [str(length or "LENGTH") for length in shape]
    if len(shape) == 3 and (shape[0] in (1, 3) or shape[2] in (1, 3)):
        channels, height, width = (shape[0], *shape[1:]) if shape[0] in (1, 3) else (shape[2], *shape[:2])
        gray = ":grayscale" if channels == 1 else ""
        return f"--input {name}:{width or 'WIDTH'}x{height or 'HEIGHT'}{gray}"
    kind = ":tokens" if whole else ":array" if len(shape) == 2 else ""
    return f"--input {name}:{'x'.join(known)}{kind}"
