"""Refusals in a table: what each advises is in its sentence, and following it to the letter works."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model_pb2
from tests.cli.conftest import Run, classifier, noise

NETS = """from torch import nn

def make(n):
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, n))

def picture(n):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, n))
"""

# The refused command, what its sentence advises, and the command that follows the advice. $ is the folder of files.
CASES = (
    ("mark $frozen.mlmodel", "-o is required", "mark $frozen.mlmodel -o $out.mlmodel"),
    ("mark $frozen.mlmodel", "--dry-run", "mark $frozen.mlmodel --dry-run"),
    ("mark $frozen.mlmodel $out.mlmodel", "-o $out.mlmodel", "mark $frozen.mlmodel -o $out.mlmodel"),
    ("mark $frozen.mlmodel -o $", "name a file in it", "mark $frozen.mlmodel -o $/out.mlmodel"),
    ("mark $frozen.mlmodel -o $out.mlmodel --optimizer rmsprop", "'adam'", "{} adam"),
    ("mark $frozen.mlmodel -o $out.mlmodel --layers hed", "did you mean 'head'", "{} head"),
    ("mark $frozen.mlmodel -o $out.mlmodel --layers flatten", "name another layer", "{} head"),
    ("mark $frozen.mlmodel -o $out.mlmodel --last 5", "ask for at most 1", "{} 1"),
    ("mark $frozen.mlmodel -o $out.mlmodel --labels a,b,c", "give 2 labels", "{} a,b"),
    ("mark $frozen.mlmodel -o $out.mlmodel --labels a", "the label of every output", "{} a,b"),
    ("mark $frozen.mlmodel -o $out.mlmodel --labels a,a", "expected different labels", "{} a,b"),
    (
        "mark $frozen.mlmodel -o $out.mlmodel --labels a b",
        "--labels a,b",
        "mark $frozen.mlmodel -o $out.mlmodel --labels a,b",
    ),
    (
        "mark $frozen.mlmodel -o $out.mlmodel --loss mean_squared_error",
        "expected categorical_cross_entropy",
        "{} categorical_cross_entropy",
    ),
    ("mark $frozen.mlmodel -o $out.mlmodel --epochs 0", "integers of 1 or more", "{} 1"),
    ("mark $frozen.mlmodel -o $out.mlmodel --learning-rate -1", "0.01 is usual", "{} 0.01"),
    ("mark $frozen.mlmodel -o $out.mlmodel --momentum 2", "expected 0 to 1", "{} 1"),
    (
        "mark $frozen.mlmodel -o $out.mlmodel --mini-batch-size 2",
        "'--mini-batch'",
        "mark $frozen.mlmodel -o $out.mlmodel --mini-batch 2",
    ),
    (
        "mark $frozen.mlmodel -o $out.mlmodel --reserve 2",
        "'--reserved'",
        "mark $frozen.mlmodel -o $out.mlmodel --reserved 2",
    ),
    ("mark $frozen.mlmodel -o $out.mlmodel --beta1 0.5", "omit it", "mark $frozen.mlmodel -o $out.mlmodel"),
    ("mark $frozen.mlmodel -o $out.mlmodel --label-name x", "choose another", "{} y"),
    (
        "mark $neighbors.mlmodel -o $out.mlmodel",
        "learn without marking",
        "update $neighbors.mlmodel $train.json -o $out.mlmodel",
    ),
    ("knn $neighbors.mlmodel -o $out.mlmodel", "update it", "update $neighbors.mlmodel $train.json -o $out.mlmodel"),
    ("knn $neighbors.mlmodel -o $out.mlmodel", "give the network", "knn $frozen.mlmodel -o $out.mlmodel"),
    ("knn $frozen.mlmodel -o $out.mlmodel --neighbors 0", "integers of 1 or more", "{} 1"),
    ("knn $frozen.mlmodel -o $out.mlmodel --weighting near", "'inverse'", "{} inverse"),
    ("knn $frozen.mlmodel -o $out.mlmodel --index tree", "kd-tree:30", "{} kd-tree:30"),
    ("knn $frozen.mlmodel -o $out.mlmodel --index kd-tree:0", "30 is usual", "{} kd-tree:30"),
    (
        "knn $frozen.mlmodel -o $out.mlmodel --whole",
        "cut it before its head",
        "knn $frozen.mlmodel -o $out.mlmodel --cut",
    ),
    ("layout $vectors.mlmodel -o $out.mlmodel", "split", "layout $vectors.mlmodel -o $out.mlmodel --to split"),
    ("layout $vectors.mlmodel -o $out.mlmodel --to splt", "did you mean 'split'", "{} split"),
    ("layout $vectors.mlmodel -o $out.mlmodel --to split --bits 7", "'16'", "{} 16"),
    (
        "layout $vectors.mlmodel -o $out.mlmodel --to single --bits 16",
        "use the layout pipeline",
        "layout $vectors.mlmodel -o $out.mlmodel --to pipeline --bits 16",
    ),
    (
        "layout $frozen.mlmodel -o $out.mlmodel --to split",
        "mark it first",
        "layout $marked.mlmodel -o $out.mlmodel --to split",
    ),
    (
        "layout $part.mlmodel -o $out.mlmodel --to single",
        "pass its head as well",
        "layout $part.mlmodel $partHead.mlmodel -o $out.mlmodel --to single",
    ),
    ("predict $vectors.mlmodel $rows.json --top 0", "greater than or equal to 1", "{} 1"),
    ("update $vectors.mlmodel $train.json", "--in-place is required", "update $vectors.mlmodel $train.json --in-place"),
    (
        "update $vectors.mlmodel $train.json -o $out.mlmodel --in-place",
        "omit one of them",
        "update $vectors.mlmodel $train.json -o $out.mlmodel",
    ),
    (
        "update $vectors.mlmodel $rows.json -o $out.mlmodel",
        "the target 'label' is missing; add it",
        "update $vectors.mlmodel $train.json -o $out.mlmodel",
    ),
    (
        "update $frozen.mlmodel $train.json -o $out.mlmodel",
        "mark it first",
        "update $marked.mlmodel $train.json -o $out.mlmodel",
    ),
    ("update $marked.mlmodel $train.json -o $out.mlmodel --epochs -1", "from 1 to", "{} 1"),
    ("update $marked.mlmodel $train.json -o $out.mlmodel --learning-rate 9", "from 0.0001 to 1", "{} 0.0001"),
    ("update $marked.mlmodel $train.json -o $out.mlmodel --mini-batch-size 3", "expected one of 1, 2", "{} 2"),
    ("update $marked.mlmodel $train.json -o $out.mlmodel --momentum 7", "from 0 to 1", "{} 1"),
    (
        "update $vectors.mlmodel $train.json -o $out.mlmodel --assume epoch_loss=x",
        "'last batch'",
        "update $vectors.mlmodel $train.json -o $out.mlmodel --assume 'epoch_loss=last batch'",
    ),
    (
        "update $vectors.mlmodel $train.json -o $out.mlmodel --assume 'epochloss=last batch'",
        "did you mean 'epoch_loss'",
        "update $vectors.mlmodel $train.json -o $out.mlmodel --assume 'epoch_loss=last batch'",
    ),
    (
        "update $neighbors.mlmodel $train.json -o $out.mlmodel --epochs 2",
        "numberOfNeighbors",
        "update $neighbors.mlmodel $train.json -o $out.mlmodel --parameter numberOfNeighbors=2",
    ),
)

MAKE = "convert $nets.py:make -o $out.mlmodel --trust-code --input x:4 --labels a,b"
PICTURE = MAKE.replace(":make", ":picture").replace("x:4", "image:8x8")
WEIGHTS = MAKE.replace("$nets.py:make", "$w.pt --architecture $nets.py:make")
COMPARE = "compare $vectors.mlmodel --data $many.json --owners 3 --workers 1 --shots 1,2"
TUNE = "tune $vectors.mlmodel --data $many.json --budget 2 --owners 2 --test-owners 2 --shots 2"
NEW = "new mine --data $photos -o $recipe"
OTHER_COMMANDS = (
    (MAKE.replace("-o $out.mlmodel ", ""), "'-o'", MAKE),
    (MAKE.replace("$out.mlmodel", "$"), "name a file in it", MAKE),
    (MAKE.replace("$out.mlmodel", "$out.mlpackage"), "choose an .mlmodel file", MAKE),
    (MAKE.replace(":make", ""), "$nets.py:FUNCTION", MAKE),
    (MAKE.replace(":make", ":mak"), "correct the name", MAKE),
    (MAKE.replace("--trust-code ", ""), "--trust-code", MAKE),
    (MAKE.replace(" --labels a,b", ""), "--labels a,b", MAKE),
    (MAKE.replace("--input x:4 ", ""), "NAME:LENGTH", MAKE),
    (MAKE.replace("x:4", "x:5"), "such as x:4", MAKE),
    (MAKE.replace("x:4", "x"), "NAME:LENGTH", MAKE),
    (MAKE.replace("a,b", "a,a"), "expected different labels", MAKE),
    (MAKE.replace("a,b", "a"), "give the label of every output", MAKE),
    (MAKE.replace("a,b", "a b"), "--labels a,b", MAKE),
    (MAKE.replace("a,b", "@$none.txt"), "a file of labels, one a line", MAKE.replace("a,b", "@$labels.txt")),
    (MAKE.replace("--trust-code", "--trustcode"), "'--trust-code'", MAKE),
    (MAKE.replace("--input", "--inputs"), "'--input'", MAKE),
    (MAKE.replace("--labels", "--classes"), "'--labels'", MAKE),
    (f"{MAKE} --converter torhc", "'torch'", "{} torch"),
    (f"{MAKE} --converter keras", "omit the option", MAKE),
    (f"{MAKE} --mean 0.5", "omit them", MAKE),
    (f"{MAKE} --answer z", "omit the option", MAKE),
    (f"{MAKE} --head nwe", "'new'", "{} new"),
    (f"{MAKE} --head new --cut 9", "it has 0, 1, 2", "{} 2"),
    (f"{PICTURE} --pixels 0..2", "'0..255'", "{} 0..255"),
    (f"{PICTURE} --std 0", "expected divisors", "{} 1"),
    ("convert $w.pt -o $out.mlmodel", "file.py:function and --trust-code", WEIGHTS),
    (WEIGHTS.replace("a,b", "a,b,c"), "give 2 labels", WEIGHTS),
    (
        WEIGHTS.replace("w.pt", "w.bin"),
        "choose the converter with --converter",
        f"{WEIGHTS.replace('w.pt', 'w.bin')} --converter torch",
    ),
    ("convert $frozen.mlmodel -o $out.mlmodel --labels a,b,c", "give 2 labels", "{} a,b"),
    ("check", "'files'", "check $vectors.mlmodel"),
    ("check $none.mlmodel", "check the path", "check $vectors.mlmodel"),
    ("check $", "pass the file inside it", "check $vectors.mlmodel"),
    ("check $vectors.mlmodel --stric", "'--strict'", "{} --strict"),
    ("chek $vectors.mlmodel", "'check'", "check $vectors.mlmodel"),
    ("knn $frozen.mlmodel -o $out.mlmodel -k 3", "'--neighbors'", "knn $frozen.mlmodel -o $out.mlmodel --neighbors 3"),
    ("knn $frozen.mlmodel -o $out.mlmodel --whole", "--cut", "{} --cut"),
    (
        "mark $frozen.mlmodel -o $out.mlmodel --batch-size 2",
        "'--mini-batch'",
        "mark $frozen.mlmodel -o $out.mlmodel --mini-batch 2",
    ),
    (
        "mark $frozen.mlmodel -o $out.mlmodel --lr 0.1",
        "'--learning-rate'",
        "mark $frozen.mlmodel -o $out.mlmodel --learning-rate 0.1",
    ),
    (COMPARE.replace(" --data $many.json", ""), "'--data'", COMPARE),
    (COMPARE.replace("many", "none"), "check the path", COMPARE),
    (COMPARE.replace("many", "rows"), "add the column", COMPARE),
    (COMPARE.replace("vectors", "frozen"), "mark it first", COMPARE.replace("vectors", "marked")),
    (
        COMPARE.replace("$vectors.mlmodel", "$vectors.mlmodel $pictures.mlmodel"),
        "models of the same labels",
        COMPARE.replace("$vectors.mlmodel", "$vectors.mlmodel $marked.mlmodel"),
    ),
    (COMPARE.replace("1,2", "2,1"), "sort them", COMPARE),
    (COMPARE.replace("1,2", "a"), "0,1,2,5", "{} 0,1,2,5"),
    (COMPARE.replace("1,2", "500"), "at most 23 shots", "{} 23"),
    (COMPARE.replace("--owners 3", "--owners 0"), "expected 1 to", COMPARE),
    (COMPARE.replace("--owners", "--owner"), "'--owners'", COMPARE),
    (f"{COMPARE} --resume", "add -o", "{} --resume -o $compared"),
    (f"{COMPARE} --replay 1 --replay-by herdng", "'herding'", "{} herding"),
    (f"{COMPARE} --replay -1", "greater than or equal to 0", "{} 0"),
    (f"{COMPARE} -o $rows.json", "choose another -o", "{} $compared"),
    (f"{COMPARE} --scenario $none.toml", "check the path", "{} $scenario.toml"),
    (COMPARE.replace("many", "alike"), "rows of more kinds", COMPARE),
    (TUNE.replace(" --data $many.json", ""), "'--data'", TUNE),
    (TUNE.replace("vectors", "frozen"), "mark it first", TUNE.replace("vectors", "marked")),
    (TUNE.replace("--shots 2", "--shots 400"), "at most 11 shots", TUNE.replace("--shots 2", "--shots 11")),
    (TUNE.replace("--budget", "--budgt"), "'--budget'", TUNE),
    (f"{TUNE} --forgetting 200", "less than or equal to 100", "{} 100"),
    (f"{TUNE} --out $out.mlmodel", "'--output'", f"{TUNE} --output $out.mlmodel"),
    (f"{TUNE} -o $", "name a file in it", "{} $out.mlmodel"),
    (f"{TUNE} --recipe $none.toml", "check the path", TUNE),
    ("predict $pictures.mlmodel $photos --fit scaleFil", "did you mean 'scaleFill'", "{} scaleFill"),
    (NEW.replace(" --data $photos", ""), "'--data'", NEW),
    (NEW.replace("$photos", "$none"), "check the path", NEW),
    (NEW.replace("$photos", "$rows.json"), "is a file, expected a folder with one folder per class", NEW),
    (NEW.replace("$photos", "$photos/red"), "one folder per class", NEW),
    (NEW.replace("mine", "'my model'"), "such as 'my_model'", NEW.replace("mine", "my_model")),
    (NEW.replace("$recipe", "$rows.json"), "name another", NEW),
    (NEW.replace("$recipe", "$written"), "replace it with --force", f"{NEW.replace('$recipe', '$written')} --force"),
    (f"{NEW} --owner red", "KIND=LABEL", "{} red=blue"),
    (f"{NEW} --owner red=Mine", "the classes are blue, green, red", "{} red=blue"),
    (f"{NEW} --owner rde=blue", "'red'", "{} red=blue"),
    (f"{NEW} --owner red=red", "name another label", "{} red=green"),
    ("keygen $", "choose another name", "keygen $key"),
    ("diff $vectors.mlmodel", "'B'", "diff $vectors.mlmodel $vectors.mlmodel"),
)


@pytest.fixture
def folder(run: Run, vector_model: Path, tmp_path: Path) -> Path:
    frozen: Any = Model_pb2.Model()
    frozen.CopyFrom(classifier(["no", "yes"], image=False, size=4))
    frozen.isUpdatable = False
    del frozen.description.trainingInput[:]
    frozen.neuralNetworkClassifier.ClearField("updateParams")
    for layer in frozen.neuralNetworkClassifier.layers:
        layer.isUpdatable = False
    write_model(frozen, tmp_path / "frozen.mlmodel")
    assert run("mark", tmp_path / "frozen.mlmodel", "-o", tmp_path / "marked.mlmodel").status == 0
    assert run("layout", vector_model, "-o", tmp_path / "part.mlmodel", "--to", "split").status == 0
    (tmp_path / "rows.json").write_text('[{"x": [1, 2, 3, 4]}]')
    (tmp_path / "train.json").write_text('[{"x": [1, 2, 3, 4], "label": "yes"}, {"x": [0, 0, 0, 1], "label": "no"}]')
    return tmp_path


@pytest.fixture
def stocked(folder: Path, picture_model: Path) -> Path:
    """The same with what other commands take: networks in code, rows of many kinds, photos, a recipe."""
    assert picture_model.parent == folder
    (folder / "nets.py").write_text(NETS)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    for name in ("w.pt", "w.bin"):
        torch.save(network.state_dict(), folder / name)
    (folder / "labels.txt").write_text("a\nb\n")
    (folder / "scenario.toml").write_text("schema = 1\n[relabel]\n")
    random = np.random.default_rng(0)
    rows = [
        {"x": random.normal(row % 2 * 2, 1, 4).tolist(), "label": ("no", "yes")[row % 2], "kind": "abcd"[row % 4]}
        for row in range(120)
    ]
    (folder / "many.json").write_text(json.dumps(rows))
    (folder / "alike.json").write_text(json.dumps([row for row in rows if row["kind"] == "a"]))
    for position, kind in enumerate(("blue", "green", "red")):
        (folder / "photos" / kind).mkdir(parents=True)
        for index in range(3):
            noise(10 * position + index).save(folder / "photos" / kind / f"{index}.png")
    (folder / "written").mkdir()
    (folder / "written" / "recipe.toml").write_text("")
    return folder


@pytest.mark.parametrize(("refused", "advice", "followed"), OTHER_COMMANDS)
def test_advice_of_other_commands(run: Run, stocked: Path, refused: str, advice: str, followed: str) -> None:
    expect_followed(run, stocked, refused, advice, followed)


@pytest.mark.usefixtures("neighbor_model")
@pytest.mark.parametrize(("refused", "advice", "followed"), CASES)
def test_advice_that_is_followed_works(run: Run, folder: Path, refused: str, advice: str, followed: str) -> None:
    expect_followed(run, folder, refused, advice, followed)


def expect_followed(run: Run, folder: Path, refused: str, advice: str, followed: str) -> None:
    """``{}`` is the refused command without its last word."""

    def words(text: str) -> list[str]:
        return [
            word.replace("$/", "$").replace("$", f"{folder}/") if word != "$" else str(folder)
            for word in shlex.split(text)
        ]

    first = run(*words(refused))
    assert first.status in (1, 2)
    assert advice.replace("$", f"{folder}/") in first.err
    second = run(*words(followed.format(refused.rpartition(" ")[0])))
    assert second.status == 0, second.err


BUILD = "build $shapes/recipe.toml --out $builds"
PUBLISH = "publish $builds/shapes --to $site"
SIGNED = "publish $builds/shapes --to $signed --sign $key"
OF_BUILDS = (
    ("build $shapes/recipe.tml --out $builds", "check the path", BUILD),
    ("build $rows.json --out $builds", "pass the path of a recipe.toml", BUILD),
    ("build $ --out $builds", "the path of a recipe.toml", BUILD),
    (BUILD.replace("--out", "--ot"), "'--out'", BUILD),
    (BUILD.replace("$builds", "$rows.json"), "choose another --out", BUILD),
    (f"{BUILD} --weights $none.pt", "check the path", BUILD),
    ("publish $builds/shapes", "--to is required", PUBLISH),
    ("publish --to $site", "BUILDS is required", PUBLISH),
    ("publish $shapes --to $site", "`coreml-updatable build` first", PUBLISH),
    (SIGNED.replace("$key", "$none"), "a private key from `coreml-updatable keygen`", SIGNED),
    (PUBLISH.replace("--to", "-o"), "'--to'", PUBLISH),
    (PUBLISH.replace("$site", "$rows.json"), "choose another --to", PUBLISH),
    (f"{PUBLISH} --base-url nope", "https://example.org/models/", "{} https://example.org/models/"),
    (f"{PUBLISH} --public-key $key.pub", "add --check", "publish --check $signed --public-key $key.pub"),
    ("publish --check $shapes", "the folder that was published to", "publish --check $site"),
    ("publish --check $site --to $site", "omit one of them", "publish --check $site"),
    (f"{SIGNED} --valid-days 0", "greater than or equal to 1", "{} 1"),
    (f"{PUBLISH} --keep 0", "greater than or equal to 1", "{} 1"),
)


@pytest.mark.slow
def test_advice_on_builds_and_catalogues(run: Run, stocked: Path) -> None:
    """One after the other: the first builds, and what follows finds that build up to date."""
    shutil.copytree(Path(__file__).parents[1] / "building" / "shapes", stocked / "shapes")
    assert run("keygen", stocked / "key").status == 0
    for refused, advice, followed in OF_BUILDS:
        expect_followed(run, stocked, refused, advice, followed)


SIBLINGS = "siblings $marked.mlmodel -o $siblings --to onnxruntime"
OF_SIBLINGS = (
    (SIBLINGS.replace("onnxruntime", "onnx"), "onnxruntime, executorch", SIBLINGS),
    (SIBLINGS.replace("--to", "--engine"), "see --help", SIBLINGS),
    (SIBLINGS.replace("$siblings", "$rows.json"), "choose another -o", SIBLINGS),
    (SIBLINGS.replace("marked", "frozen"), "mark it first", SIBLINGS),
    (SIBLINGS.replace("marked", "neighbors"), "pass the network", SIBLINGS),
    (f"{SIBLINGS} --samples $none", "check the path", f"{SIBLINGS} --samples $train.json"),
)


@pytest.mark.siblings
@pytest.mark.usefixtures("neighbor_model")
@pytest.mark.parametrize(("refused", "advice", "followed"), OF_SIBLINGS)
def test_advice_on_siblings(run: Run, stocked: Path, refused: str, advice: str, followed: str) -> None:
    expect_followed(run, stocked, refused, advice, followed)
