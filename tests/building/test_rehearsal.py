"""What a later stage of a build would refuse is refused before the first one: nothing is drawn, trained or written."""

import shutil
import threading
import tomllib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from coreml_updatable.building.build import run
from coreml_updatable.building.models_stage import marked_pair
from coreml_updatable.building.rehearsal import expect_names_and_settings, stand_in
from coreml_updatable.building.request import BuildRequest, prepare
from coreml_updatable.building.sources import collecting
from coreml_updatable.checking import check
from coreml_updatable.errors import DataError, UserError
from coreml_updatable.recipes.file import read_any_recipe, read_recipe
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.spec.network import network_of
from tests.building.bad_photos import a_misspelt_class, an_empty_class, no_owner, one_class, too_few

ROOT = Path(__file__).parents[2]
SHAPES = Path(__file__).parent / "shapes"
SAMPLES = sorted((ROOT / "sample_models").glob("*/recipe.toml"))
RECIPES = [SHAPES / "recipe.toml", *(path for path in SAMPLES if read_any_recipe(path).updatable)]
Section = tuple[str, str]

# (section, field, value as TOML) of the recipe in shapes, and what the sentence holds: the place, and how to fix it
BAD = [
    ("", "name", '"no-name"', ["name", "correct it"]),
    ("", "labels", '["angular", "round", "round"]', ["labels", "remove"]),
    ("", "layouts", '["pipeline", "pipeline:8"]', ["layouts", "remove"]),
    ("", "layouts", '["single"]', ["layouts", "correct it"]),
    ("input", "name", '"embedding"', ["'embedding'", "choose another"]),
    ("input", "name", '"label"', ["'label'", "rename one"]),
    ("outputs", "label", '"embedding"', ["'embedding'", "choose another name"]),
    ("outputs", "probabilities", '"embedding"', ["'embedding'", "choose another name"]),
    ("outputs", "label", '""', ["outputs.label", "correct it"]),
    ("update", "epochs", "100000", ["update.epochs", "100000", "lower it"]),
    ("update", "seed", str(2**70), ["update.seed", "64 bits", "make it smaller"]),
    ("update", "mini_batch_size", str(2**70), ["update.mini_batch_size", "64 bits", "make it smaller"]),
    ("update", "learning_rate", "0.0", ["update.learning_rate", "above 0"]),
    ("knn", "number_of_neighbors", str(2**70), ["knn.number_of_neighbors", "64 bits", "make it smaller"]),
    ("knn", "leaf_size", str(2**40), ["leaf_size", str(2**40), "30 is usual"]),
    ("knn", "default_label", '"round"', ["knn.default_label", "choose another"]),
    ("personalization", "kinds", '{ star = "nobody" }', ["personalization.kinds.star", "correct it"]),
    ("personalization", "new_label", '"round"', ["personalization.new_label", "choose another word"]),
    ("metadata", "version", '"beta"', ["metadata.version", "'beta'", "correct it"]),
    ("metadata", "version", '"1.0.0.0.1"', ["metadata.version", "correct it"]),
    ("metadata", "version", '""', ["metadata.version", "correct it"]),
    ("source", "facory", '"model.py:shape_network"', ["source.facory", "did you mean `factory`"]),
    ("source", "mean", '"0.5"', ["source.mean", "correct it"]),
    ("source", "factory", '"model.py"', ["source.factory", "correct it"]),
    ("source", "converter", '"mlmodel"', ["source.converter", "'mlmodel'", "coreml-updatable convert"]),
    ("source.training", "epochs", "0", ["source.training.epochs", "correct it"]),
]
# what only the recipe's own code and network can tell
BAD_CODE = [
    ("update", "last", "90", ["90 layers", "ask for at most"]),
    ("source", "factory", '"model.py:no_network"', ["model.py:no_network", "define it"]),
    ("source", "mean", "[0.5, 0.5]", ["mean"]),
    ("data", "draw", '"drawing.py:no_drawing"', ["drawing.py:no_drawing", "define it"]),
    ("source", "weights", '"weights.pt"', ["weights.pt", "check the path"]),
]


