"""What is to be built, read and validated, with the key of everything that could change the result."""

from dataclasses import dataclass
from pathlib import Path

from coreml_updatable.building.cache import code_digest, code_in, files_digest, key_of, sample_code_digest
from coreml_updatable.building.overrides import with_backbone
from coreml_updatable.building.recipe_extras import refuse_lacking
from coreml_updatable.building.rehearsal import expect_names_and_settings
from coreml_updatable.converting.registry import check_source, find_converter, version_of
from coreml_updatable.data.folders import digest
from coreml_updatable.errors import DataError, RecipeError, SourceError
from coreml_updatable.recipes.file import read_recipe
from coreml_updatable.recipes.find import FROZEN, RECIPE
from coreml_updatable.recipes.recipe import Recipe

CODE_FIELDS = ("draw", "load", "show", "adapt")  # of [data]


@dataclass(frozen=True)
class BuildRequest:
    """A recipe with what the command line changed in it.

    ``folder`` is the recipe's own, ``sample`` the name of that folder, ``data`` a folder of photos or None, ``target``
    where the results go. The keys say when an earlier result may be used again: ``data_key`` for the pictures,
    ``source_key`` for the trained and converted network, ``key`` for everything.
    """

    recipe: Recipe
    recipe_path: Path
    folder: Path
    sample: str
    data: Path | None
    target: Path
    data_key: str
    source_key: str
    key: str

    @property
    def cache(self) -> Path:
        return self.target / ".cache"


def prepare(
    recipe_path: Path,
    data: Path | None,
    backbone: str | None,
    weights: Path | None,
    out: Path,
    trust_code: bool = False,
) -> BuildRequest:
    """Read the recipe, apply the command line, refuse names and settings that no stage takes, and make the keys.

    Nothing is built yet, and no code of the recipe's has run.
    """
    recipe = with_backbone(read_recipe(recipe_path), backbone, weights)
    recipe = recipe.model_copy(update={"trust_code": recipe.trust_code or trust_code})
    folder = recipe_path.resolve().parent
    sample = _sample(folder, recipe_path.name)
    if (out / sample).resolve() == folder:
        raise RecipeError(
            f"--out {out}: the results would lie among the recipe's own files in {folder}, expected a folder of their "
            "own; give another"
        )
    if data is not None and not data.is_dir():
        raise DataError(f"{data}: no such folder, expected one folder a class inside it; check the path")
    refuse_lacking(recipe, recipe_path)
    check_source(find_converter(recipe.source.converter), recipe.source.options())
    expect_names_and_settings(recipe, recipe_path)
    owner = recipe.personalization
    kept_for_owner: object = (owner.kind, owner.label, owner.held_out, owner.photos[-1]) if owner else None
    if recipe.slots is not None:
        kept_for_owner = recipe.slots.model_dump(mode="json")
    data_key = key_of(
        code_digest(),
        sample_code_digest(folder, _no_code(folder, data, out)),
        _outside_digests(recipe, folder),
        recipe.data.model_dump(mode="json"),
        recipe.input.model_dump(mode="json"),
        recipe.labels,
        recipe.seed,
        kept_for_owner,
        digest(data, _classes(recipe)) if data is not None else None,
    )
    source_key = key_of(
        data_key,
        recipe.source.model_dump(mode="json"),
        version_of(find_converter(recipe.source.converter)),
        _weights_digest(folder, recipe.source.options().get("weights")),
    )
    key = key_of(source_key, recipe.model_dump(mode="json"))
    return BuildRequest(recipe, recipe_path, folder, sample, data, out / sample, data_key, source_key, key)


def _sample(folder: Path, recipe: str) -> str:
    """The name of the results of the file ``recipe``: another recipe in the same folder has results of its own."""
    return folder.name if recipe in (RECIPE, FROZEN) else f"{folder.name}-{Path(recipe).stem}"


def _no_code(folder: Path, data: Path | None, out: Path) -> list[Path]:
    """What is no code of the recipe even where it lies beside it: the results of every recipe here, and the data, which
    have a digest of their own."""
    results = [out / _sample(folder, path.name) for path in folder.glob("*.toml")]
    return results if data is None else [*results, data]


def _outside_digests(recipe: Recipe, folder: Path) -> list[str]:
    """Of the trusted code that the recipe names in other folders."""
    named = (*(getattr(recipe.data, field) for field in CODE_FIELDS), recipe.source.options().get("factory"))
    paths = [(folder / str(one).partition(":")[0]).resolve() for one in named if one] if recipe.trust_code else []
    return [code_in(path.parent) for path in paths if path.is_file() and not path.is_relative_to(folder)]


def _classes(recipe: Recipe) -> set[str]:
    """Every class folder that a build may read."""
    owner = recipe.personalization
    taught = recipe.slots.kinds if recipe.slots else ()
    return {*recipe.data.kinds, *recipe.labels, *taught, *([owner.kind] if owner else [])}


def _weights_digest(folder: Path, weights: object) -> str | None:
    if not isinstance(weights, str) or weights == "pretrained":
        return None
    path = folder / weights
    if not path.is_file():
        raise SourceError(f"{weights}: no such file of weights; check the path")
    return files_digest(path.parent, [path])
