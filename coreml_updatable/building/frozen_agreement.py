"""A model that never learns against its source, on pictures made by chance."""

from dataclasses import dataclass

import numpy as np

from coreml_updatable.building.trial_rows import trial_rows
from coreml_updatable.conversion import Float32Array, FrozenSource, Int64Array, UInt8Array
from coreml_updatable.errors import BuildError
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model

ALLOWED_DIFFERENCE = 1e-4  # of the range of the source's answers
ROWS = 2
SQUARES = 8  # along the longer side of the second picture


@dataclass(frozen=True)
class Agreement:
    """How far both agree; classes are int64 [n, ...places]."""

    pixels: UInt8Array
    relative_difference: float  # the largest, of the largest range in which a class's numbers lie
    source_classes: Int64Array  # with the largest number at each place
    model_classes: Int64Array

    @property
    def same_label(self) -> float:
        """Share of the places whose largest number is of the same class."""
        return float((self.model_classes == self.source_classes).mean())


def agree(model: Model, source: FrozenSource, output: str) -> Agreement:
    """Compare both on noise and on squares; a BuildError where they differ by more than 1e-4 of the answers' range."""
    name = str(model.description.input[0].name)
    fine, coarse = (np.asarray(row[name]) for row in trial_rows(model, ROWS))
    pixels = np.stack([fine, _in_squares(coarse)])
    expected = source.answers(pixels)
    said = np.stack(
        [np.asarray(answer[output], np.float32) for answer in load(model).predict([{name: one} for one in pixels])]
    )
    if said.size != expected.size:
        raise BuildError(
            f"converted model: answers {list(said.shape[1:])}, its source {list(expected.shape[1:])}, expected the "
            "same; correct the recipe's function"
        )
    said = said.reshape(expected.shape)
    spread = _range(expected)
    if spread <= ALLOWED_DIFFERENCE * float(np.abs(expected).max()):
        raise BuildError(
            f"source: answers the same at every place of every picture, within {spread:.1g}, expected numbers that "
            "differ, for constants prove nothing; give weights that see something"
        )
    difference = float(np.abs(said - expected).max()) / spread
    if not difference <= ALLOWED_DIFFERENCE:  # NaN too
        raise BuildError(
            f"converted model: differs from its source by {difference:.2g} of the range of its answers, expected at "
            f"most {ALLOWED_DIFFERENCE:g}; nothing was written, this source does not convert faithfully"
        )
    return Agreement(pixels, difference, expected.argmax(axis=1), said.argmax(axis=1))


def _in_squares(pixels: UInt8Array) -> UInt8Array:
    """Pixels from far apart, each as large as a square: shapes to see, where noise is as good as gray."""
    height, width = pixels.shape[:2]
    side = max(1, max(height, width) // SQUARES)
    return pixels[::side, ::side].repeat(side, axis=0).repeat(side, axis=1)[:height, :width]


def _range(answers: Float32Array) -> float:
    """From the lowest to the highest of each class [n, classes, ...], of the class where that is most."""
    by_class = np.moveaxis(answers, 1, 0).reshape(answers.shape[1], -1)
    return float(np.ptp(by_class, axis=1).max())
