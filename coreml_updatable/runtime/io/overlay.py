"""Overlay a picture with the labels of its segmentation, as Xcode's preview does."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from re import fullmatch
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coreml_updatable.errors import DataError
from coreml_updatable.spec.features import PARAMETERS_KEY
from coreml_updatable.spec.messages import Model

OPACITY = 0.5
BACKGROUND = "background"
MAX_LABELS = 65_536


@dataclass(frozen=True)
class Overlay:
    """``shares``: of the pixels, by label, the largest first."""

    picture: Image.Image
    shares: Mapping[str, float]


def overlay(model: Model, picture: Image.Image, answer: Mapping[str, Any]) -> Overlay:
    """``picture`` with the classes that ``answer`` gives its pixels, or the picture that it gives; DataError where it
    gives neither."""
    for value in answer.values():
        if isinstance(value, Image.Image):
            return Overlay(value, {})
    classes = class_map(answer)
    count = int(classes.max()) + 1
    labels, colors = _preview(model, count)
    whole = picture.convert("RGB")
    shown = Image.fromarray(classes.astype(np.uint16)).resize(whole.size, Image.Resampling.NEAREST)
    numbers = np.asarray(shown, np.int64)
    pixels = np.asarray(whole, np.float32)
    covered = (1 - OPACITY) * pixels + OPACITY * colors[numbers]
    if BACKGROUND in labels:
        covered = np.where((numbers == labels.index(BACKGROUND))[:, :, None], pixels, covered)
    counts = np.bincount(classes.ravel(), minlength=count)
    shares = {labels[index]: float(counts[index] / classes.size) for index in np.argsort(-counts, kind="stable")}
    result = Image.fromarray(np.rint(covered).astype(np.uint8))
    return Overlay(result, {label: share for label, share in shares.items() if share})


def class_map(answer: Mapping[str, Any]) -> NDArray[np.int64]:
    """The class of each pixel, [H, W]: of scores [..., K, H, W] the greatest, of [..., H, W] the number itself."""
    for value in answer.values():
        if not isinstance(value, np.ndarray):
            continue
        map_ = value.reshape([size for size in value.shape if size > 1])
        if map_.ndim == 3:
            return np.asarray(map_.argmax(0), np.int64)
        if map_.ndim == 2 and np.array_equal(map_, np.rint(map_)) and map_.min() >= 0 and map_.max() < MAX_LABELS:
            return np.asarray(map_, np.int64)
    raise DataError(
        "the model answers no map of labels, expected an array [classes, height, width] or [height, width]; an overlay "
        "needs a segmentation"
    )


def _preview(model: Model, count: int) -> tuple[list[str], NDArray[np.float32]]:
    """Labels and colors [n, 3] of at least ``count`` classes."""
    try:
        named = json.loads(model.description.metadata.userDefined.get(PARAMETERS_KEY, "{}"))
    except ValueError:
        named = {}
    given = named if isinstance(named, dict) else {}
    labels = [str(label) for label in _listed(given.get("labels"))]
    labels += [f"class {index}" for index in range(len(labels), count)]
    colors = [_color(color) for color in _listed(given.get("colors"))[: len(labels)]]
    result = [color if color is not None else palette(index) for index, color in enumerate(colors)]
    result += [palette(index) for index in range(len(result), len(labels))]
    return labels, np.array(result, np.float32)


def palette(index: int) -> tuple[int, int, int]:
    """The colors of PASCAL VOC: the bits of the number, spread over red, green and blue from the top."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= ((index >> (3 * place + channel)) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _color(text: Any) -> tuple[int, int, int] | None:
    if not isinstance(text, str) or not fullmatch(r"#[0-9a-fA-F]{6}", text):
        return None
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
