"""Well-known networks through the command line: checked, run as torch runs them, and trained."""

import json
import subprocess
import sys
import warnings
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.marking import mark
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.spec.io import write_model

pytestmark = pytest.mark.vision
LABELS = ("cats", "dogs", "eels")
TRUTH = np.repeat(np.arange(len(LABELS)), 2)  # of two files a label
SIZE = 224
SETTINGS = UpdateSettings(
    SGD(DoubleParameter(0.001, (0.0001, 1.0)), Int64Parameter(6, (1, 64)), DoubleParameter(0.0, (0.0, 1.0))),
    epochs=Int64Parameter(5, (1, 100)),
    seed=1,
)


def photos(folder: Path) -> list[Path]:
    """Two pictures a label, in a folder of that name, each label with a color of its own."""
    random = np.random.default_rng(0)
    paths = []
    for index, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for copy in range(2):
            pixels = random.integers(0, 90, (SIZE, SIZE, 3), dtype=np.uint8)
            pixels[:, :, index] += 150
            paths.append(folder / label / f"{copy}.png")
            Image.fromarray(pixels).save(paths[-1])
    return paths


def run(*arguments: object) -> str:
    program = Path(sys.executable).with_name("coreml-updatable")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def probabilities(model: Path, pictures: list[Path]) -> np.ndarray[Any, Any]:
    lines = [json.loads(line) for line in run("predict", model, *pictures, "--json").splitlines()]
    return np.array([[line["labelProbability"][label] for label in LABELS] for line in lines])


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_a_torchvision_network_runs_and_learns_through_the_command_line(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    pictures = photos(tmp_path / "photos")
    batch = torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in pictures])).permute(0, 3, 1, 2) / 255
    network = import_module("coreml_updatable.converters.torch.architectures").create(f"torchvision:{name}", 3)
    settle(network, batch)
    to_core_ml = import_module("coreml_updatable.converters.torch.tracing").to_core_ml
    model, new = tmp_path / "model.mlmodel", tmp_path / "new.mlmodel"
    write_model(mark(to_core_ml(network, ImageInput("image", SIZE, SIZE, "rgb")), SETTINGS, labels=LABELS), model)
    run("check", model)
    with torch.no_grad():
        expected = torch.softmax(network(batch).double(), 1).numpy()
    assert np.abs(probabilities(model, pictures) - expected).max() < 1e-4

    options = ["--learning-rate", "0.01", "--epochs", "50"]
    learned = json.loads(run("update", model, tmp_path / "photos", "-o", new, *options, "--json"))
    assert_learned(learned, new, pictures, expected)


def test_wav2vec2_of_two_layers_runs_and_learns_through_the_command_line(tmp_path: Path) -> None:
    """Random weights; three tones, twice each with noise of its own, at 16 kHz for a quarter of a second."""
    network = wav2vec2()
    model, new = tmp_path / "model.mlmodel", tmp_path / "new.mlmodel"
    write_model(mark(traced(network, 4000), SETTINGS, labels=LABELS), model)
    sounds = tones(tmp_path / "sounds")
    run("check", model)
    with torch.no_grad():
        expected = torch.softmax(network(torch.from_numpy(np.stack([np.load(path)[0] for path in sounds]))), 1)
    assert np.abs(probabilities(model, sounds) - expected.numpy()).max() < 1e-4

    options = ["--learning-rate", "1", "--epochs", "60"]
    learned = json.loads(run("update", model, tmp_path / "sounds", "-o", new, *options, "--json"))
    assert_learned(learned, new, sounds, expected.numpy())
    assert (probabilities(new, sounds).argmax(1) == TRUTH).all()


def settle(network: torch.nn.Module, batch: torch.Tensor) -> None:
    """Statistics for every batch normalization, as training leaves them; in a random network without them the features
    of all pictures are one, and nothing can be learned."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        network.train()(batch)
    network.eval()


def assert_learned(learned: Any, new: Path, files: list[Path], before: np.ndarray[Any, Any]) -> None:
    run("check", new)
    after = probabilities(new, files)
    rows = np.arange(len(TRUTH))
    assert -np.log(after[rows, TRUTH]).mean() < -0.8 * np.log(before[rows, TRUTH]).mean()
    losses = [epoch["lossValue"] for epoch in learned["epochs"]]
    assert all(later < earlier for earlier, later in pairwise(losses))


def wav2vec2() -> torch.nn.Module:
    """From waveforms [n, samples] to logits [n, 3]."""
    import_module("coreml_updatable.converters.torch.architectures").import_torchvision()
    library = import_module("transformers")
    torch.manual_seed(0)
    config = library.Wav2Vec2Config(
        num_hidden_layers=2, hidden_size=64, intermediate_size=128, num_attention_heads=4, conv_dim=(32,) * 7,
        num_labels=len(LABELS), classifier_proj_size=32, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = library.Wav2Vec2ForSequenceClassification(config)

        def forward(self, sounds: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(sounds).logits
            return logits

    return Logits().eval()


def traced(network: torch.nn.Module, samples: int) -> Any:
    """The message that coremltools makes of it."""
    import coremltools

    jit: Any = torch.jit
    torch.backends.mha.set_fastpath_enabled(False)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        graph = jit.trace(network, torch.zeros(1, samples), check_trace=False)
        sound = coremltools.TensorType(name="audio", shape=(1, samples))
        return coremltools.convert(graph, inputs=[sound], convert_to="neuralnetwork").get_spec()


def tones(folder: Path) -> list[Path]:
    random = np.random.default_rng(0)
    times = np.arange(4000) / 16000
    paths = []
    for label, pitch in zip(LABELS, (200, 800, 3000), strict=True):
        (folder / label).mkdir(parents=True)
        for copy in range(2):
            sound = np.sin(2 * np.pi * pitch * times) + 0.1 * random.normal(size=len(times))
            paths.append(folder / label / f"{copy}.npy")
            np.save(paths[-1], sound.astype(np.float32)[None])
    return paths
