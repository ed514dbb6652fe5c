"""Comparing two arrays against the spread of the rows, judged by how a softmax sees them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from coreml_updatable.converting.spread import centered, compared

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(8, 4))
MASKED = np.where(np.arange(4) == 2, -np.inf, LOGITS)


@pytest.mark.parametrize("logits", [LOGITS, MASKED], ids=["finite", "masked"])
def test_a_common_shift_is_no_difference(logits: NDArray[np.float64]) -> None:
    shifted = logits + RANDOM.normal(size=(8, 1))
    np.testing.assert_allclose(softmax(shifted, axis=1), softmax(logits, axis=1), atol=1e-12)
    assert compared(centered(logits), centered(shifted)).verdict == "agree"


@pytest.mark.parametrize("other", [np.nan, np.inf, 0.0])
def test_an_infinite_number_agrees_with_itself_alone(other: float) -> None:
    assert compared(centered(MASKED), centered(MASKED)).verdict == "agree"
    changed = MASKED.copy()
    changed[3, 2] = other
    assert compared(centered(MASKED), centered(changed)).verdict == "differ"
    assert compared(centered(LOGITS), centered(np.full((8, 4), np.nan))).verdict == "differ"
