"""Real files, written by Pillow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.data.wanted import Owner, Wanted

RGB = ImageInput("image", 24, 24, "rgb")
GRAY = ImageInput("image", 24, 24, "grayscale")


def picture(seed: int, width: int = 40, height: int = 32) -> Image.Image:
    """A smooth picture that differs in every corner, so that no turn of it equals another."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def wanted() -> Wanted:
    return Wanted(
        input=RGB,
        labels=("fast-food", "healthy"),
        kinds={"salad": "healthy", "greek_salad": "healthy", "burger": "fast-food", "fries": "fast-food"},
        owners=(Owner("pancakes", "healthy", support=3, held_out=4),),
        drawn_kinds=("salad", "burger"),
        drawn_per_kind=20,
    )


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Path]:
    """Writes class folders of PNG files: photos(salad=5, burger=6) -> their folder."""

    def write(**counts: int) -> Path:
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        for kind, count in counts.items():
            place = folder / kind.replace("__", "-")
            place.mkdir(parents=True)
            for index in range(count):
                picture(sum(map(ord, kind)) * 1000 + index).save(place / f"{index}.png")
        return folder

    return write
