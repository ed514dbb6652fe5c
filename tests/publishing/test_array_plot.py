"""Rows of numbers as small pictures: a loud part is taller, a large number darker."""

import numpy as np
import pytest

from coreml_updatable.publishing.report.pictures import PAPER, SIZE, is_plottable, plotted


@pytest.mark.parametrize("shape", [(1,), (7,), (16_000,), (1, 500)])
def test_a_wave(shape: tuple[int, ...]) -> None:
    values = np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    if values.size > 1000:
        values = values * np.sin(np.arange(values.size, dtype=np.float32))
    picture = plotted(values)
    assert picture.shape == (*SIZE, 3)
    inked = (picture != np.array(PAPER)).any(axis=2).sum(axis=0)
    assert (inked >= 1).all()
    if values.size > 1000:
        assert inked[-1] > 10 * inked[1]


@pytest.mark.parametrize(
    ("shape", "sound", "plottable"),
    [
        ((384,), False, False),
        ((1, 384), False, False),
        ((7,), False, True),
        ((16_000,), True, True),
        ((9, 50), False, True),
    ],
)
def test_many_numbers_in_a_row_are_plotted_as_a_sound_only(
    shape: tuple[int, ...], sound: bool, plottable: bool
) -> None:
    assert is_plottable(shape, sound=sound) == plottable


def test_a_table() -> None:
    values = np.zeros((2, 3), np.float32)
    values[1, 2] = 5
    picture = plotted(values)
    assert picture.shape == (*SIZE, 3)
    assert picture[-1, -1].sum() < picture[0, 0].sum()
    assert plotted(np.ones((3, 3, 3), np.float32)).shape == (*SIZE, 3)
