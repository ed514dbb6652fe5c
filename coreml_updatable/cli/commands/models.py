"""`coreml-updatable models`: every sample that needs no download, one after the other."""

from collections.abc import Iterator
from pathlib import Path

from coreml_updatable.building.recipe_extras import lacking_weights
from coreml_updatable.cli.options import Builds, Samples
from coreml_updatable.cli.output import note
from coreml_updatable.converting.registry import find_converter, missing_extras_sentence, needs_of
from coreml_updatable.errors import BuildError, UserError
from coreml_updatable.installing import bare_command
from coreml_updatable.recipes.file import read_any_recipe
from coreml_updatable.recipes.find import RECIPE, known_samples
from coreml_updatable.recipes.recipe import AnyRecipe, FixedRecipe


def every_sample(samples: Path) -> Iterator[tuple[str, str | None]]:
    """The name of each sample, and why it is left out, or None for one that can be built without a download."""
    for name in known_samples(samples):
        yield name, left_out(read_any_recipe(samples / name / RECIPE))


def left_out(recipe: AnyRecipe) -> str | None:
    if isinstance(recipe, FixedRecipe):
        return missing_extras_sentence(recipe.extras)
    if recipe.data.draw is None and recipe.data.load is None:
        return "it has no data; build it with DATA=folder"
    source = recipe.source.options()
    if source.get("weights") == "pretrained" and source.get("factory") is None:
        return "its weights must be downloaded; build it by name"
    if lacking := lacking_weights(recipe):
        return f"{', '.join(lacking)} is not installed; run: {bare_command(lacking)}"
    needs = needs_of(find_converter(recipe.source.converter))
    if needs.missing:
        return f"{', '.join(needs.missing)} is not installed; run: {needs.command}"
    return missing_extras_sentence(recipe.extras)


def models(out: Builds = Path("build"), samples: Samples = Path("sample_models")) -> None:
    """Build all samples without downloads; stop at the first failure."""
    from coreml_updatable.cli.commands.build import build

    result = list(every_sample(samples))
    if not result:
        raise BuildError(f"{samples}: contains no sample models, expected folders with a recipe.toml; check the path")
    names = [name for name, reason in result if reason is None]
    for index, (name, reason) in enumerate(result, start=1):
        if reason is not None:
            note(f"[{index}/{len(result)}] {name}: skipped, {reason}")
            continue
        note(f"[{index}/{len(result)}] {name}")
        try:
            build(name, out=out, samples=samples)
        except UserError as error:
            later = names[names.index(name) + 1 :]
            rest = f"; not built: {', '.join(later)}" if later else ""
            raise BuildError(f"{name}: {str(error).removeprefix(f'{name}: ')}{rest}") from error
