"""The inputs of each kind of model, and rows for the comparison."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from coreml_updatable.converting.contract import Row, SourceRequest
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError

from .folder import Folder

SAMPLES, TOKENS = 16_000, 128  # of a waveform (a second) and of a text, unless the input is named
ROWS = 4


@dataclass(frozen=True)
class ReadInputs:
    """Return the inputs, the request with the folder's normalization, and rows (empty for any)."""

    inputs: tuple[ImageInput | ArrayInput, ...]
    request: SourceRequest
    rows: tuple[Row, ...] = ()


def read_inputs(folder: Folder, request: SourceRequest) -> ReadInputs:
    most = 2 if folder.kind == "text" else 1
    if len(request.inputs) > most:
        raise SourceError(
            f"input: found {len(request.inputs)}, expected at most {most} for a {folder.kind} model; remove some"
        )
    match folder.kind:
        case "picture":
            return _picture(folder, request)
        case "text":
            return _text(folder, request)
    if folder.kind == "waveform":
        own = ArrayInput("waveform", (SAMPLES,))
    else:
        own = ArrayInput("spectrogram", (folder.number("max_length", 1024), folder.number("num_mel_bins", 128)))
    given = request.inputs[0] if request.inputs else own
    if not _fits(given, own):
        size = "x".join(map(str, own.shape))
        raise SourceError(
            f"input {given.name!r}: does not fit a {folder.kind}, expected an array of {size}; pass --input "
            f"{given.name}:{size}:array"
        )
    return ReadInputs((given,), request)


def _fits(given: ImageInput | ArrayInput, own: ArrayInput) -> bool:
    """A waveform may have any length."""
    if not isinstance(given, ArrayInput) or given.whole:
        return False
    return given.shape == own.shape or len(given.shape) == len(own.shape) == 1


def _picture(folder: Folder, request: SourceRequest) -> ReadInputs:
    channels = folder.number("num_channels", 3)
    if channels not in (1, 3):
        raise SourceError(f"{folder.path}: takes {channels} channels, expected 1 or 3; use a model for pictures")
    width, height = _size(folder)
    own = ImageInput("image", width, height, "rgb" if channels == 3 else "grayscale")
    given = request.inputs[0] if request.inputs else own
    if not isinstance(given, ImageInput) or given.channels != channels:
        raise SourceError(
            f"input {given.name!r}: does not fit, expected a picture; pass --input image:{width}x{height}"
        )
    if not (request.mean or request.std):
        mean, std = _normalisation(folder, channels)
        request = replace(request, mean=mean, std=std)
    return ReadInputs((given,), request)


def _size(folder: Folder) -> tuple[int, int]:
    size = folder.config.get("image_size", 224)
    if isinstance(size, list) and len(size) == 2 and all(isinstance(item, int) and item > 0 for item in size):
        return size[1], size[0]
    side = folder.number("image_size", 224)
    return side, side


def _normalisation(folder: Folder, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std for pixels in 0..1; the preprocessor multiplies 0..255 by a factor before using its own."""
    settings = folder.preprocessor
    if settings is None:
        raise SourceError(
            f"{folder.path}: has no preprocessor_config.json, so the scaling of pictures is unknown; add the file, "
            "or pass --mean and --std, or --pixels"
        )
    factor = 255 * _number(settings, "rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 255.0
    if not settings.get("do_normalize", True):
        return (0.0,) * channels, (1 / factor,) * channels
    mean, std = settings.get("image_mean", [0.5] * channels), settings.get("image_std", [0.5] * channels)
    if not (_all_numbers(mean, channels) and _all_numbers(std, channels) and all(std)):
        raise SourceError(
            f"{folder.path}/preprocessor_config.json: image_mean or image_std is not one number per channel; correct it"
        )
    return tuple(item / factor for item in mean), tuple(item / factor for item in std)


def _number(settings: Mapping[str, Any], name: str, default: float) -> float:
    value = settings.get(name, default)
    return float(value) if isinstance(value, int | float) and value else default


def _all_numbers(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(isinstance(value, int | float) for value in values)


def _text(folder: Folder, request: SourceRequest) -> ReadInputs:
    """Return token ids, and a mask that is 1 for tokens and 0 after the text."""
    given = request.inputs or (ArrayInput("input_ids", (TOKENS,), whole=True),)
    longest, words = folder.number("max_position_embeddings", 512), folder.number("vocab_size", 30522)
    lengths = [item.shape for item in given if isinstance(item, ArrayInput) and len(item.shape) == 1]
    if len(lengths) < len(given) or len(set(lengths)) > 1 or lengths[0][0] > longest:
        raise SourceError(
            f"input {given[-1].name!r}: does not fit a text, expected at most {longest} token ids and a mask of the "
            f"same length; pass --input {given[-1].name}:{min(TOKENS, longest)}:tokens"
        )
    length = lengths[0][0]
    names = [item.name for item in given]
    ids = ArrayInput(names[0], (length,), whole=True)
    mask = ArrayInput(names[1] if len(names) > 1 else "attention_mask", (length,), whole=True)
    generator, rows = np.random.default_rng(request.seed), list[Row]()
    for index in range(ROWS):
        tokens = max(1, length - index * length // ROWS)
        here = (np.arange(length) < tokens).astype(np.int32)
        rows.append({ids.name: (generator.integers(0, words, length) * here).astype(np.int32), mask.name: here})
    return ReadInputs((ids, mask), request, tuple(rows))
