"""An option that a command would ignore is refused with one sentence, and the command is fine without it."""

import json
import shlex
from pathlib import Path

import pytest

from coreml_updatable.cli.without_effect import IDLE
from coreml_updatable.spec.io import write_model
from tests.broken_models.valid import plain
from tests.cli.conftest import Run, noise

# What a user typed; the words between brackets have no effect. $ is the folder of files.
CASES = (
    "build $other/recipe.toml [--samples $]",
    "compare $vectors.mlmodel --data $many.json [--replay-by k-center]",
    "compare $vectors.mlmodel --data $many.json --replay 0 [--replay-by k-center]",
    "compare $vectors.mlmodel --data $many.json [--resume]",
    "compare $vectors.mlmodel --data $many.json --dask tcp://127.0.0.1:1 [--workers 2]",
    "compare $vectors.mlmodel --data $many.json [--fit scaleFit]",
    "tune $vectors.mlmodel --data $many.json [--fit scaleFit]",
    "convert $net.py:make --trust-code -o $out.mlmodel --input x:4 --labels a,b --head new [--column 1]",
    "convert $net.py:make --trust-code -o $out.mlmodel --input x:4 --labels a,b --cut 1 [--column 1]",
    "convert $net.py:make --trust-code -o $out.mlmodel --input x:4 --labels a,b --cut 1 [--head keep]",
    "convert $net.py:one --trust-code -o $out.mlmodel --input x:4 --labels a,b [--column 0]",
    "extras [--backbone timm:resnet18] --weights",
    "extras [--data $] --weights",
    "extras [--all] --weights",
    "knn $vectors.mlmodel -o $out.mlmodel [--fit scaleFit]",
    "knn $vectors.mlmodel -o $out.mlmodel --samples $many.json [--fit scaleFit]",
    "mark $vectors.mlmodel -o $out.mlmodel [--reserved-share 0.01]",
    "mark $vectors.mlmodel -o $out.mlmodel --layers head [--last 1]",
    "mark $vectors.mlmodel -o $out.mlmodel --optimizer adam [--momentum 0.5]",
    "mark $vectors.mlmodel -o $out.mlmodel [--beta1 0.5]",
    "mark $vectors.mlmodel -o $out.mlmodel [--beta2 0.5]",
    "mark $vectors.mlmodel -o $out.mlmodel [--eps 1e-8]",
    "predict $vectors.mlmodel $rows.json [--fit scaleFit]",
    "predict $vectors.mlmodel $rows.json [--rate 44100]",
    "predict $vectors.mlmodel $rows.json [--hop 0.5]",
    "predict $vectors.mlmodel $rows.json [--assume gradient=sum]",
    "predict $plain.mlmodel $rows.json [--top 2]",
    "predict $pictures.mlmodel $photo.png --with coreml [--top 2]",
    "predict $pictures.mlmodel $photo.png --with coreml [--overlay $]",
    "predict $pictures.mlmodel $photo.png --with coreml [--rate 44100]",
    "predict $pictures.mlmodel $photo.png --with coreml [--hop 1]",
    "probes $probes [--json]",
    "probes $probes [-o $device.json]",
    "publish --check $site [--to $site]",
    "publish --check $site [--device-results $rows.json]",
    "publish --check $site [--base-url https://example.org/]",
    "publish --check $site [--keep 2]",
    "publish --check $site [--sign $key]",
    "publish --check $site [--revoke $key.pub]",
    "publish --check $site [--valid-days 3]",
    "publish --check $site [--with-examples]",
    "publish --check $site [--yes]",
    "publish $build --to $site [--public-key $key.pub]",
    "publish $build --to $site [--yes]",
    "publish $build --to $site [--valid-days 3]",
    "update $vectors.mlmodel $train.json -o $out.mlmodel [--in-place]",
    "update $vectors.mlmodel $train.json -o $out.mlmodel [--fit scaleFit]",
    "update $pictures.mlmodel $base.replay.json -o $out.mlmodel [--fit scaleFit]",
)
TWICE = (
    "update $vectors.mlmodel $train.json -o $out.mlmodel --epochs 2 --parameter epochs=3",
    "update $vectors.mlmodel $train.json -o $out.mlmodel --parameter epochs=2 --parameter epochs=3",
    "update $vectors.mlmodel $train.json -o $out.mlmodel --assume gradient=sum --assume gradient=mean",
)
NETS = """from torch import nn

def make(n):
    return nn.Sequential(nn.Linear(4, 6), nn.Linear(6, n))

def one(n):
    return nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 1))
"""


@pytest.fixture
def folder(vector_model: Path, picture_model: Path) -> Path:
    folder = vector_model.parent
    assert picture_model.parent == folder
    write_model(plain(), folder / "plain.mlmodel")
    (folder / "net.py").write_text(NETS)
    (folder / "rows.json").write_text('[{"x": [1, 2, 3, 4]}]')
    rows = [{"x": [index, 0, 0, 1], "label": ("no", "yes")[index % 2]} for index in range(8)]
    for name in ("train", "many"):
        (folder / f"{name}.json").write_text(json.dumps(rows))
    noise(0).save(folder / "photo.png")
    return folder


def _words(text: str, folder: Path) -> list[str]:
    return [word.replace("$", f"{folder}/") for word in shlex.split(text)]


@pytest.mark.parametrize("case", CASES)
def test_what_would_be_ignored_is_refused(run: Run, folder: Path, case: str) -> None:
    idle = case[case.index("[") + 1 : case.index("]")]
    ran = run(*_words(case.replace("[", "").replace("]", ""), folder))
    assert ran.status in (1, 2)
    (sentence,) = [line for line in ran.err.splitlines() if "has no effect" in line]
    assert idle.split()[0] in sentence
    without = run(*_words(case.replace(f"[{idle}]", "").replace("  ", " "), folder))
    assert "has no effect" not in without.err


@pytest.mark.parametrize("case", TWICE)
def test_what_is_given_twice_is_refused(run: Run, folder: Path, case: str) -> None:
    ran = run(*_words(case, folder))
    assert ran.status == 2
    assert "is given twice; omit one of them" in ran.err


def test_every_entry_of_the_table_is_tried() -> None:
    tried = {(case.split()[0], case[case.index("[") + 1 :].split()[0].rstrip("]").lstrip("-")) for case in CASES}
    spelled = {"out": "o", "save": "o", "other": "with", "all_of_them": "all"}
    for command, entries in IDLE.items():
        for entry in entries:
            assert (command, spelled.get(entry.option, entry.option.replace("_", "-"))) in tried
