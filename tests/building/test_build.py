"""The whole walk on a small recipe: real training, conversion, marking, proof, comparison and report."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from coreml_updatable.checking import check
from coreml_updatable.errors import DataError
from coreml_updatable.personalization.replay_file import read_replay_set, replay_rows
from coreml_updatable.publishing.vectors.document import Picture, read_vectors
from coreml_updatable.publishing.vectors.replay import replay
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import read_model
from coreml_updatable.updating import UpdateTask

SHAPES = Path(__file__).parent / "shapes"
FILES = {
    "Shapes.mlmodel",
    "Shapes.replay.json",
    "Shapes.vectors.json",
    "ShapesExtractor.mlmodel",
    "ShapesHead.mlmodel",
    "ShapesHead.replay.json",
    "ShapesKNN.mlmodel",
    "ShapesKNN.vectors.json",
    "ShapesPipeline.vectors.json",
    "ShapesPipeline.mlmodel",
    "report.html",
    "report.json",
}
RUN = "from coreml_updatable.cli import main\nimport resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"


def command(*arguments: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", f"{RUN}{before}\nmain()", *arguments]


def build(recipe: Path, out: Path, *more: str, before: str = "") -> "subprocess.CompletedProcess[str]":
    arguments = command("build", str(recipe), "--out", str(out), *more, before=before)
    return subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=out.parent)


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a build, by its path in there."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names if not name.startswith(".")
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe in ``shapes`` and its results in ``build/shapes``."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copytree(SHAPES, folder / "shapes", ignore=shutil.ignore_patterns("__pycache__"))
    result = build(folder / "shapes", folder / "build")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    """The same, to be changed by one test alone."""
    return Path(shutil.copytree(place, tmp_path / "copy"))


@pytest.fixture(scope="module")
def report(place: Path) -> Any:
    return json.loads((place / "build" / "shapes" / "report.json").read_text())


def test_both_models_the_page_and_the_report_are_there(place: Path, report: Any) -> None:
    target = place / "build" / "shapes"
    folders = ("vectors/", "replay/")
    pictures = {name for name in sums(target) if name.startswith(folders) and name.endswith((".png", ".jpg"))}
    assert pictures
    assert set(sums(target)) - pictures == FILES
    assert {name: file["sha256"] for name, file in report["files"].items()} == {
        name: digest for name, digest in sums(target).items() if name != "report.json"
    }


def test_further_layouts_are_the_same_model_and_can_be_published(place: Path, tmp_path: Path) -> None:
    target = place / "build" / "shapes"
    single, extractor, head, pipeline = (
        read_model(target / f"Shapes{part}.mlmodel") for part in ("", "Extractor", "Head", "Pipeline")
    )
    assert single.description.output == pipeline.description.output == head.description.output
    assert extractor.description.output[0].name == head.description.input[0].name
    assert [problem for model in (extractor, head, pipeline) for problem in check(model)] == []
    ran = subprocess.run(
        command("publish", str(target), "--to", str(tmp_path / "site")), capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (0, "Shapes 1.0: published"), ran.stderr


def test_a_replay_set_is_training_rows_that_every_layout_can_learn(place: Path, report: Any, tmp_path: Path) -> None:
    target = place / "build" / "shapes"
    result = report["replay"]
    assert [item["name"] for item in result["comparison"]["entrants"]] == ["none", "herding", "k-center"]
    assert [item["name"] for item in report["comparison"]["entrants"]] == ["network with its replay set", "k-NN"]
    assert result["files"]["ShapesHead.replay.json"] == (target / "ShapesHead.replay.json").stat().st_size
    whole = read_replay_set(target / "Shapes.replay.json")
    assert whole.sha256 == report["files"]["Shapes.mlmodel"]["sha256"]
    assert [row["label"] for row in whole.rows] in (["angular", "round"] * 2, ["round", "angular"] * 2)
    rows, seen = (list(replay_rows(target / f"Shapes{part}.replay.json")) for part in ("", "Head"))
    extractor = read_model(target / "ShapesExtractor.mlmodel")
    blob = extractor.description.output[0].name
    said = load(extractor).predict([{"image": row["image"]} for _, row in rows])
    for (_, row), (_, embedded), answer in zip(rows, seen, said, strict=True):
        assert embedded["label"] == row["label"]
        assert embedded[blob] == pytest.approx(answer[blob], abs=1e-6)
    vectors = read_vectors(target / "Shapes.vectors.json").exercise("with the replay set")
    assert vectors is not None
    assert vectors.update is not None
    learned = [row["image"].png for row in vectors.update.rows if isinstance(row["image"], Picture)]
    assert learned[-4:] == [f"replay/Shapes-{index:02}.png" for index in range(1, 5)]
    again = ["--replay", str(target / "ShapesHead.replay.json"), "-o", str(tmp_path / "A.mlmodel"), "--no-shuffle"]
    own = tmp_path / "own.json"
    own.write_text(json.dumps([{blob: seen[0][1][blob].tolist(), "label": "round"}]))
    command_line = command("update", str(target / "ShapesHead.mlmodel"), str(own), *again)
    ran = subprocess.run(command_line, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    given = [{blob: seen[0][1][blob], "label": "round"}, *(row for _, row in seen)]
    model = load(read_model(target / "ShapesHead.mlmodel"))
    alone = UpdateTask(model, given, parameters={"shuffle": False}).resume().model
    assert load(read_model(tmp_path / "A.mlmodel")).message == alone.message
    half = json.loads((target / "ShapesHead.replay.json").read_text())
    half["rows"][0][blob]["float32"] = half["rows"][0][blob]["float32"][:-8]
    (tmp_path / "Half.replay.json").write_text(json.dumps(half))
    with pytest.raises(DataError, match=r"Half\.replay\.json"):
        list(replay_rows(tmp_path / "Half.replay.json"))


def test_every_layout_that_takes_pictures_and_learns_has_golden_vectors(place: Path) -> None:
    target = place / "build" / "shapes"
    assert sorted(path.name for path in target.glob("*.vectors.json")) == [
        f"Shapes{part}.vectors.json" for part in ("", "KNN", "Pipeline")
    ]
    vectors = read_vectors(target / "ShapesPipeline.vectors.json")
    assert vectors.model == "ShapesPipeline.mlmodel"
    stages = replay(vectors, target, read_model(target / vectors.model))
    assert {stage.name: stage.faults for stage in stages if stage.faults} == {}
    assert {"before", "after", "photos"} <= {stage.name for stage in stages}
    assert set(vectors.unnoticed) <= {"an EXIF orientation ignored"}  # squares and circles look alike when turned


@pytest.mark.parametrize("name", ["Shapes.mlmodel", "ShapesKNN.mlmodel"])
def test_a_model_has_the_contract_of_the_recipe(place: Path, name: str) -> None:
    path = place / "build" / "shapes" / name
    assert [problem for problem in check(path) if problem.severity == "error"] == []
    model = read_model(path)
    description = model.description
    assert model.isUpdatable
    assert [feature.name for feature in description.input] == ["image"]
    assert {feature.name for feature in description.output} == {"label", "labelProbability"}
    assert {feature.name for feature in description.trainingInput} == {"image", "label"}
    assert all(feature.shortDescription for feature in (*description.input, *description.output))
    assert description.metadata.author == "tests"


@pytest.mark.parametrize("name", ["Shapes.mlmodel", "ShapesKNN.mlmodel"])
def test_one_photo_and_one_epoch_are_legal(place: Path, name: str) -> None:
    from PIL import Image

    row = {"image": Image.new("RGB", (24, 24), "red"), "label": "round"}
    parameters = {} if "KNN" in name else {"epochs": 1, "miniBatchSize": 1}
    context = UpdateTask(place / "build" / "shapes" / name, [row], parameters=parameters).resume()
    before = load(place / "build" / "shapes" / name).predict({"image": row["image"]})
    after = context.model.predict({"image": row["image"]})
    assert (
        after["labelProbability"]["round"] > before["labelProbability"].get("round", 0.0) or after["label"] == "round"
    )


def test_the_proof_stands_in_the_report(report: Any) -> None:
    proof = report["proof"]
    assert proof["max_difference"] <= 1e-4
    assert proof["labels_equal"] == proof["pictures"] > 0
    assert proof["update"]["loss_after"] < proof["update"]["loss_before"]
    assert len(proof["update"]["changed_layers"]) == 1


def test_snapshots_are_epochs_of_the_training_evenly_spaced(place: Path, report: Any) -> None:
    rows = sum(report["data"]["validation"].values())
    known = {f"epoch {entry['epoch']:.0f}": entry["validation_accuracy"] for entry in report["history"]}
    shown = report["snapshots"]
    epochs = [list(known).index(entry["title"]) for entry in shown]
    assert len(epochs) == 3
    assert epochs[-1] == len(known) - 1
    assert abs((epochs[2] - epochs[1]) - (epochs[1] - epochs[0])) <= 1
    page = (place / "build" / "shapes" / "report.html").read_text()
    for item in shown:
        assert item["accuracy"]["rows"] == rows
        assert item["accuracy"]["share"] == pytest.approx(known[item["title"]])
        assert f">{item['title']}" in page


def test_a_second_run_does_no_work(copy: Path) -> None:
    target = copy / "build" / "shapes"
    result = build(copy / "shapes", copy / "build")  # elsewhere, but nothing that counts has changed
    assert result.returncode == 0
    assert "up to date" in result.stderr
    changed = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    assert build(copy / "shapes", copy / "build").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == changed


def test_the_same_recipe_gives_the_same_bytes_in_another_folder(place: Path, tmp_path: Path) -> None:
    shutil.copytree(SHAPES, tmp_path / "other" / "shapes", ignore=shutil.ignore_patterns("__pycache__"))
    assert build(tmp_path / "other" / "shapes", tmp_path / "results").returncode == 0
    for name in ("Shapes.mlmodel", "ShapesKNN.mlmodel"):
        first, second = (folder / "shapes" / name for folder in (place / "build", tmp_path / "results"))
        assert first.read_bytes() == second.read_bytes()


def test_other_update_parameters_do_not_train_or_convert_again(copy: Path) -> None:
    recipe = copy / "shapes" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("epochs = { default = 5,", "epochs = { default = 6,"))
    kept = (copy / "build" / "shapes" / ".cache" / "source.npz").stat().st_mtime_ns
    result = build(copy / "shapes", copy / "build")
    assert result.returncode == 0
    assert "from an earlier run" in result.stderr
    assert (copy / "build" / "shapes" / ".cache" / "source.npz").stat().st_mtime_ns == kept
    layer = read_model(copy / "build" / "shapes" / "Shapes.mlmodel").neuralNetworkClassifier.updateParams
    assert layer.epochs.defaultValue == 6


def test_a_lost_file_is_made_again(copy: Path) -> None:
    target = copy / "build" / "shapes"
    before = sums(target)["Shapes.mlmodel"]
    (target / "Shapes.mlmodel").unlink()
    assert build(copy / "shapes", copy / "build").returncode == 0
    assert sums(target)["Shapes.mlmodel"] == before


def test_a_mistake_leaves_the_older_results(copy: Path) -> None:
    before = sums(copy / "build" / "shapes")
    recipe = copy / "shapes" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("epochs = 12", "epochs = 12\nepoch = 1"))
    result = build(copy / "shapes", copy / "build")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].endswith(
        "unknown field `source.training.epoch` of the torch converter; did you mean `epochs`?"
    )
    assert sums(copy / "build" / "shapes") == before


def test_a_full_disk_leaves_the_older_results(copy: Path) -> None:
    """The kernel's limit on a file's size stands for the full disk."""
    before = sums(copy / "build" / "shapes")
    recipe = copy / "shapes" / "recipe.toml"
    text = recipe.read_text()
    recipe.write_text(text.replace("epochs = { default = 5,", "epochs = { default = 7,"))
    result = build(copy / "shapes", copy / "build", before="resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))")
    assert result.returncode == 1
    assert "no space left" in result.stderr
    assert "Traceback" not in result.stderr
    assert sums(copy / "build" / "shapes") == before
    recipe.write_text(text)
    assert build(copy / "shapes", copy / "build").returncode == 0


@pytest.mark.parametrize(
    "seconds", [pytest.param(0.5, marks=pytest.mark.slow), 2.0, pytest.param(4.0, marks=pytest.mark.slow)]
)
def test_a_killed_build_leaves_the_older_results(copy: Path, seconds: float) -> None:
    before = sums(copy / "build" / "shapes")
    recipe = copy / "shapes" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("learning_rate = 0.01\n", "learning_rate = 0.02\n"))
    arguments = command("build", str(copy / "shapes"), "--out", str(copy / "build"))
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(seconds)
        process.kill()
    assert sums(copy / "build" / "shapes") == before
    assert build(copy / "shapes", copy / "build").returncode == 0


def test_two_builds_at_once(copy: Path) -> None:
    (copy / "build" / "shapes" / "report.json").unlink()
    arguments = command("build", str(copy / "shapes"), "--out", str(copy / "build"))
    processes = [
        subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) for _ in range(2)
    ]
    said = [process.communicate()[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1]
    assert any("another build of this model is running" in text for text in said)


def test_an_unknown_model(tmp_path: Path) -> None:
    result = build(Path("no_such_model"), tmp_path / "build")
    assert result.returncode == 2
    assert "Unknown sample 'no_such_model'" in result.stderr
