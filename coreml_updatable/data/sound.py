"""Sound files as rows: one channel, the input's own rate, its length; what had to be done to them is said."""

from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import ArrayInput, Float32Array
from coreml_updatable.errors import DataError
from coreml_updatable.installing import install_command

ENDINGS = (".flac", ".wav", ".ogg", ".aiff", ".aif", ".mp3")
CUT = "cut to its middle"
LOWEST_RATE, HIGHEST_RATE = 1000, 768_000
MOST_SECONDS = 3600
MOST_FRAMES = 2**25  # of one channel, a quarter of a gigabyte: 12 minutes at 48 kHz, 35 at 16 kHz
BLOCK = 2**16  # frames of all channels that are held at a time


@dataclass(frozen=True)
class Heard:
    """``values`` float32 of the input's shape; ``changes`` e.g. "resampled", "padded with silence", "cut"."""

    values: Float32Array
    changes: tuple[str, ...]


def read_sound(path: Path, target: ArrayInput) -> Heard:
    """The sound in ``path``: channels averaged, resampled to ``target.sample_rate`` (polyphase filter of scipy), the
    middle of what is too long, silence behind what is too short. A DataError for what is no sound or silent."""
    wave, changes = read_wave(path, target.sample_rate)
    wanted = int(np.prod(target.shape))
    if len(wave) < wanted:
        changes.append(f"padded with silence from {len(wave) / target.sample_rate:.2f} s")
        wave = np.pad(wave, (0, wanted - len(wave)))
    elif len(wave) > wanted:
        changes.append(CUT)
        start = (len(wave) - wanted) // 2
        wave = wave[start : start + wanted]
    if not wave.any():
        where = " in its middle, which would be taken" if CUT in changes else ""
        raise DataError(f"{path}: is silent{where}; replace it")
    return Heard(wave.reshape(target.shape), tuple(changes))


def read_wave(path: Path, wanted_rate: int) -> tuple[Float32Array, list[str]]:
    """The whole sound, float32 [n] of one channel at ``wanted_rate``, and what was changed."""
    wave, channels, rate = _decoded(path)
    changes: list[str] = []
    if channels > 1:
        changes.append("mixed to one channel")
    if rate != wanted_rate:
        wave = resampled(wave, rate, wanted_rate)
        changes.append(f"resampled from {rate:,} to {wanted_rate:,} Hz")
    if not np.isfinite(wave).all():
        raise DataError(f"{path}: contains NaN or infinite numbers; replace it")
    return np.asarray(wave, np.float32), changes


def resampled(wave: Any, rate: int, wanted: int) -> Any:
    """float64 [n] at ``rate`` samples a second -> at ``wanted``."""
    from scipy.signal import resample_poly

    divisor = gcd(rate, wanted)
    return resample_poly(wave, wanted // divisor, rate // divisor)


def _decoded(path: Path) -> tuple[Any, int, int]:
    """float64 [n] in -1..1, the mean of the channels; how many there are, and the rate. All of them are never held."""
    try:
        import soundfile
    except ImportError as error:
        raise DataError(
            f"{path}: reading sound needs soundfile, which is not installed; run: {install_command('sound')}"
        ) from error
    try:
        with soundfile.SoundFile(path) as file:
            rate, frames = int(file.samplerate), int(file.frames)
            if frames < 1:
                raise DataError(f"{path}: has 0 samples; replace it")
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise DataError(
                    f"{path}: has a sample rate of {rate:,} Hz, expected {LOWEST_RATE:,} to {HIGHEST_RATE:,}; resample "
                    "it"
                )
            if frames > min(MOST_SECONDS * rate, MOST_FRAMES):
                raise DataError(
                    f"{path}: has {frames:,} samples at {rate:,} Hz, expected a sound of at most {MOST_SECONDS} s "
                    f"and {MOST_FRAMES:,} samples; cut it"
                )
            mixed, read = np.empty(frames), 0
            for block in file.blocks(max(1, BLOCK // file.channels), frames=frames, dtype="float64", always_2d=True):
                mixed[read : read + len(block)] = block.mean(axis=1)
                read += len(block)
            return mixed[:read], file.channels, rate
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise DataError(f"{path}: is damaged or not a readable sound ({error}); convert it to FLAC or WAV") from error
