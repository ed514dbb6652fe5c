"""What is to be built, read and validated, with the key of everything that could change the result."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from coreml_updatable.building.cache import code_digest, code_in, files_digest, key_of, sample_code_digest
from coreml_updatable.building.overrides import with_backbone
from coreml_updatable.building.recipe_extras import refuse_lacking
from coreml_updatable.building.rehearsal import expect_names_and_settings, expect_version
from coreml_updatable.converting.registry import check_source, cross_validates, find_converter, version_of
from coreml_updatable.data.folders import digest
from coreml_updatable.errors import DataError, RecipeError, SourceError
from coreml_updatable.recipes.file import read_any_recipe
from coreml_updatable.recipes.find import RECIPE
from coreml_updatable.recipes.recipe import FixedRecipe, Recipe

CODE_FIELDS = ("draw", "load", "show", "adapt")  # of [data]


@dataclass(frozen=True)
class _Request:
    """``folder`` is the recipe's own, ``sample`` the name of that folder, ``target`` where the results go; ``key`` says
    when the results of an earlier run may stay."""

    recipe_path: Path
    folder: Path
    sample: str
    target: Path
    key: str

    @property
    def cache(self) -> Path:
        return self.target / ".cache"


@dataclass(frozen=True)
class FixedRequest(_Request):
    """A recipe for a model that is not updatable, with what the command line changed in it."""

    recipe: FixedRecipe
    data: Path | None = None  # a folder of photos, where the recipe's function trains on some


@dataclass(frozen=True)
class BuildRequest(_Request):
    """A recipe with what the command line changed in it, and a folder of photos ``data`` or None.

    ``data_key`` says when an earlier result may be used again for the pictures, ``source_key`` for the trained and
    converted network.
    """

    recipe: Recipe
    data: Path | None
    data_key: str
    source_key: str


AnyRequest: TypeAlias = BuildRequest | FixedRequest


def prepare(
    recipe_path: Path,
    data: Path | None,
    backbone: str | None,
    weights: Path | None,
    out: Path,
    trust_code: bool = False,
) -> AnyRequest:
    """Read the recipe, apply the command line, refuse names and settings that no stage takes, and make the keys.

    Nothing is built yet, and no code of the recipe's has run.
    """
    result = read_any_recipe(recipe_path)
    if data is None and isinstance(result, Recipe) and result.data.folder is not None:
        data = (recipe_path.resolve().parent / result.data.folder).resolve()
    result = result.model_copy(update={"trust_code": result.trust_code or trust_code})
    folder = recipe_path.resolve().parent
    sample = _sample(folder, recipe_path.name)
    if (out / sample).resolve() == folder:
        raise RecipeError(
            f"--out {out}: the results would mix with the recipe's own files in {folder}; choose another folder"
        )
    if isinstance(result, FixedRecipe):
        return _fixed(result, recipe_path, data, backbone, weights, out)
    recipe = with_backbone(result, backbone, weights, photos=data is not None)
    _expect_folder(data, "one folder per class")
    refuse_lacking(recipe, recipe_path)
    check_source(find_converter(recipe.source.converter), recipe.source.options())
    expect_names_and_settings(recipe, recipe_path)
    owner = recipe.personalization
    data_key = key_of(
        code_digest(),
        sample_code_digest(folder, _no_code(folder, data, out)),
        _outside_digests(recipe, folder),
        recipe.data.model_dump(mode="json"),
        recipe.input.model_dump(mode="json"),
        recipe.seed,
        (owner.kinds, owner.held_out, owner.support()) if owner else None,
        recipe.every_label(),
        cross_validates(find_converter(recipe.source.converter), recipe.source.options()),
        digest(data, _classes(recipe)) if data is not None else None,
    )
    source_key = key_of(
        data_key,
        recipe.source.model_dump(mode="json"),
        version_of(find_converter(recipe.source.converter)),
        _weights_digest(folder, recipe.source.options().get("weights")),
    )
    key = key_of(source_key, recipe.model_dump(mode="json"))
    return BuildRequest(recipe_path, folder, sample, out / sample, key, recipe, data, data_key, source_key)


def _expect_folder(data: Path | None, content: str) -> None:
    if data is not None and not data.is_dir():
        raise DataError(f"{data}: does not exist, expected a folder with {content}; check the path")


def _fixed(
    recipe: FixedRecipe, path: Path, data: Path | None, backbone: str | None, weights: Path | None, out: Path
) -> FixedRequest:
    for option, given in {"--data": data, "--backbone": backbone}.items():
        if given is not None and not (option == "--data" and recipe.source.photos):
            raise RecipeError(f"{option}: is of no use for {path.parent.name}, which is not updatable; leave it out")
    _expect_folder(data, "photos")
    refuse_lacking(recipe, path)
    expect_version(recipe, path)
    if weights is not None:
        changed = recipe.source.model_copy(update={"weights": str(weights.resolve())})
        recipe = recipe.model_copy(update={"source": changed})
    folder = path.resolve().parent
    sample = _sample(folder, path.name)
    key = key_of(
        code_digest(),
        sample_code_digest(folder, _no_code(folder, data, out)),
        _digests([recipe.source.make], folder, recipe.trust_code),
        recipe.model_dump(mode="json"),
        _weights_digest(folder, recipe.source.weights),
        digest(data) if data is not None else None,
    )
    return FixedRequest(path, folder, sample, out / sample, key, recipe, data)


def _sample(folder: Path, recipe: str) -> str:
    """The name of the results of the file ``recipe``: another recipe in the same folder has results of its own."""
    return folder.name if recipe == RECIPE else f"{folder.name}-{Path(recipe).stem}"


def _no_code(folder: Path, data: Path | None, out: Path) -> list[Path]:
    """What is no code of the recipe even where it lies beside it: the results of every recipe here, and the data, which
    have a digest of their own."""
    results = [out / _sample(folder, path.name) for path in folder.glob("*.toml")]
    return results if data is None else [*results, data]


def _outside_digests(recipe: Recipe, folder: Path) -> list[str]:
    """Of the trusted code that the recipe names in other folders."""
    named = (*(getattr(recipe.data, field) for field in CODE_FIELDS), recipe.source.options().get("factory"))
    return _digests(named, folder, recipe.trust_code)


def _digests(references: Iterable[object], folder: Path, trusted: bool) -> list[str]:
    paths = (
        [(folder / str(reference).partition(":")[0]).resolve() for reference in references if reference]
        if trusted
        else []
    )
    return [code_in(path.parent) for path in paths if path.is_file() and not path.is_relative_to(folder)]


def _classes(recipe: Recipe) -> set[str]:
    """Every class folder that a build may read."""
    owner = recipe.personalization
    return {*recipe.data.kinds, *recipe.labels, *(owner.kinds if owner else ())}


def _weights_digest(folder: Path, weights: object) -> str | None:
    if not isinstance(weights, str) or weights == "pretrained":
        return None
    path = folder / weights
    if not path.is_file():
        raise SourceError(f"{weights}: weights file does not exist; check the path")
    return files_digest(path.parent, [path])