def changed(folder: Path, section: str, field: str, value: str) -> Path:
    """The recipe in ``shapes``, copied to ``folder``, with one field set."""
    shutil.copytree(SHAPES, folder / "shapes", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "shapes" / "recipe.toml"
    before, after, inside, done = path.read_text().splitlines(), [], "", False
    for line in before:
        if line.startswith("["):
            if inside == section and not done:
                after.append(f"{field} = {value}")
                done = True
            inside = line.strip("[]")
        if inside == section and line.startswith(f"{field} ="):
            line, done = f"{field} = {value}", True
        after.append(line)
    if not done:
        after += [f"[{section}]"] if inside != section else []
        after.append(f"{field} = {value}")
    if field == "leaf_size":
        after = [line + '\nindex = "kd-tree"' if line == "[knn]" else line for line in after]
    path.write_text("\n".join(after) + "\n")
    assert field in _section(tomllib.loads(path.read_text()), section)
    return path


def _section(table: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    for part in filter(None, section.split(".")):
        table = table[part]
    return table


@pytest.mark.parametrize(("section", "field", "value", "facts"), BAD)
def test_a_bad_recipe_is_refused_as_it_is_read(
    tmp_path: Path, section: str, field: str, value: str, facts: list[str]
) -> None:
    path = changed(tmp_path, section, field, value)
    with pytest.raises(UserError) as refused:
        prepare(path, None, None, None, tmp_path / "build")
    assert [fact for fact in facts if fact not in str(refused.value)] == []
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(("section", "field", "value", "facts"), BAD_CODE)
def test_what_the_recipes_code_and_network_will_not_do_is_refused_before_data_is_read(
    tmp_path: Path, section: str, field: str, value: str, facts: list[str]
) -> None:
    path, stages = changed(tmp_path, section, field, value), list[str]()
    with pytest.raises(UserError) as refused:
        run(prepare(path, None, None, None, tmp_path / "build"), lambda stage, *_: stages.append(stage))
    assert [fact for fact in facts if fact not in str(refused.value)] == []
    assert set(stages) <= {"rehearsal"}
    written = [item.name for item in (tmp_path / "build").rglob("*") if item.is_file()]
    assert set(written) <= {".lock"}


def test_pictures_are_drawn_beside_a_rehearsal_and_its_error_stops_them(tmp_path: Path) -> None:
    request = prepare(changed(tmp_path, "data", "drawn_per_kind", "2000"), None, None, None, tmp_path / "build")
    assert isinstance(request, BuildRequest)
    names = [item.name for item in threading.enumerate()]
    stack = ExitStack()
    stack.enter_context(collecting(request))
    assert [item.name for item in threading.enumerate()] != names  # they are being drawn
    refused = UserError("refused")
    assert not stack.__exit__(UserError, refused, None)
    assert [item.name for item in threading.enumerate()] == names
    assert list((tmp_path / "build").rglob("*.npz")) == []


@pytest.mark.parametrize("make", [one_class, an_empty_class, a_misspelt_class, no_owner, too_few])
def test_photos_whose_names_and_counts_cannot_do_are_refused_before_any_stage(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "photos")
    stages = list[str]()
    request = prepare(SHAPES / "recipe.toml", tmp_path / "photos", None, None, tmp_path / "build")
    with pytest.raises(DataError, match="photos"):
        run(request, lambda stage, *_: stages.append(stage))
    assert stages == []


def test_a_sentence_begins_with_the_recipe(tmp_path: Path) -> None:
    path = changed(tmp_path, "input", "name", '"embedding"')
    with pytest.raises(UserError) as refused:
        prepare(path, None, None, None, tmp_path / "build")
    assert str(refused.value).startswith(f"{path}: ")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_good_recipes_pass(path: Path) -> None:
    expect_names_and_settings(read_recipe(path), path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_the_stand_in_is_a_model_that_the_rules_have_nothing_against(path: Path) -> None:
    recipe: Recipe = read_recipe(path)
    network, empty = marked_pair(recipe, stand_in(recipe))
    assert [str(problem) for problem in (*check(network), *check(empty)) if problem.severity == "error"] == []
    assert sum(layer.isUpdatable for layer in network_of(network).layers) == recipe.update.last
    assert str(network.description.input[0].name) == recipe.input.name


@pytest.mark.parametrize("name", ["画像", "my image", "1x", "probabilities", "fc", "100", "features", "x.y"])
def test_names_that_training_and_marking_take_are_not_refused(tmp_path: Path, name: str) -> None:
    path = changed(tmp_path, "input", "name", f'"{name}"')
    assert prepare(path, None, None, None, tmp_path / "build").recipe.input.name == name
