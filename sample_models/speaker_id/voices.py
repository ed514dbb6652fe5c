"""The clips in voices/: one folder a speaker, synthetic (see speaking.py)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.data.sound import read_sound

VOICES = Path(__file__).parent / "voices"
TARGET = ArrayInput("waveform", (12_000,), sample_rate=16_000)


def load() -> Iterator[tuple[str, str, npt.NDArray[np.float32]]]:
    """Every clip as (speaker, name, float32 [12000])."""
    for path in sorted(VOICES.glob("*/*.flac")):
        yield path.parent.name, f"{path.parent.name} {path.stem}", read_sound(path, TARGET).values
