"""Cut a recording into rows of a model that reads a waveform: windows one hop apart, the last padded with silence.

As YAMNet cuts a recording: at least one window, then whole hops, and zeros where the recording has ended.
"""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Float32Array
from coreml_updatable.data.rows.features import Features, kind
from coreml_updatable.data.sound import ENDINGS, read_wave
from coreml_updatable.errors import DataError

RATE = 16_000  # Hz, of most models that read sound
YAMNET_SAMPLES, YAMNET_HOP = 15_600, 7_680  # 0.975 s, and a window every 0.48 s
MAX_VALUES = 2**28  # of all windows of a recording


def is_sound(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS


def sounds_in(folder: Path) -> list[Path]:
    """The sounds in a folder and those below it, by name; none where it has .npy files. Hidden files are left out."""
    result = (path for path in folder.rglob("*") if is_sound(path) and path.is_file())
    if next(folder.rglob("*.npy"), None) is not None:
        return []
    return sorted(path for path in result if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def usual_hop(samples: int) -> int:
    """Return half a window; for YAMNet's window, the hop of YAMNet's own code."""
    return YAMNET_HOP if samples == YAMNET_SAMPLES else max(1, samples // 2)


def windows(wave: Float32Array, samples: int, hop: int) -> Float32Array:
    """float32 [n] -> [windows, samples]."""
    hops = -(-max(0, len(wave) - samples) // hop)
    if (hops + 1) * samples > MAX_VALUES:
        raise DataError(f"sound: makes {hops + 1:,} windows of {samples:,} samples; cut it, or take a longer hop")
    padded = np.pad(wave, (0, samples + hops * hop - len(wave)))
    return np.stack([padded[index * hop : index * hop + samples] for index in range(hops + 1)])


def clip_rows(
    path: Path, features: Features, rate: int = RATE, hop: int | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """The windows of a recording as rows, and what was changed ("resampled from ...", "mixed to one channel").

    ``rate``: of the model, in Hz. ``hop``: samples between windows; None: half a window, or YAMNet's own. DataError for
    what is no sound, and for a model whose input is no waveform.
    """
    feature = features.the_array(str(path))
    shape = [int(size) for size in feature.type.multiArrayType.shape]
    if kind(feature) != "multiArrayType" or not shape or prod(shape) != max(shape) or max(shape) < 2:
        raise DataError(
            f"{path}: is a sound, the model's '{feature.name}' has the shape {shape}, expected one axis of samples; "
            "give rows as .npy"
        )
    samples = max(shape)
    wave, changes = read_wave(path, rate)
    cut = windows(wave, samples, usual_hop(samples) if hop is None else hop)
    return [{str(feature.name): window.reshape(shape)} for window in cut], changes
