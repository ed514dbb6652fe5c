"""A model that is not updatable: a small segmenter of our own, made, proved, described for Xcode and written."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from base64 import b64decode
from collections.abc import Callable
from html import escape
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coreml_updatable.building.build import run as run_build
from coreml_updatable.building.cache import kept_report
from coreml_updatable.building.request import prepare
from coreml_updatable.checking import check
from coreml_updatable.errors import BuildError, RecipeError, SourceError, UserError
from coreml_updatable.recipes.file import read_any_recipe
from coreml_updatable.recipes.find import find_recipe
from coreml_updatable.recipes.recipe import FixedRecipe
from coreml_updatable.runtime import load
from coreml_updatable.spec.features import PARAMETERS_KEY, TYPE_KEY
from coreml_updatable.spec.io import read_model
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model
from tests.cli.conftest import Run
from tests.cli.conftest import run as run

SAMPLES = Path(__file__).parents[2] / "sample_models"
MODEL = """
import numpy as np
import torch
from torch import nn
from coreml_updatable.converting.contract import ConvertedSource
from coreml_updatable.converters.torch.tracing import core_ml_of


def make(request):
    torch.manual_seed(request.seed)
    small = [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, len(request.labels), 1)]
    masks = [*small, nn.Upsample(scale_factor=2)]
    classes = [*small[:2], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, len(request.labels))]
    network = nn.Sequential(*(classes if CLASSIFIES else masks)).eval()
    model = core_ml_of(network, request.inputs)

    def answers(rows):
        pixels = np.stack([row[request.inputs[0].name] for row in rows])
        with torch.no_grad():
            return network(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255.0).numpy() * FACTOR

    facts = {"weights": "random", "warning": "The weights are random"}
    return ConvertedSource(model, request.labels, answers, "torch", 1e-4, facts=facts) if FACTOR else model
"""
RECIPE = """
name = "Masks"
labels = ["ground", "thing", "other"]
updatable = false
why = "A mask has no loss in Core ML."
[input]
name = "image"
width = 16
height = 16
[output]
name = "scores"
description = "A score for each class at each pixel."
[source]
make = "model.py:make"
[preview]
type = "imageSegmenter"
colors = ["#000000", "#ff0000", "#00ff00"]
[metadata]
author = "tests"
license = "BSD-3-Clause"
version = "1.0"
description = "Masks."
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes the sample; the source answers FACTOR times what the model does."""

    def write(factor: str = "1.0", classifies: bool = False, **changes: Any) -> Path:
        folder = tmp_path / "masks"
        folder.mkdir()
        code = MODEL.replace("numpy() * FACTOR", "numpy()[..., :4]" if "CUT" in factor else "numpy() * FACTOR")
        code = code.replace("FACTOR", factor.removesuffix(" * CUT")).replace("CLASSIFIES", str(classifies))
        (folder / "model.py").write_text(code)
        recipe = RECIPE
        for old, new in changes.values():
            assert old in recipe
            recipe = recipe.replace(old, new)
        (folder / "recipe.toml").write_text(recipe)
        return folder / "recipe.toml"

    return write


def built(path: Path, weights: Path | None = None) -> Any:
    request = prepare(path, None, None, weights, path.parents[1] / "build")
    run_build(request)
    report = kept_report(request.target, request.key)
    assert report is not None
    return report


def test_it_is_proved_described_and_written(written: Callable[..., Path], tmp_path: Path) -> None:
    path = written()
    command = [sys.executable, "-c", "from coreml_updatable.cli import main; main()", "build", str(path)]
    done = subprocess.run([*command, "--out", str(tmp_path / "build")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "The weights are random" in said
    assert "It is not updatable: A mask has no loss in Core ML." in said
    assert "network: outputs a map of shape [1, 3, 16, 16]" in said
    target = tmp_path / "build" / "masks"
    report = json.loads((target / "report.json").read_text())
    assert report["proof"]["max_difference"] <= 1e-4
    assert report["proof"]["labels_equal"] == report["proof"]["places"] == 2 * 16 * 16
    assert report["proof"]["update"] is report["data"] is report["comparison"] is None
    assert report["updatable"] is False
    model = read_model(target / "Masks.mlmodel")
    assert not model.isUpdatable
    assert [problem for problem in check(model) if problem.severity == "error"] == []
    defined = model.description.metadata.userDefined
    assert defined[TYPE_KEY] == "imageSegmenter"
    recipe = tomllib.loads(RECIPE)
    assert json.loads(defined[PARAMETERS_KEY]) == {"labels": recipe["labels"], "colors": recipe["preview"]["colors"]}
    assert [feature.name for feature in model.description.output] == ["scores"]
    page = (target / "report.html").read_text()
    assert f"report: {target / 'report.html'}" in done.stdout
    assert_it_shows(page, recipe, report, model)
    data = subprocess.run([*command, "--data", str(tmp_path)], capture_output=True, text=True, check=False)
    assert data.returncode == 2
    assert "--data: is of no use for masks, which is not updatable; leave it out" in data.stderr
    again = subprocess.run([*command, "--out", str(tmp_path / "build")], capture_output=True, text=True, check=False)
    assert "is up to date" in again.stderr
    assert again.stdout == done.stdout


FILTER = """
import torch
from coreml_updatable.converting.contract import ConvertedSource, Snapshot
from coreml_updatable.converters.torch.tracing import core_ml_of
import numpy as np

