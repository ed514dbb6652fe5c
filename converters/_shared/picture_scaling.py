"""The scaling of the pixels that a network receives: as requested, or 0..1 with a note."""

import math
from collections.abc import Sequence

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError

UNTOLD = "pixels are passed as 0..1; use --pixels, or --mean and --std, if it expects something else"


def notes_on_scaling(inputs: Sequence[ImageInput | ArrayInput], request: SourceRequest) -> tuple[str, ...]:
    """Return a note if there is a picture and the request does not say how to scale it."""
    pictures = any(isinstance(value, ImageInput) for value in inputs)
    return (UNTOLD,) if pictures and not (request.mean or request.std) else ()


def mean_and_std(request: SourceRequest, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation per channel; SourceError for a wrong count or a deviation that cannot be a divisor."""
    if not all(0 < abs(item) < math.inf for item in request.std):
        raise SourceError("--std: contains 0 or an infinite number, expected divisors; correct it")
    if not all(map(math.isfinite, request.mean)):
        raise SourceError("--mean: contains NaN or an infinite number, expected numbers such as 0.485; correct it")
    return _spread("--mean", request.mean, 0.0, channels), _spread("--std", request.std, 1.0, channels)


def _spread(option: str, values: tuple[float, ...], default: float, channels: int) -> tuple[float, ...]:
    """Repeat a single value for all channels."""
    given = values or (default,)
    if len(given) not in (1, channels):
        raise SourceError(
            f"{option}: has {len(given)} values, expected {channels}, one per channel of the picture, or one for "
            "all; correct it"
        )
    return given * channels if len(given) == 1 else given
