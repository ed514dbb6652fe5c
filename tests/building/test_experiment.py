"""The recipe's owner as a scenario: every picture with its own label, under the model's own feature names."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.building.experiment import labelled_rows, rows_of, scenario_of
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Examples
from coreml_updatable.recipes.file import parse_recipe
from coreml_updatable.recipes.recipe import Recipe

SHAPES = Path(__file__).parent / "shapes" / "recipe.toml"


@pytest.fixture
def recipe() -> Recipe:
    table = tomllib.loads(SHAPES.read_text())
    return parse_recipe({**table, "outputs": {"label": "shape", "probabilities": "shapeProbability"}}, "recipe.toml")


def examples(first: int, labels: tuple[int, ...], kind: str) -> Examples:
    pixels = np.stack([np.full((24, 24, 3), first + number, np.uint8) for number in range(len(labels))])
    names = tuple(str(first + number) for number in range(len(labels)))
    return Examples(pixels, np.array(labels), names, (kind,) * len(labels))


def test_rows(recipe: Recipe) -> None:
    pictures = examples(7, (1, 0), "square")
    assert [row["image"][0, 0, 0] for row in rows_of(recipe, pictures)] == [7, 8]
    assert [set(row) for row in rows_of(recipe, pictures)] == [{"image"}, {"image"}]
    assert [row["shape"] for row in labelled_rows(recipe, pictures)] == ["round", "angular"]


def test_the_owners_scenario(recipe: Recipe) -> None:
    train, validation, test = (examples(start, (0, 1), "square") for start in (0, 10, 20))
    support, held_out = examples(30, (1, 1, 1), "star"), examples(40, (1, 1), "star")
    dataset = Dataset(train, validation, test, support, held_out, "made here", ())
    scenario = scenario_of(recipe, dataset, rows_of(recipe, dataset.test))
    assert (scenario.kinds, scenario.new_label) == ({"star": "round"}, "star")
    assert [row["image"][0, 0, 0] for row in scenario.owner_rows] == [30, 31, 32]
    assert [row["image"][0, 0, 0] for row in scenario.held_out_rows] == [40, 41]
    assert [row["image"][0, 0, 0] for row in scenario.test_rows] == [20, 21]
    assert scenario.test_labels == ("angular", "round")
    assert (scenario.shots, scenario.seeds) == ((1, 3), (0, 1))


def test_a_recipe_without_an_owner_has_no_scenario() -> None:
    table = tomllib.loads(SHAPES.read_text())
    del table["personalization"], table["replay"]  # a replay set is measured with the owner
    part = examples(0, (0, 1), "square")
    with pytest.raises(ValueError, match="the recipe has no owner"):
        scenario_of(parse_recipe(table, "recipe.toml"), Dataset(part, part, part, part, part, "", ()), ())
