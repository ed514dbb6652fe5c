"""The pretrained speaker encoder is Resemblyzer's own, and what it is sorted by can be had."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from coreml_updatable.building.recipe_extras import refuse_lacking
from coreml_updatable.data.sample_code import load_function
from coreml_updatable.errors import SourceError
from coreml_updatable.recipes.file import read_any_recipe

FOLDER = Path(__file__).parents[2] / "sample_models" / "speaker_id"
RECIPE = FOLDER / "pretrained.toml"


def clips() -> torch.Tensor:
    """Three voices, of which the second is soft."""
    every = [values for _, name, values in load_function(FOLDER, "voices.py:load_joined")() if name.endswith(" 1")]
    return torch.from_numpy(np.stack(every[:3])) * torch.tensor([[1.0], [0.05], [3.0]])


def test_what_is_not_installed_is_named_before_anything_is_built() -> None:
    recipe = read_any_recipe(RECIPE).model_copy(update={"weights": ("no-such-weights==3.1",)})
    with pytest.raises(SourceError) as caught:
        refuse_lacking(recipe, RECIPE)
    assert "no-such-weights==3.1" in str(caught.value)
    assert "install --no-deps no-such-weights==3.1" in str(caught.value)


@pytest.mark.vision
def test_the_front_end_is_librosas() -> None:
    """As transformers computes librosa's mel spectrogram."""
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    front_end = load_function(FOLDER, "encoder.py:MelSpectrogram")()
    wave = clips()[0]
    filters = mel_filter_bank(201, 40, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney")
    expected = spectrogram(
        wave.numpy(), window_function(400, "hann"), 400, 160, power=2.0, center=True, pad_mode="constant",
        mel_filters=filters,
    )  # fmt: skip
    with torch.no_grad():
        actual = front_end(wave[None])[0].numpy()
    np.testing.assert_allclose(actual[: expected.shape[1] - 1], expected.T[:-1], atol=1e-5 * float(expected.max()))


@pytest.mark.vision
def test_voices_are_those_of_resemblyzer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own network and its own way of cutting an utterance; its front end needs librosa, for which ours stands."""
    network = load_function(FOLDER, "pretrained.py:speaker_network")(2)
    waves = clips()
    front_end = network.encoder.front_end
    audio = ModuleType("resemblyzer.audio")

    def spectrogram(wave: Any) -> Any:
        assert len(wave) == 314 * 160  # embed_utterance pads the last window
        with torch.no_grad():
            return front_end(torch.from_numpy(wave[:48_000])[None])[0].numpy()

    for name in ("preprocess_wav", "trim_long_silences", "normalize_volume"):
        setattr(audio, name, None)
    audio.wav_to_mel_spectrogram = spectrogram  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "resemblyzer.audio", audio)
    from resemblyzer import VoiceEncoder

    reference = VoiceEncoder("cpu", verbose=False)
    with torch.no_grad():
        result = network.encoder(waves).numpy()
    for wave, voice in zip(waves, result, strict=True):
        loudness = 10 * float(torch.log10((wave * wave).mean()))  # normalize_volume, to -30 dBFS, increase only
        raised = wave * 10 ** (max(0.0, -30 - loudness) / 20)
        np.testing.assert_allclose(voice, reference.embed_utterance(raised.numpy()), atol=1e-5)


@pytest.mark.vision
def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    make = load_function(FOLDER, "pretrained.py:speaker_network")
    monkeypatch.setitem(make.__globals__, "SHA256", "0" * 64)
    with pytest.raises(SourceError, match="SHA-256 39373b86598f"):
        make(2)
