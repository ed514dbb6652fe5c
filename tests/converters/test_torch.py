"""The whole converter: what the model computes against torch itself, and the same bytes twice."""

import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import coreml_updatable as cu
from coreml_updatable.converting.contract import ConversionRequest
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.errors import DataError, RecipeError, SourceError
from coreml_updatable.spec.io import model_bytes

convert = import_module("coreml_updatable.converters.torch").convert
core_ml_of = import_module("coreml_updatable.converters.torch.tracing").core_ml_of
Request = Callable[..., ConversionRequest]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def test_the_model_answers_as_the_network_does(request_for: Request) -> None:
    request = request_for(factory="model.py:tiny", mean=MEAN, std=STD)
    converted = convert(request)
    model = cu.load(converted.model)
    answers = model.predict([{"image": pixels} for pixels in request.test.pixels])
    said = np.stack([np.ravel(answer["probabilities"]) for answer in answers])
    assert np.abs(said - converted.test_probabilities).max() < 1e-5
    assert (converted.test_probabilities.argmax(axis=1) == request.test.labels).mean() >= 0.95
    assert converted.test_probabilities.sum(axis=1) == pytest.approx(1)


def test_the_probabilities_are_those_of_the_given_weights(folder: Path, request_for: Request) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    ).eval()
    torch.save(network.state_dict(), folder / "weights.pt")
    request = request_for(factory="model.py:tiny", weights="weights.pt", mean=MEAN, std=STD)
    converted = convert(request)
    inputs = (torch.from_numpy(request.test.pixels / 255.0) - torch.tensor(MEAN)) / torch.tensor(STD)
    with torch.no_grad():
        expected = network(inputs.permute(0, 3, 1, 2).float()).double().softmax(1).numpy()
    assert np.abs(converted.test_probabilities - expected).max() < 1e-6
    assert converted.history == ()  # the weights are complete, nothing is trained
    assert converted.facts["trained"] == "not here: the weights hold the head too"


def test_grayscale_pictures(request_for: Request) -> None:
    request = request_for(factory="model.py:tiny_gray", channels=1)
    converted = convert(request)
    said = cu.load(converted.model).predict([{"image": pixels} for pixels in request.test.pixels])
    difference = np.stack([np.ravel(answer["probabilities"]) for answer in said]) - converted.test_probabilities
    assert np.abs(difference).max() < 1e-5


def test_normalisation_is_one_batchnorm_and_one_scale(request_for: Request) -> None:
    network = convert(request_for(factory="model.py:tiny", mean=MEAN, std=STD)).model.neuralNetwork
    first = network.layers[0]
    assert network.preprocessing[0].scaler.channelScale == pytest.approx(1 / 255)
    assert first.WhichOneof("layer") == "batchnorm"
    deviation = np.sqrt(np.array(first.batchnorm.variance.floatValue) + first.batchnorm.epsilon)
    slope = np.array(first.batchnorm.gamma.floatValue) / deviation
    offset = np.array(first.batchnorm.beta.floatValue) - np.array(first.batchnorm.mean.floatValue) * slope
    assert slope == pytest.approx(1 / np.array(STD), rel=1e-6)
    assert offset == pytest.approx(-np.array(MEAN) / np.array(STD), rel=1e-6)


PROGRAM = """
import pickle, sys
from importlib import import_module
from pathlib import Path
source = import_module("coreml_updatable.converters.torch")
request = pickle.loads(Path(sys.argv[1]).read_bytes())
converted = source.convert(request)
sys.stdout.buffer.write(converted.model.SerializeToString(deterministic=True) + converted.test_probabilities.tobytes())
"""


def test_the_same_recipe_in_another_folder_and_process_gives_the_same_bytes(
    folder: Path, tmp_path: Path, request_for: Request
) -> None:
    import dataclasses
    import pickle
    import shutil

    request = request_for(factory="model.py:tiny", mean=MEAN, std=STD)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere)
    plain = dataclasses.replace(request, folder=elsewhere)
    (tmp_path / "request").write_bytes(pickle.dumps(plain))
    before = torch.get_rng_state()
    converted = convert(request)
    assert torch.equal(torch.get_rng_state(), before)
    again = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "request")], capture_output=True, check=True)
    content = model_bytes(converted.model)
    assert again.stdout == content + converted.test_probabilities.tobytes()
    assert again.stderr == b""  # not a word of coremltools
    assert str(tmp_path).encode() not in content
    assert b"conversion_date" not in content


def test_another_seed_gives_other_weights(request_for: Request) -> None:
    one, two = (convert(request_for(factory="model.py:tiny", seed=seed)) for seed in (0, 1))
    assert model_bytes(one.model) != model_bytes(two.model)


