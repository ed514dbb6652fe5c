"""A whole recording put to the model: windows of 0.975 s every 0.48 s, the mean of their scores, the five highest.

python sample_models/sound_id/clips.py build/sound_id/SoundID.mlmodel recording.wav
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RATE, SAMPLES, HOP = 16_000, 15_600, 7_680
Float32Array = npt.NDArray[np.float32]


def windows(wave: Float32Array) -> Float32Array:
    """float32 [n] -> [windows, 15600], silence behind the last as YAMNet pads: at least one window, then whole hops."""
    hops = -(-max(0, len(wave) - SAMPLES) // HOP)
    padded = np.pad(wave, (0, SAMPLES + hops * HOP - len(wave)))
    return np.stack([padded[hop * HOP : hop * HOP + SAMPLES] for hop in range(hops + 1)])


def mean_scores(answers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each label, over all windows."""
    labels = list(dict.fromkeys(label for answer in answers for label in answer))
    return {label: sum(answer.get(label, 0.0) for answer in answers) / len(answers) for label in labels}


def highest(scores: Mapping[str, float], count: int = 5) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:count]


def heard(model: Any, wave: Float32Array) -> list[tuple[str, float]]:
    """What a loaded model (``cu.load``) hears in a wave at 16 kHz: at most five labels, the likeliest first."""
    description = model.message.description
    name = str(description.predictedProbabilitiesName)
    rows = [{str(description.input[0].name): window} for window in windows(wave)]
    return highest(mean_scores([answer[name] for answer in model.predict(rows)]))


def main() -> None:
    from coreml_updatable import load
    from coreml_updatable.data.sound import read_wave
    from coreml_updatable.errors import UserError

    if len(sys.argv) != 3:
        raise SystemExit("usage: clips.py MODEL.mlmodel SOUND")
    try:
        wave, changes = read_wave(Path(sys.argv[2]), RATE)
        found = heard(load(sys.argv[1]), wave)
    except UserError as error:
        raise SystemExit(str(error)) from error
    for change in changes:
        print(f"({change})")
    for label, score in found:
        print(f"{score:6.1%}  {label}")


if __name__ == "__main__":
    main()
