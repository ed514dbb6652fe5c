"""What weights declare about their training pictures: size, normalization, and how photos were fitted."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coreml_updatable.converting.contract import DeclaredPicture
from coreml_updatable.errors import SourceError

from . import packaged_weights
from .architectures import import_library, published_weights, split_architecture

MOST_BYTES = 2**20  # of a file of settings
SIDE = 224  # where nobody says


def declared_by(architecture: str, weights: Path | None = None, tag: str = "") -> DeclaredPicture:
    """Return it for the architecture's published weights, or for the file ``weights`` if a config.json is beside it.

    timm's folders contain such a file with a ``pretrained_cfg``. ``tag`` names one of torchvision's sets, the newest if
    it is empty; timm's tags are part of the architecture's name.
    """
    if packaged_weights.is_packaged(architecture):
        return packaged_weights.declared(architecture)
    library, name = split_architecture(architecture)
    if library == "timm":
        config = _beside(weights) if weights is not None else None
        if config is not None:
            return _of_timm(config, f"{weights.parent.name}/config.json" if weights is not None else "")
        known = import_library("timm").get_pretrained_cfg(name)
        if known is None:
            return _nothing(name)
        full = f"{name.split('.')[0]}.{known.tag}" if known.tag else name
        return _of_timm(known.to_dict(), f"timm's settings of {full}")
    return _of_torchvision(name, tag)


def pixels_in_words(mean: Sequence[float] | None, std: Sequence[float] | None) -> str:
    """Return text such as "pixels of 0..1, less 0.5, divided by 0.5", with one number if all channels share it."""
    text = "pixels of 0..1"
    for values, word, plain in ((mean, "less", 0.0), (std, "divided by", 1.0)):
        if values is not None and any(value != plain for value in values):
            shown = values[:1] if len(set(values)) == 1 else values
            text += f", {word} {' '.join(f'{value:.4g}' for value in shown)}"
    return text


def fitting_in_words(known: DeclaredPicture, fit: str) -> str:
    """How photos are made to fit, here and by Vision on the phone, and how they were for the weights."""
    text = f"made to fit as Vision's {fit} does on the phone"
    said = [f"{known.interpolation} interpolation"] if known.interpolation else []
    if known.crop is not None and known.crop < 1:
        said.append(f"a crop to {known.crop:.3g} of the shorter side")
    return f"{text}; the weights were trained with {' and '.join(said)}" if said else text


def _nothing(name: str) -> DeclaredPicture:
    return DeclaredPicture(SIDE, SIDE, None, None, None, None, f"nobody: {name} has no published weights")


def _of_torchvision(name: str, tag: str) -> DeclaredPicture:
    weights = published_weights(name, tag)
    if weights is None:
        return _nothing(name)
    transform = weights.transforms()
    side, resized = int(transform.crop_size[0]), int(transform.resize_size[0])
    return DeclaredPicture(
        side,
        side,
        tuple(map(float, transform.mean)),
        tuple(map(float, transform.std)),
        str(transform.interpolation.value),
        side / resized,
        f"torchvision's settings of {weights}",
    )


def _beside(weights: Path) -> Mapping[str, Any] | None:
    """Return the ``pretrained_cfg`` in the config.json beside the weights file, if any."""
    path = weights.parent / "config.json"
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return None
    try:
        result = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    config = result.get("pretrained_cfg") if isinstance(result, dict) else None
    return config if isinstance(config, dict) else None


def _of_timm(config: Mapping[str, Any], by: str) -> DeclaredPicture:
    try:
        _, height, width = (int(length) for length in config["input_size"])
        mean, std = (tuple(float(item) for item in config[name]) for name in ("mean", "std"))
        if min(height, width, len(mean), len(std)) < 1 or not all(std):
            raise ValueError("a size or a deviation is 0")
        crop = config.get("crop_pct")
        interpolation = config.get("interpolation")
        return DeclaredPicture(
            width, height, mean, std, str(interpolation) if interpolation else None, float(crop) if crop else None, by
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{by}: its input_size, mean and std cannot be read ({error}); correct them, or move the file away"
        ) from error
