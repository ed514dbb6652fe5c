"""Well-known networks through the command line: checked, run as torch runs them, and trained."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from coreml_updatable.conversion import ImageInput
from coreml_updatable.marking import mark
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.spec.writing import write_model

pytestmark = pytest.mark.vision
LABELS = ("cats", "dogs", "eels")
SIZE = 224
SETTINGS = UpdateSettings(
    SGD(DoubleParameter(0.001, (0.0001, 1.0)), Int64Parameter(6, (1, 64)), DoubleParameter(0.0, (0.0, 1.0))),
    epochs=Int64Parameter(5, (1, 100)),
    seed=1,
)


def photos(folder: Path) -> list[Path]:
    """Two pictures a label, in a folder of that name, each label with a colour of its own."""
    random = np.random.default_rng(0)
    paths = []
    for number, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for copy in range(2):
            pixels = random.integers(0, 90, (SIZE, SIZE, 3), dtype=np.uint8)
            pixels[:, :, number] += 150
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
    network = import_module("coreml_updatable.converters.torch_architectures").create(f"torchvision:{name}", 3).eval()
    to_core_ml = import_module("coreml_updatable.converters.torch_tracing").to_core_ml
    model, new = tmp_path / "model.mlmodel", tmp_path / "new.mlmodel"
    write_model(mark(to_core_ml(network, ImageInput("image", SIZE, SIZE, "rgb")), SETTINGS, labels=LABELS), model)
    pictures = photos(tmp_path / "photos")
    run("check", model)
    batch = torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in pictures])).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = torch.softmax(network(batch).double(), 1).numpy()
    assert np.abs(probabilities(model, pictures) - expected).max() < 1e-4

    learnt = json.loads(run("update", model, tmp_path / "photos", "-o", new, "--json"))
    run("check", new)
    after = probabilities(new, pictures)
    truth = np.repeat(np.arange(3), 2)
    before_loss = -np.log(expected[np.arange(6), truth]).mean()
    after_loss = -np.log(after[np.arange(6), truth]).mean()
    assert after_loss < before_loss
    losses = [epoch["lossValue"] for epoch in learnt["epochs"]]
    assert losses == sorted(losses, reverse=True)
