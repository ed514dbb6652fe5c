"""Recordings of any length as windows, as YAMNet cuts them."""

from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.data.rows.sounds import sounds_in, usual_hop, windows


@pytest.mark.parametrize(
    ("samples", "count"), [(1, 1), (15_600, 1), (15_601, 2), (23_280, 2), (23_281, 3), (16_000 * 10, 20)]
)
def test_windows_of_yamnet(samples: int, count: int) -> None:
    wave = np.arange(1, samples + 1, dtype=np.float32)
    result = windows(wave, 15_600, usual_hop(15_600))
    assert result.shape == (count, 15_600)
    for index, window in enumerate(result):
        part = wave[index * 7680 : index * 7680 + 15_600]
        np.testing.assert_array_equal(window[: len(part)], part)
        assert not window[len(part) :].any()
    assert float(result.max()) == samples


def test_other_models_take_half_a_window() -> None:
    assert usual_hop(12_000) == 6_000
    assert usual_hop(1) == 1


def test_a_folder_of_sounds_by_name(tmp_path: Path) -> None:
    for name in ("b.wav", "a.flac", ".hidden.wav", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in sounds_in(tmp_path)] == ["a.flac", "b.wav"]
    (tmp_path / "rows.npy").touch()
    assert sounds_in(tmp_path) == []
