"""Which samples a checkout can build by itself: those with pictures of their own, whose libraries are installed."""

from collections.abc import Iterator
from pathlib import Path

from coreml_updatable.building.converter import find_converter
from coreml_updatable.building.extras import needs_of, told_lacking
from coreml_updatable.building.find import FROZEN, RECIPE, frozen_samples, known_samples
from coreml_updatable.building.frozen import missing
from coreml_updatable.building.frozen_recipe import read_frozen
from coreml_updatable.building.recipe import Recipe
from coreml_updatable.building.recipe_file import read_recipe


def every_sample(samples: Path) -> Iterator[tuple[str, str | None]]:
    """The name of each sample, and why it is left out, or None for one that can be built without a download."""
    for name in known_samples(samples):
        yield name, left_out(read_recipe(samples / name / RECIPE))
    for name in frozen_samples(samples):
        yield name, missing(read_frozen(samples / name / FROZEN))


def left_out(recipe: Recipe) -> str | None:
    if recipe.data.draw is None and recipe.data.load is None:
        return "it has no data of its own; build it with DATA=folder"
    if recipe.source.options().get("weights") == "pretrained":
        return "its weights are downloaded; build it by its name"
    needs = needs_of(find_converter(recipe.source.converter))
    if needs.missing:
        return f"{', '.join(needs.missing)} is not installed; run: {needs.command}"
    return told_lacking(recipe.extras)
