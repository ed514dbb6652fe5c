"""Every sample's recipe is valid, and brings along what it names."""

from pathlib import Path

import pytest

from coreml_updatable.data.sample_code import load_function
from coreml_updatable.recipes.file import read_any_recipe
from coreml_updatable.recipes.find import known_samples
from coreml_updatable.recipes.recipe import FixedRecipe

SAMPLES = Path(__file__).parents[2] / "sample_models"


@pytest.mark.parametrize("name", known_samples(SAMPLES))
def test_recipe(name: str) -> None:
    folder = SAMPLES / name
    recipe = read_any_recipe(folder / "recipe.toml")
    references: list[str | None]
    if isinstance(recipe, FixedRecipe):
        references = [recipe.source.make]
    else:
        references = [recipe.data.draw, recipe.data.load, recipe.source.options().get("factory")]
    for reference in references:
        if reference is not None:
            assert callable(load_function(folder, reference))
    assert (folder / "README.md").is_file()


def test_the_samples() -> None:
    assert {"healthy_luncher", "handwritten"} <= set(known_samples(SAMPLES))
