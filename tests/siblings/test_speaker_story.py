"""An app that learns its owner's voice, on the pretrained encoder, with other engines than Core ML.

Her clips are paired with those of others, three epochs are trained, the model is exported for inference where the
engine has that, and clips are identified that nothing was trained on.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import coreml_updatable as cu
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.data.sample_code import load_function
from coreml_updatable.siblings import executorch_program, onnxruntime_training
from coreml_updatable.siblings.learner import SiblingSource
from coreml_updatable.siblings.proof import write_rows

pytestmark = pytest.mark.siblings
FOLDER = Path(__file__).parents[2] / "sample_models" / "speaker_id"
OWNER, SHOTS, LABELS = "mira", 5, ["me", "others"]
Clips: TypeAlias = dict[str, list[Any]]


class Speaker(nn.Module):
    """Waveforms [n, 48000] -> voices apart from the mean voice, of one length -> logits of a new head."""

    center: Tensor

    def __init__(self, encoder: nn.Module, center: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("center", center)
        self.head = nn.Linear(256, len(LABELS))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, waveforms: Tensor) -> Tensor:
        apart = self.encoder(waveforms) - self.center
        logits: Tensor = self.head(apart / (apart * apart).sum(dim=1, keepdim=True).sqrt() * 10.0)
        return logits


@pytest.fixture(scope="module")
def clips() -> Clips:
    result: Clips = {}
    for speaker, _, values in load_function(FOLDER, "voices.py:load_joined")():
        result.setdefault(speaker, []).append(values)
    return result


@pytest.fixture(scope="module")
def model(clips: Clips) -> cu.RunnableModel:
    encoder = load_function(FOLDER, "pretrained.py:speaker_network")(2).encoder
    with torch.no_grad():
        center = encoder(torch.from_numpy(np.stack([own[0] for own in clips.values()]))).mean(dim=0)
    tracing = import_module("coreml_updatable.converters.torch.tracing")
    converted = tracing.to_core_ml(Speaker(encoder, center).eval(), ArrayInput("waveform", (48_000,)))
    sgd = cu.SGD(learning_rate=0.02, mini_batch_size=1)
    return cu.mark(converted, optimizer=sgd, epochs=3, labels=LABELS, label="speaker", shuffle=False)


@pytest.mark.parametrize(
    ("engine", "train"),
    [("onnxruntime", onnxruntime_training.train), ("executorch", executorch_program.train)],
    ids=["onnxruntime", "executorch"],
)
def test_an_engine_learns_the_owners_voice(
    tmp_path: Path, model: cu.RunnableModel, clips: Clips, engine: str, train: Callable[..., None]
) -> None:
    others = [own for speaker, own in clips.items() if speaker != OWNER]
    pairs = zip(clips[OWNER][:SHOTS], (own[0] for own in others), strict=False)
    rows = [{"waveform": clip, "speaker": label} for pair in pairs for clip, label in zip(pair, LABELS, strict=True)]
    asked = [
        {"waveform": item} for item in (*clips[OWNER][SHOTS:], *(own[1] for own in others))
    ]  # heard for the first time
    (sibling,) = cu.make_siblings(model, tmp_path, [engine], rows)
    assert sibling.agreement.steps == 3 * 2 * SHOTS
    assert sibling.agreement.weights <= 1e-5
    assert sibling.agreement.answers <= 1e-4

    source = SiblingSource(model)
    given, trained = tmp_path / "rows.npz", tmp_path / "trained.npz"
    write_rows(given, source, rows, {})
    with np.load(given) as held:
        extended = {name: held[name] for name in held.files}
    for name, values in source.arrays(asked).items():
        extended[f"input.{name}"] = np.concatenate([extended[f"input.{name}"], values])
    extended["targets"] = np.concatenate([extended["targets"], np.zeros(len(asked), np.int64)])
    np.savez(given, **extended)
    train(source, sibling.folder, given, trained)
    with np.load(trained) as held:
        (name,) = source.outputs
        identified = held[f"answer.{name}"][len(rows) :]
    hers = len(clips[OWNER]) - SHOTS
    assert (identified[:hers].argmax(axis=1) == 0).all()
    assert (identified[hers:].argmax(axis=1) == 1).mean() > 0.5  # some of them by speakers that nothing heard before
    after = cu.UpdateTask(model, rows).resume().model.predict(asked)
    expected = [[answer[name][label] for label in LABELS] for answer in after]
    np.testing.assert_allclose(identified, expected, atol=1e-4)
