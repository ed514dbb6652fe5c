"""The notes of this sample as vectors: notes/TOPIC.txt, encoded once by encoder.py."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent


def load() -> Iterator[tuple[str, str, npt.NDArray[np.float32]]]:
    """Every note as (topic, its text, float32 [384])."""
    with np.load(HERE / "vectors.npz", allow_pickle=False) as held:
        for topic in sorted(held.files):
            notes = (HERE / "notes" / f"{topic}.txt").read_text(encoding="utf-8").splitlines()
            for note, vector in zip(notes, held[topic].astype(np.float32), strict=True):
                yield topic, note, vector