def make(request):
    (image,) = request.inputs
    torch.manual_seed(1)
    network = torch.nn.Sequential(
        torch.nn.ReflectionPad2d(1), torch.nn.Conv2d(3, 4, 3), torch.nn.InstanceNorm2d(4, affine=True),
        torch.nn.Upsample(scale_factor=2.0), torch.nn.Conv2d(4, 3, 2, 2), torch.nn.Sigmoid(),
    ).eval()
    def pixels(given):
        with torch.no_grad():
            return network(given) * 255
    class Pixels(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network
        def forward(self, given):
            return self.network(given) * 255
    def answers(rows):
        given = torch.from_numpy(np.stack([row["image"] for row in rows])).permute(0, 3, 1, 2) / 255.0
        return pixels(given).double().numpy() + request.options["off"]
    request.on_progress("train", 0.5, f"{len(list(request.photos.iterdir())) if request.photos else 0} photos")
    shown = np.zeros((8, 8, 3), np.uint8)
    return ConvertedSource(
        core_ml_of(Pixels(), request.inputs), (), answers, "torch", 1e-4,
        history=({"epoch": 1, "style_loss": 0.5}, {"epoch": 2, "style_loss": 0.25}),
        snapshots=tuple(Snapshot(f"epoch {n}", shown + n) for n in range(1, request.snapshots + 1)),
    )
"""
AS_A_FILTER = {
    "labels": ('labels = ["ground", "thing", "other"]', "snapshots = 2"),
    "output": ('name = "scores"', 'type = "image"\nname = "filtered"'),
    "source": ('make = "model.py:make"', 'make = "model.py:make"\nphotos = true\n[source.options]\noff = 0'),
    "preview": ('[preview]\ntype = "imageSegmenter"\ncolors = ["#000000", "#ff0000", "#00ff00"]\n', ""),
}


def test_a_filter_is_proved_by_its_pictures(written: Callable[..., Path], tmp_path: Path) -> None:
    path = written(**AS_A_FILTER)
    (path.parent / "model.py").write_text(FILTER)
    report = built(path)
    assert report["proof"]["labels_equal"] == report["proof"]["places"] == 2 * 16 * 16 * 3
    assert [item["title"] for item in report["snapshots"]] == ["epoch 1", "epoch 2"]
    assert [item["style_loss"] for item in report["history"]] == [0.5, 0.25]
    model = read_model(tmp_path / "build" / "masks" / "Masks.mlmodel")
    assert [problem for problem in check(model) if problem.severity == "error"] == []
    (output,) = model.description.output
    image = output.type.imageType
    assert (output.name, image.width, image.height, image.colorSpace) == (
        "filtered",
        16,
        16,
        FeatureTypes_pb2.ImageFeatureType.RGB,
    )
    page = (tmp_path / "build" / "masks" / "report.html").read_text()
    shown = [pixels_of(uri) for uri in re.findall(r'img src="data:image/png;base64,([^"]+)"', page)]
    assert len(shown) == 6 + 2
    for picture, source, result in (shown[:3], shown[3:6]):
        np.testing.assert_array_equal(np.asarray(load(model).predict({"image": picture})["filtered"]), result)
        np.testing.assert_array_equal(source, result)
    assert [int(item.max()) for item in shown[6:]] == [1, 2]

    photos = tmp_path / "photos"
    photos.mkdir()
    assert kept_report(tmp_path / "build" / "masks", prepare(path, photos, None, None, tmp_path / "build").key) is None
    path.write_text(path.read_text().replace("off = 0", "off = 0.1"))
    with pytest.raises(BuildError, match="differs from its source by"):
        built(path)


def assert_it_shows(page: str, recipe: Any, report: Any, model: Model) -> None:
    """The page's masks are the classes that the written model gives the page's pictures, in the recipe's colors."""
    for item in (*report["why_not_updatable"], "The weights are random.", *recipe["labels"], "imageSegmenter"):
        assert escape(item, quote=False) in page
    shown = [pixels_of(uri) for uri in re.findall(r'img src="data:image/png;base64,([^"]+)"', page)]
    assert len(shown) == 6
    colors = np.array([tuple(bytes.fromhex(color[1:])) for color in recipe["preview"]["colors"]])
    for picture, source, written in (shown[:3], shown[3:]):
        scores = np.asarray(load(model).predict({"image": picture})["scores"])
        np.testing.assert_array_equal(written, colors[scores.reshape(3, 16, 16).argmax(axis=0)])
        np.testing.assert_array_equal(source, written)


def pixels_of(base64: str) -> Any:
    return np.asarray(Image.open(BytesIO(b64decode(base64))).convert("RGB"))


@pytest.mark.parametrize(
    ("factor", "classifies", "error", "expected"),
    [
        (
            "1.001",
            False,
            BuildError,
            r"differs from its source by 0.00\d+ of the range of its answers, expected at most 0.0001",
        ),
        ("np.nan", False, BuildError, "differs from its source by nan of the range"),
        (
            "1.0 * 0 + 1",
            False,
            BuildError,
            "source: answers the same at every place of every picture, within 0, expected",
        ),
        ("0", False, SourceError, "model.py:make: returned a Model, expected a ConvertedSource; correct it"),
        ("1.0", True, BuildError, "the recipe says `updatable = false`, but its model can be marked"),
        ("(1.0 if 1 else 0) * CUT", False, BuildError, r"answers \[.*\], its source \[3, 16, 4\], expected the same"),
        (
            "1 / 0",
            False,
            SourceError,
            r"model.py:make: making the model failed \(ZeroDivisionError: division by zero\); correct it",
        ),
    ],
)
def test_a_source_that_will_not_do(
    written: Callable[..., Path], factor: str, classifies: bool, error: type[UserError], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=expected):
        built(written(factor, classifies))
    assert not (tmp_path / "build" / "masks" / "report.json").exists()


def test_weights_that_are_not_there(written: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone.pth: weights file does not exist; check the path"):
        built(written(), tmp_path / "gone.pth")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (', "#00ff00"]', "]", "preview.colors has 2 colors for 3 labels, expected one each"),
        ('"#00ff00"', '"green"', "preview.colors.2 is 'green'"),
        ('"other"]', '"thing"]', "labels holds .*, expected each label once"),
        ("why =", "wy =", "unknown field `wy`; did you mean `why`"),
        ("make =", "mak =", "unknown field `source.mak`; did you mean `make`"),
        ('why = "A mask has no loss in Core ML."', "", "why is missing; add it"),
        ("width = 16", "width = 3", "input.width is 3, expected at least 8"),
        ("[preview]", "[preview", "not valid TOML"),
        ('name = "scores"', 'type = "image"\nname = "scores"', "labels is of no use; remove it"),
        ('labels = ["ground", "thing", "other"]', "", "labels is missing; add it"),
        ("model.py:make", "model.py", "source.make is 'model.py', expected \"file.py:function\"; correct it"),
    ],
)
def test_a_mistake_is_one_sentence(written: Callable[..., Path], old: str, new: str, expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        read_any_recipe(written(change=(old, new)))


def test_a_catalogue_leaves_it_out(written: Callable[..., Path], tmp_path: Path, run: Run) -> None:
    built(written())
    build, site = tmp_path / "build" / "masks", tmp_path / "site"
    ran = run("publish", build, "--to", site)
    assert ran.status == 1
    assert f"{build}: its model is not updatable, expected one that is" in ran.err
    assert not site.exists()
    other = tmp_path / "other"  # a build whose report is none
    other.mkdir()
    (other / "report.json").write_text("[")
    ran = run("publish", build, other, "--to", site)
    assert ran.status == 1
    assert f"note: {build}: its model is not updatable; it is left out" in ran.err
    assert f"{other / 'report.json'}: is not the report of a build" in ran.err


def test_it_is_found_by_its_name(written: Callable[..., Path], tmp_path: Path) -> None:
    path = written()
    assert find_recipe("masks", tmp_path) == path
    assert find_recipe(str(path.parent), tmp_path / "elsewhere") == path


def segmenter() -> FixedRecipe:
    recipe = read_any_recipe(SAMPLES / "segmenter" / "recipe.toml")
    assert isinstance(recipe, FixedRecipe)
    return recipe


def test_the_segmenters_colours_are_those_of_pascal_voc() -> None:
    """The bits of a class's number, dealt out in turn to red, green and blue, the highest bit first (VOC's devkit)."""
    preview = segmenter().preview
    assert preview is not None
    for index, color in enumerate(preview.colors):
        channels = [sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3)) for channel in range(3)]
        assert color == "#" + bytes(channels).hex()


