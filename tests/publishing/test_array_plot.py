"""Rows of numbers as small pictures: a loud part is taller, a large number darker."""

import numpy as np
import pytest

from coreml_updatable.publishing.report.pictures import PAPER, SIZE, plotted


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


def test_a_table() -> None:
    values = np.zeros((2, 3), np.float32)
    values[1, 2] = 5
    picture = plotted(values)
    assert picture.shape == (*SIZE, 3)
    assert picture[-1, -1].sum() < picture[0, 0].sum()
    assert plotted(np.ones((3, 3, 3), np.float32)).shape == (*SIZE, 3)