def test_everything_of_torch_is_as_it_was(request_for: Request) -> None:
    torch.set_num_threads(1)
    level = logging.getLogger("coremltools").level
    filters = list(warnings.filters)
    convert(request_for(factory="model.py:tiny"))
    assert torch.get_num_threads() == 1
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.mha.get_fastpath_enabled()
    assert logging.getLogger("coremltools").level == level
    assert list(warnings.filters) == filters


BAD_FACTORIES = {
    "network_of_floats": ("return 1.5", "returned a float, expected a torch.nn.Module"),
    "raises": ("raise ValueError('no such width')", "failed with ValueError: no such width"),
    "wrong_shape": ("return nn.Conv2d(3, classes, 1)", "returns [1, 2, 16, 16] for one picture, expected logits"),
    "wrong_input": ("return nn.Conv2d(7, classes, 1)", "cannot take a picture of shape [1, 3, 16, 16] (RuntimeError"),
    "no_layer": (
        "return nn.Sequential(Bessel(), nn.Flatten(), nn.Linear(768, classes))",
        "uses the operator 'special_i0e', which coremltools cannot convert",
    ),
}


@pytest.mark.parametrize("name", sorted(BAD_FACTORIES))
def test_a_factory_that_cannot_be_used_is_one_sentence(folder: Path, request_for: Request, name: str) -> None:
    body, sentence = BAD_FACTORIES[name]
    (folder / "bad.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Bessel(nn.Module):\n    def forward(self, x):\n        return torch.special.i0e(x)\n"
        f"def {name}(classes):\n    {body}\n"
    )
    with pytest.raises(SourceError) as caught:
        convert(request_for(factory=f"bad.py:{name}"))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reference", ["../outside.py:tiny", "parts/../../outside.py:tiny"])
def test_a_factory_outside_the_folder_is_refused(folder: Path, request_for: Request, reference: str) -> None:
    (folder.parent / "outside.py").write_text("raise SystemExit('ran')\n")
    with pytest.raises(RecipeError, match="is outside "):
        convert(request_for(factory=reference))


def test_a_factory_outside_the_folder_that_is_trusted(folder: Path, request_for: Request) -> None:
    (folder.parent / "outside.py").write_text((folder / "model.py").read_text().replace("from .parts", "from .more"))
    (folder.parent / "more.py").write_text((folder / "parts.py").read_text())
    request = replace(request_for(factory="../outside.py:tiny"), trust_code=True)
    assert model_bytes(convert(request).model) == model_bytes(convert(request_for(factory="model.py:tiny")).model)


def test_no_pictures_to_train_on(request_for: Request) -> None:
    import dataclasses

    request = request_for(factory="model.py:tiny")
    empty = dataclasses.replace(request.validation, values=request.validation.values[:0], names=(), kinds=())
    with pytest.raises(DataError, match="48 rows for training and 0 for validation"):
        convert(dataclasses.replace(request, validation=empty))


def test_wrong_number_of_channels(request_for: Request) -> None:
    fields: dict[str, Any] = {"mean": [0.5], "std": [0.5]}
    with pytest.raises(SourceError, match=r"source.mean has 1 values, expected 3"):
        convert(request_for(factory="model.py:tiny", **fields))


@pytest.mark.field_case("apple/coremltools#1714", "a softmax along axis -3 of rank 3, converted from torch", "works")
@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 3, 4)])
def test_a_softmax_along_the_first_of_three_axes(shape: tuple[int, ...]) -> None:
    """coremltools writes the layer that devices run along the last axis."""

    class Softened(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(x * 2, 0) + torch.softmax(x[None], 1)[0]

    model = core_ml_of(Softened(), (ArrayInput("x", shape),))
    assert not [problem for problem in cu.check(model) if problem.rule == "L1714"]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    (actual,) = cu.load(model).predict({"x": x}).values()
    expected = torch.softmax(torch.from_numpy(x) * 2, 0) + torch.softmax(torch.from_numpy(x), 0)
    np.testing.assert_allclose(actual, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("end", ["nn.Softmax(1)", "nn.Sigmoid()", "nn.LogSigmoid()"])
def test_a_recipes_network_with_probabilities_at_its_end_is_refused(
    folder: Path, request_for: Request, end: str
) -> None:
    """The model and its source would both be a softmax of them, and agree."""
    plain = (folder / "model.py").read_text()
    (folder / "ended.py").write_text(plain.replace("nn.Linear(8, classes))", f"nn.Linear(8, classes), {end})"))
    with pytest.raises(SourceError, match=r"the network ends in a \w.*, expected logits, .*; remove it"):
        convert(request_for(factory="ended.py:tiny"))
    assert convert(request_for(factory="model.py:tiny")).history
