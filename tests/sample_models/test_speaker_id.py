"""The clips are whole, of one rate and length; the network hears the same in loud and soft."""

from collections import Counter
from pathlib import Path

import numpy as np
import soundfile
import torch

from coreml_updatable.data.sample_code import load_function

FOLDER = Path(__file__).parents[2] / "sample_models" / "speaker_id"


def test_the_clips() -> None:
    clips = list(load_function(FOLDER, "voices.py:load")())
    counted = Counter(kind for kind, _, _ in clips)
    assert counted["lea"] == 40
    assert counted["mira"] == 36
    assert set(counted) == {"lea", "ada", "ben", "carl", "dora", "emil", "fay", "gus", "hana", "mira"}
    assert len({name for _, name, _ in clips}) == len(clips) == len({values.tobytes() for _, _, values in clips})
    for _, _, values in clips:
        assert values.shape == (12_000,)
        assert 0.05 < np.abs(values).max() <= 0.2


def test_the_files_need_no_change_and_are_small() -> None:
    paths = list((FOLDER / "voices").glob("*/*.flac"))
    assert sum(path.stat().st_size for path in paths) < 2_000_000
    assert {(soundfile.info(path).samplerate, soundfile.info(path).frames) for path in paths} == {(16_000, 12_000)}


def test_loud_and_soft_are_the_same_voice() -> None:
    network = load_function(FOLDER, "model.py:speaker_network")(2).eval()
    wave = torch.from_numpy(next(load_function(FOLDER, "voices.py:load")())[2])[None]
    with torch.no_grad():
        torch.testing.assert_close(network(wave), network(wave * 3), atol=1e-2, rtol=0)


def test_in_training_a_clip_is_heard_otherwise_each_time_and_afterwards_not() -> None:
    network = load_function(FOLDER, "model.py:speaker_network")(2)
    heard_otherwise = load_function(FOLDER, "model.py:heard_otherwise")
    waves = torch.from_numpy(np.stack([clip[2] for clip in list(load_function(FOLDER, "voices.py:load")())[:4]])) * 10
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first, second = heard_otherwise(waves), heard_otherwise(waves)
        network.eval()
        with torch.no_grad():
            torch.testing.assert_close(network(waves), network(waves), atol=0, rtol=0)
    assert first.shape == waves.shape
    assert not torch.equal(first, second)
    # What is left out and the noise change how strong a clip is by a little only.
    torch.testing.assert_close(first.square().mean(1), waves.square().mean(1), atol=0.05, rtol=0.3)


def test_attention_is_torchs_own() -> None:
    attention = load_function(FOLDER, "model.py:Attention")()
    reference = torch.nn.MultiheadAttention(48, 4, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(attention.together.weight)
        reference.in_proj_bias.copy_(attention.together.bias)
        reference.out_proj.weight.copy_(attention.out.weight)
        reference.out_proj.bias.copy_(attention.out.bias)
        frames = torch.randn(2, 7, 48)
        torch.testing.assert_close(attention(frames), reference(frames, frames, frames)[0], atol=1e-5, rtol=1e-4)
