"""`predict clip.wav`: one answer for a recording of any rate, length and number of channels."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from scipy.signal import resample_poly

from coreml_updatable.spec.io import write_model
from tests.cli.conftest import Run

SAMPLES, RATE = 800, 16_000
CLASSES = [f"class {index}" for index in range(7)]
WEIGHTS = np.random.default_rng(5).normal(size=(len(CLASSES), SAMPLES)) * 0.2


@pytest.fixture
def model(tmp_path: Path) -> Path:
    builder = NeuralNetworkBuilder(
        [("waveform", datatypes.Array(SAMPLES))], [("scores", datatypes.Array(len(CLASSES)))], mode="classifier"
    )
    builder.add_inner_product("fc", WEIGHTS, None, SAMPLES, len(CLASSES), False, "waveform", "fc")
    builder.add_softmax("softmax", "fc", "scores")
    builder.set_class_labels(CLASSES, "label")
    write_model(builder.spec, tmp_path / "hears.mlmodel")
    return tmp_path / "hears.mlmodel"


def expected(wave: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", hop: int) -> "torch.Tensor":
    """The mean over windows, by torch's own unfold."""
    hops = max(0, -(-(len(wave) - SAMPLES) // hop))
    padded = np.pad(wave, (0, SAMPLES + hops * hop - len(wave)))
    frames = torch.from_numpy(padded).float().unfold(0, SAMPLES, hop)
    return torch.softmax(frames @ torch.from_numpy(WEIGHTS).float().T, 1).mean(0)


@pytest.mark.parametrize(("rate", "channels", "seconds"), [(16_000, 1, 0.03), (44_100, 2, 0.4), (8_000, 1, 1.0)])
def test_the_mean_over_the_windows(
    run: Run, model: Path, tmp_path: Path, rate: int, channels: int, seconds: float
) -> None:
    wave = np.random.default_rng(rate).uniform(-0.5, 0.5, (round(rate * seconds), channels))
    soundfile.write(tmp_path / "clip.wav", wave, rate, subtype="DOUBLE")
    ran = run("predict", model, tmp_path / "clip.wav", "--json")
    (row,) = [json.loads(line) for line in ran.out.splitlines()]
    mixed = wave.mean(axis=1)
    heard = mixed if rate == RATE else resample_poly(mixed, RATE, rate)
    actual = [row["scores"][label] for label in CLASSES]
    shares = expected(heard, SAMPLES // 2)
    np.testing.assert_allclose(actual, shares, atol=1e-5)
    assert row["label"] == CLASSES[int(shares.argmax())]
    assert ("mixed to one channel" in ran.err) == (channels == 2)
    assert ("resampled" in ran.err) == (rate != RATE)


def test_five_are_shown_and_the_hop_can_be_chosen(run: Run, model: Path, tmp_path: Path) -> None:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
    soundfile.write(tmp_path / "clip.wav", wave, RATE, subtype="DOUBLE")
    ran = run("predict", model, tmp_path / "clip.wav")
    assert sum(label in ran.out for label in CLASSES) == 5
    ran = run("predict", model, tmp_path / "clip.wav", "--json", "--hop", "0.01")
    actual = [json.loads(ran.out)["scores"][label] for label in CLASSES]
    np.testing.assert_allclose(actual, expected(wave, 160), atol=1e-5)
    assert "21 windows" in ran.err


def test_what_is_no_sound_is_named_and_the_others_are_heard(run: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "bad.wav").write_bytes(b"RIFF")
    soundfile.write(folder / "good.wav", np.ones(900) / 2, RATE)
    ran = run("predict", model, folder, "--json")
    assert ran.status == 1
    assert [Path(json.loads(line)["input"]).name for line in ran.out.splitlines()] == ["good.wav"]
    assert "bad.wav" in ran.err


def test_a_model_of_pictures_hears_nothing(run: Run, picture_model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", np.ones(900) / 2, RATE)
    ran = run("predict", picture_model, tmp_path / "clip.wav")
    assert ran.status == 1
    assert "clip.wav" in ran.err


def test_what_a_model_of_sounds_reads_is_named(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "memo.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    ran = run("predict", model, tmp_path / "memo.m4a")
    assert ran.status == 1
    assert ".wav" in ran.err
    assert ".png" not in ran.err
