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


JOINED = 4  # clips of 0.75 s


def load_joined() -> Iterator[tuple[str, str, npt.NDArray[np.float32]]]:
    """The same clips, each ``JOINED`` of a speaker as one of 3 s: float32 [48000]."""
    for folder in sorted(path for path in VOICES.iterdir() if path.is_dir()):
        clips = [read_sound(path, TARGET).values for path in sorted(folder.glob("*.flac"))]
        for index in range(len(clips) // JOINED):
            yield folder.name, f"{folder.name} {index}", np.concatenate(clips[index * JOINED : (index + 1) * JOINED])
