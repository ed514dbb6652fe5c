"""`compare`: the report of two models, as a page and as JSON, and what cannot be compared."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

import coreml_updatable as cu
from tests.broken_models.valid import classifier
from tests.cli.conftest import Run


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A network, a k-NN behind the same features, and rows of three labels."""
    folder = tmp_path_factory.mktemp("models")
    plain: Any = classifier()
    plain.isUpdatable = False
    cu.save(cu.mark(plain, optimizer=cu.SGD(0.05, 1)), folder / "network.mlmodel")
    cu.save(cu.knn(plain, k=1, default_label="a"), folder / "knn.mlmodel")
    random = np.random.default_rng(0)
    for place, label in enumerate("abcd"):
        (folder / "data" / label).mkdir(parents=True)
        rows = random.normal(place, 1.0, (14, 3, 8, 8)).astype(np.float32)
        np.save(folder / "data" / label / "rows.npy", rows)
    return folder / "network.mlmodel", folder / "knn.mlmodel", folder / "data"


def test_a_report_for_people_and_for_programs(run: Run, models: Any, tmp_path: Path) -> None:
    network, knn, data = models
    out = tmp_path / "out"
    common = (network, knn, "--data", data, "--owners", 10, "--shots", "0,1,2", "--workers", 1, "-o", out)
    ran = run("compare", *common, "--replay", 1, "--json")
    assert ran.status == 0, ran.err
    said = json.loads(ran.out)
    schema = Path(__file__).parents[2] / "docs" / "lab-report.schema.json"
    jsonschema.validate(said, json.loads(schema.read_text(encoding="utf-8")))
    assert said == json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [item["name"] for item in said["entrants"]][:3] == ["network", "knn", "network + replay 1"]
    page = (out / "report.html").read_text(encoding="utf-8")
    for fact in (*said["conclusions"], "best is the upper left", "network + replay 1"):
        assert fact.replace("'", "&#39;") in page or fact in page
    assert "http" not in page.replace("http-equiv", "")
    again = run("compare", *common, "--replay", 1, "--resume")
    assert again.status == 0
    assert said["conclusions"][0] in again.out


@pytest.mark.parametrize(
    ("more", "status", "facts"),
    [
        (("--owners", 0), 1, ["0 owners"]),
        (("--shots", "0,x"), 1, ["0,x", "0,1,2,5"]),
        (("--shots", "0,50"), 1, ["50 shots", "at most"]),
        (("--resume",), 2, ["-o"]),
        (("--scenario", "none.toml"), 1, ["none.toml"]),
    ],
)
def test_what_is_wrong_is_one_sentence(run: Run, models: Any, more: Any, status: int, facts: list[str]) -> None:
    network, _, data = models
    ran = run("compare", network, "--data", data, *more)
    assert ran.status == status
    assert all(fact in ran.err for fact in facts)
    assert "Traceback" not in ran.err


def test_a_refusal_leaves_no_folder(run: Run, models: Any, tmp_path: Path) -> None:
    network, _, data = models
    there = tmp_path / "there"
    there.mkdir()
    for out in (tmp_path / "new" / "out", there):
        ran = run("compare", network, "--data", data, "--shots", "0,50", "-o", out)
        assert (ran.status, "50 shots" in ran.err) == (1, True)
    assert sorted(tmp_path.rglob("*")) == [there]


def test_the_two_files_of_a_split_are_one_contender(run: Run, models: Any, tmp_path: Path) -> None:
    """It serves owners as the single network does, and an update loads and writes its head alone."""
    network, _, data = models
    parts = cu.layout(network, "split")
    for model, name in zip(parts, ("front", "head"), strict=True):
        cu.save(model, tmp_path / f"{name}.mlmodel")
    front, head = tmp_path / "front.mlmodel", tmp_path / "head.mlmodel"
    settings = "--data", data, "--owners", 6, "--shots", "0,2", "--workers", 1, "--replay", 1, "--json"
    ran = run("compare", head, network, front, *settings)
    assert ran.status == 0, ran.err
    split, whole, _, replayed = json.loads(ran.out)["entrants"][:4]
    assert (split["name"], whole["name"]) == ("front + head", "network")
    assert split["points"] == whole["points"]
    assert split["cost"]["file_bytes"] == head.stat().st_size < whole["cost"]["file_bytes"] == network.stat().st_size
    assert split["cost"]["operations"] == whole["cost"]["operations"]
    assert replayed["name"] == "network + replay 1"
    other: Any = classifier()
    other.neuralNetworkClassifier.layers[0].convolution.weights.floatValue[0] += 1
    cu.save(cu.layout(other, "split")[0], front)
    ran = run("compare", front, head, *settings)
    assert ran.status == 1
    assert "another extractor" in ran.err


def test_a_page_shows_the_pictures_of_the_worst_owners(models: Any) -> None:
    from coreml_updatable.personalization.results import WorstOwner
    from coreml_updatable.publishing.report.comparison import render_comparison

    network, knn, data = models
    result = cu.compare([network, knn], data, owners=6, shots=[0, 1], workers=1)
    small = np.zeros((100, 64, 64, 3), np.uint8)
    assert all(isinstance(item, WorstOwner) for item in result.worst)
    page = render_comparison(result, small)
    assert page.count("data:image/png") == sum(len(item.rows) for item in result.worst)


def test_pictures_in_the_style_of_their_owner(tmp_path: Path) -> None:
    """Learned clean and tested dark: the base is less right on dark pictures than on the clean ones."""
    import torch

    torch.manual_seed(0)
    network: Any = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2))
    with torch.no_grad():
        network[1].weight[:] = torch.tensor([[-1.0], [1.0]]) / 192  # bright or not
        network[1].bias[:] = torch.tensor([0.5, -0.5])
    model = cu.convert(
        network, converter="torch", inputs=[cu.ImageInput("image", 8, 8, "rgb")], labels=["dark", "light"]
    )
    random = np.random.default_rng(1)
    for label, low in (("dark", 0), ("light", 150)):
        (tmp_path / label).mkdir()
        for index in range(20):
            pixels = np.clip(random.integers(low, low + 100, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{index}.png")
    accuracy = []
    for brightness in (1.0, 0.4):
        scenario = {
            "same": {"kinds": ["light"]},
            "style": {
                "count": 2,
                "brightness": [brightness, brightness],
                "blur": [0, 0],
                "crop": [1, 1],
                "learn": "clean",
            },
        }
        result = cu.compare([model], tmp_path, owners=8, shots=[0, 1], scenario=scenario, workers=1)
        accuracy.append(result.entrants[0].points[0].measures["personal_accuracy"].mean)
    assert accuracy[0] > 0.9
    assert accuracy[1] < 0.2
