"""The extras of this package that a recipe needs: what it names itself, its converter's, and those of its network."""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from coreml_updatable.building.overrides import backbone_for, source_fields
from coreml_updatable.converting.registry import find_converter, missing_extras_sentence
from coreml_updatable.errors import RecipeError, SourceError
from coreml_updatable.installing import OURS, bare_command, missing
from coreml_updatable.recipes.file import read_any_recipe
from coreml_updatable.recipes.recipe import AnyRecipe, ArraySection, FixedRecipe, Recipe
from coreml_updatable.siblings.engines import EXTRAS
from coreml_updatable.text import did_you_mean

LIBRARIES = re.compile(r"(torchvision|timm):.")  # in front of a network's name
PACKAGED = {"efficientnet_lite0": "photos", "efficientnet_lite1": "lite1", "efficientnet_lite2": "lite2"}  # -> extra


def extras_of(path: Path, backbone: str | None = None, photos: bool = False) -> tuple[str, ...]:
    """The extras of this package that a build of the recipe in ``path``, with a user's ``photos``, may need, sorted."""
    recipe = read_any_recipe(path)
    if isinstance(recipe, FixedRecipe):
        return tuple(sorted(set(_known(recipe, path))))
    fields = source_fields(recipe, backbone_for(recipe, backbone, None, photos))
    sound = isinstance(recipe.input, ArraySection) and recipe.input.sample_rate > 0
    engines = (extra for engine in recipe.siblings for extra in EXTRAS[engine])
    return tuple(sorted({*_needed(recipe, fields), *_known(recipe, path), *(["sound"] if sound else []), *engines}))


def refuse_lacking(recipe: AnyRecipe, path: Path) -> None:
    """A SourceError, before anything is built, where the recipe needs what is not installed."""
    needed = () if isinstance(recipe, FixedRecipe) else _needed(recipe, recipe.source.options())
    absent = missing_extras_sentence(sorted({*needed, *_known(recipe, path)}))
    if absent is not None:
        raise SourceError(f"{recipe.name}: {absent}")
    without = lacking_weights(recipe)
    if without:
        raise SourceError(
            f"{recipe.name}: needs weights from {', '.join(without)}, which is not installed; run: "
            f"{bare_command(without)}"
        )


def weights_of(path: Path) -> tuple[str, ...]:
    """The packages of weights that the recipe in ``path`` reads and that are missing."""
    return lacking_weights(read_any_recipe(path))


def lacking_weights(recipe: AnyRecipe) -> tuple[str, ...]:
    return tuple(weight for weight in recipe.weights if missing(Requirement(weight)))


def _known(recipe: AnyRecipe, path: Path) -> tuple[str, ...]:
    """What the recipe itself says it needs; a RecipeError for an extra that there is none of."""
    known = distribution(OURS).metadata.get_all("Provides-Extra") or []
    for extra in recipe.extras:
        if extra not in known:
            meant = did_you_mean(extra, known) or f"the extras are {', '.join(known)}"
            raise RecipeError(f"{path}: unknown extra {extra!r:.100}; {meant}")
    return recipe.extras


def _needed(recipe: Recipe, fields: Mapping[str, Any]) -> Iterator[str]:
    """What the converter needs, and the library of the network that the recipe names."""
    entry = find_converter(recipe.source.converter)
    if entry.dist is not None and entry.dist.name == OURS:
        yield from entry.extras
    if any(isinstance(value, str) and LIBRARIES.match(value) for value in fields.values()):
        yield "vision"
    if fields.get("weights") == "pretrained" and fields.get("architecture") in PACKAGED:
        yield PACKAGED[str(fields["architecture"])]
