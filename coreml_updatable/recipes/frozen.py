"""A recipe for a model that never learns on the device, ``frozen.toml``: a source, labels, and how Xcode shows it."""

import json
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from coreml_updatable.errors import RecipeError
from coreml_updatable.recipes.file import read_table, sentence_of
from coreml_updatable.recipes.recipe import FunctionReference, ImageSection, MetadataSection, Name, Section

ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]  # of no module inside another: its parent may be missing
Color = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]


class FrozenOutput(Section):
    name: Name
    description: str


class FrozenSourceSection(Section):
    make: FunctionReference  # make(FrozenRequest) -> FrozenSource
    weights: Annotated[str, Field(min_length=1)] | None = None  # a file beside the recipe
    needs: tuple[ModuleName, ...] = ()  # other modules that the function imports
    install: str = ""  # the command that brings them


class PreviewSection(Section):
    type: Name  # as Xcode knows it: imageSegmenter
    colors: tuple[Color, ...]  # of each label


class FrozenRecipe(Section):
    """Neither data nor update: the model is what its source is."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")
    labels: tuple[Name, ...] = Field(min_length=2)
    seed: int = Field(default=0, ge=0, lt=2**31)
    trust_code: bool = False  # code from outside the recipe's folder may run
    extras: tuple[Name, ...] = ()  # of this package, that the recipe's own code imports
    why: str = Field(min_length=1)  # it cannot learn on the device, in one sentence
    input: ImageSection
    output: FrozenOutput
    source: FrozenSourceSection
    preview: PreviewSection
    metadata: MetadataSection

    @model_validator(mode="after")
    def a_color_a_label(self) -> Self:
        if len(self.preview.colors) != len(self.labels):
            raise ValueError(
                f"preview.colors has {len(self.preview.colors)} colours for {len(self.labels)} labels, expected one "
                "each; correct it"
            )
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels holds {list(self.labels)}, expected each label once; remove the double one")
        return self


def read_frozen(path: Path) -> FrozenRecipe:
    """The validated recipe; a RecipeError names the first wrong field."""
    try:
        # As JSON: only there does pydantic's strict mode, which converts no types, take a list for a tuple.
        return FrozenRecipe.model_validate_json(json.dumps(read_table(path), default=str), strict=True)
    except ValidationError as error:
        raise RecipeError(f"{path}: {sentence_of(error, FrozenRecipe)}") from error
