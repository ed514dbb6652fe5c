"""How the pixels of a picture reach a network: as somebody said, or as 0..1, which is told then."""

import math
from collections.abc import Sequence

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError

UNTOLD = "pictures reach it as 0..1; say --pixels, or --mean and --std, if it expects them otherwise"


def notes_on_scaling(inputs: Sequence[ImageInput | ArrayInput], request: SourceRequest) -> tuple[str, ...]:
    """A note where there is a picture and nobody said what is expected of it."""
    pictures = any(isinstance(one, ImageInput) for one in inputs)
    return (UNTOLD,) if pictures and not (request.mean or request.std) else ()


def mean_and_std(request: SourceRequest, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of each channel; a SourceError for any other count, or for a deviation that nothing can be divided by."""
    if not all(0 < abs(one) < math.inf for one in request.std):
        raise SourceError("--std: holds a number that is 0 or endless, expected others to divide by; correct it")
    if not all(map(math.isfinite, request.mean)):
        raise SourceError("--mean: holds a number that is not finite, expected such as 0.485; correct it")
    return _spread("--mean", request.mean, 0.0, channels), _spread("--std", request.std, 1.0, channels)


def _spread(option: str, values: tuple[float, ...], default: float, channels: int) -> tuple[float, ...]:
    """One value is for all channels."""
    given = values or (default,)
    if len(given) not in (1, channels):
        raise SourceError(
            f"{option}: has {len(given)} values, expected {channels}, one a channel of the picture, or one for all; "
            "correct it"
        )
    return given * channels if len(given) == 1 else given