@pytest.mark.vision
def test_the_segmenters_labels_are_those_of_its_weights() -> None:
    architectures = import_module("coreml_updatable.converters.torch.architectures")
    weights = architectures.import_torchvision().models.segmentation.DeepLabV3_MobileNet_V3_Large_Weights.DEFAULT
    background, *things = weights.meta["categories"]
    assert background.strip("_") == "background"
    assert segmenter().labels == ("background", *things)


@pytest.mark.vision
@pytest.mark.slow
def test_deeplab_with_weights_from_a_file(tmp_path: Path) -> None:
    """As published weights are laid out: with the auxiliary classifier's, which the model has no use for."""
    import torch

    architectures = import_module("coreml_updatable.converters.torch.architectures")
    folder = Path(shutil.copytree(SAMPLES / "segmenter", tmp_path / "segmenter"))
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("256", "64"))
    torch.manual_seed(5)
    networks = architectures.import_torchvision().models.segmentation
    network = networks.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    torch.save(network.state_dict(), tmp_path / "untrained.pth")
    with pytest.raises(
        BuildError, match=r"source: answers the same at every place of every picture, .* give weights that"
    ):
        built(recipe, tmp_path / "untrained.pth")
    for module in network.modules():  # as in training: activations that neither fade nor grow
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 64, 64))
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    report = built(recipe, tmp_path / "weights.pth")
    assert report["proof"]["max_difference"] <= 1e-4
    assert report["proof"]["labels_equal"] > 0.999 * report["proof"]["places"]
    assert "warning" not in report["source"]
    assert report["source"]["weights"] == "weights.pth"
