"""A recipe: everything a build needs, as data. The TOML file is validated whole before anything else happens."""

from collections.abc import Iterator
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coreml_updatable.data.inputs import ArrayInput, ImageInput, Input
from coreml_updatable.recipes.parameters import (
    BatchSize,
    Count,
    DoubleParameter,
    LearningRate,
    PositiveDouble,
    UnitInterval,
)

Name = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[float, Field(gt=0, lt=0.5)]
MOST_VALUES = 10_000_000  # of one row
Layout = Annotated[str, Field(pattern=r"^(pipeline|split)(:(8|16))?$")]  # and the bits of the frozen weights
FunctionReference = Annotated[str, Field(pattern=r"^[\w./-]+\.py:[A-Za-z_]\w*$")]


class Section(BaseModel):
    """A table of the recipe: no unknown fields, no changes after reading, no silent conversion between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ImageSection(Section):
    type: Literal["image"] = "image"
    name: Name = "image"
    width: int = Field(ge=8, le=2048)
    height: int = Field(ge=8, le=2048)
    color: Literal["rgb", "grayscale"] = "rgb"
    description: str = "A picture."

    def converted(self) -> ImageInput:
        return ImageInput(self.name, self.width, self.height, self.color, self.description)


class ArraySection(Section):
    type: Literal["float32"]
    name: Name = "values"
    shape: tuple[Annotated[int, Field(ge=1, le=10_000_000)], ...] = Field(min_length=1, max_length=5)  # of one row
    sample_rate: int = Field(default=0, ge=0, le=192_000)  # in Hz, where the row is a sound; its files can be read then
    noun: str = Field(default="row", pattern=r"^[a-z]+$")  # what the report calls one; its plural ends in s
    description: str = "Numbers."

    def converted(self) -> ArrayInput:
        return ArrayInput(self.name, self.shape, description=self.description, sample_rate=self.sample_rate)

    @model_validator(mode="after")
    def sensible(self) -> Self:
        if prod(self.shape) > MOST_VALUES:
            raise ValueError(
                f"has the shape {list(self.shape)}, expected at most {MOST_VALUES:,} values; make it smaller"
            )
        return self


class OutputsSection(Section):
    label: Name = "label"
    label_description: str = "The most likely class."
    probabilities: Name = "labelProbability"
    probabilities_description: str = "The probability of each class; they sum to 1."


class SourceSection(BaseModel):
    """``converter`` names an entry point; the other fields belong to that converter, which validates them itself."""

    model_config = ConfigDict(extra="allow", frozen=True)
    converter: Name

    def options(self) -> dict[str, Any]:
        """The converter's own fields."""
        return dict(self.model_extra or {})


class DataSection(Section):
    draw: FunctionReference | None = None  # draw(kind, number, (width, height)) -> PIL image; (.., shape) -> array
    load: FunctionReference | None = None  # load() -> (kind, name, PIL image or array) triples
    show: FunctionReference | None = None  # show(array) -> PIL image: a multi-array as the report draws it
    adapt: FunctionReference | None = None  # adapt(kind, number, PIL image) -> (kind, image), of MNIST's own files
    description: str = ""  # one plain sentence: what the pictures are
    drawn_per_kind: int = Field(default=200, ge=20, le=100_000)
    maximum_per_kind: int | None = Field(default=None, ge=10)  # of a folder of photos, where it holds more
    test_share: Share = 0.2
    validation_share: Share = 0.1
    kinds: dict[Name, Name]
    drawn_kinds: tuple[Name, ...] = ()  # the kinds that ``draw`` can draw; needed with it

    @model_validator(mode="after")
    def one_origin(self) -> Self:
        if self.draw is not None and self.load is not None:
            raise ValueError("has both draw and load, expected at most one; remove one of them")
        if self.draw is not None and not self.drawn_kinds:
            raise ValueError("has draw but no drawn_kinds; list the kinds that the function can draw")
        unknown = [kind for kind in self.drawn_kinds if kind not in self.kinds]
        if unknown:
            raise ValueError(f"drawn_kinds names {unknown[0]!r}, which kinds does not map to a label; add it there")
        return self


class SGDSection(Section):
    optimizer: Literal["sgd"] = "sgd"
    last: int = Field(default=1, ge=1, le=100)  # layers that train, counted from the end
    learning_rate: LearningRate
    mini_batch_size: BatchSize
    momentum: UnitInterval = DoubleParameter(default=0.0, range=(0.0, 1.0))
    epochs: Count
    shuffle: bool = True
    seed: int | None = None


class AdamSection(Section):
    optimizer: Literal["adam"]
    last: int = Field(default=1, ge=1, le=100)  # layers that train, counted from the end
    learning_rate: LearningRate
    mini_batch_size: BatchSize
    beta1: UnitInterval = DoubleParameter(default=0.9, range=(0.0, 1.0))
    beta2: UnitInterval = DoubleParameter(default=0.999, range=(0.0, 1.0))
    eps: PositiveDouble = DoubleParameter(default=1e-8, range=(1e-12, 1.0))
    epochs: Count
    shuffle: bool = True
    seed: int | None = None


class KNNSection(Section):
    number_of_neighbors: Count
    weighting: Literal["uniform", "inverse-distance"] = "inverse-distance"
    index: Literal["linear", "kd-tree"] = "linear"
    leaf_size: int = Field(default=30, ge=1)
    default_label: Name = "unknown"
    samples_per_kind: int = Field(default=6, ge=0, le=10_000)  # training pictures that the twin remembers


class PersonalizationSection(Section):
    kind: Name
    label: Name
    paired_with: Name | None = None  # a label: with each photo of the owner, one of these of the base is learnt too
    new_label: Name
    photos: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(default=(1, 2, 3, 5, 10), min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    held_out: int = Field(default=40, ge=2, le=10_000)

    @model_validator(mode="after")
    def rising(self) -> Self:
        _expect_rising(self.photos)
        return self


class SlotsSection(Section):
    """Open slots ``user0`` ... of the network, and kinds that the base never sees and the owner puts into them."""

    count: int = Field(ge=1, le=1000)
    share: float = Field(default=0.01, gt=0, le=0.1)  # of an answer, that all open slots together may take
    kinds: tuple[Name, ...] = Field(min_length=1)  # they become user0, user1, ..., in this order
    photos: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(default=(1, 3, 5), min_length=1)  # of each kind
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    held_out: int = Field(default=40, ge=2, le=10_000)  # of each kind

    @model_validator(mode="after")
    def sensible(self) -> Self:
        _expect_rising(self.photos)
        if len(self.kinds) > self.count or len(set(self.kinds)) != len(self.kinds):
            raise ValueError(f"has the kinds {list(self.kinds)} for {self.count} slots, expected one each; correct it")
        return self

    def labels(self) -> tuple[str, ...]:
        return tuple(f"user{number}" for number in range(self.count))


def _expect_rising(photos: tuple[int, ...]) -> None:
    if list(photos) != sorted(set(photos)):
        raise ValueError(f"photos is {list(photos)}, expected rising numbers, each once; sort them")


class MetadataSection(Section):
    author: str
    license: str
    version: str
    description: str


class Recipe(Section):
    """``sample_models/NAME/recipe.toml`` or a user's own."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")
    labels: tuple[Name, ...] = Field(min_length=2)
    seed: int = Field(default=0, ge=0, lt=2**31)
    trust_code: bool = False  # code from outside the recipe's folder may run
    input: Annotated[ImageSection | ArraySection, Field(discriminator="type")]
    outputs: OutputsSection = OutputsSection()
    source: SourceSection
    data: DataSection
    update: Annotated[SGDSection | AdamSection, Field(discriminator="optimizer")]
    knn: KNNSection
    layouts: tuple[Layout, ...] = ()  # of the network, beside its single file
    extras: tuple[Name, ...] = ()  # of this package, that the recipe's own code imports
    personalization: PersonalizationSection | None = None
    slots: SlotsSection | None = None
    metadata: MetadataSection

    @model_validator(mode="after")
    def fields_agree(self) -> Self:
        for problem in (
            *_label_problems(self),
            *_owner_problems(self),
            *_slot_problems(self),
            *_feature_problems(self),
            *_layout_problems(self),
        ):
            raise ValueError(problem)
        return self

    @property
    def noun(self) -> str:
        """What one row is called where it is not a picture; "" where it is."""
        return self.input.noun if isinstance(self.input, ArraySection) else ""

    def every_label(self) -> tuple[str, ...]:
        """The labels of the network's outputs, in their order: those of the base, then the slots."""
        return (*self.labels, *(self.slots.labels() if self.slots is not None else ()))

    def row_input(self) -> Input:
        return self.input.converted()


def _label_problems(recipe: Recipe) -> Iterator[str]:
    labels, kinds = list(recipe.labels), recipe.data.kinds
    if len(set(labels)) != len(labels):
        yield f"labels holds {labels}, expected each label once; remove the double one"
    for kind, label in kinds.items():
        if label not in labels:
            yield f"data.kinds.{kind} is {label!r}, expected one of the labels {labels}; correct it or add the label"
    for label in labels:
        if label not in kinds.values():
            yield f"label {label!r} has no data: no field of data.kinds maps to it; add one or drop the label"
    if recipe.knn.default_label in labels:
        yield f"knn.default_label is {recipe.knn.default_label!r}, which is a label already; choose another word"


def _owner_problems(recipe: Recipe) -> Iterator[str]:
    owner = recipe.personalization
    if owner is None:
        return
    if owner.label not in recipe.labels:
        yield f"personalization.label is {owner.label!r}, expected one of the labels {list(recipe.labels)}; correct it"
    if owner.paired_with is not None and (owner.paired_with not in recipe.labels or owner.paired_with == owner.label):
        others = [label for label in recipe.labels if label != owner.label]
        yield f"personalization.paired_with is {owner.paired_with!r}, expected one of {others}; correct it"
    if owner.kind in recipe.data.kinds:
        yield f"personalization.kind {owner.kind!r} is in data.kinds too; the base must not learn it; remove it there"
    if owner.new_label in (*recipe.labels, recipe.knn.default_label):
        yield f"personalization.new_label {owner.new_label!r} is a label already; choose a new word"


def _slot_problems(recipe: Recipe) -> Iterator[str]:
    slots = recipe.slots
    if slots is None:
        return
    if recipe.personalization is not None:
        yield "has both personalization and slots, expected at most one of them; remove the other"
    for kind in slots.kinds:
        if kind in recipe.data.kinds:
            yield f"slots.kinds names {kind!r}, which is in data.kinds too; the base must not learn it; remove it there"
    for label in (*recipe.labels, recipe.knn.default_label):
        if label in slots.labels():
            yield f"the label {label!r} is that of a slot; call it otherwise"


def _feature_problems(recipe: Recipe) -> Iterator[str]:
    names = [recipe.input.name, recipe.outputs.label, recipe.outputs.probabilities]
    if len(set(names)) != len(names):
        yield f"input.name, outputs.label and outputs.probabilities are {names}, expected different names; rename one"


def _layout_problems(recipe: Recipe) -> Iterator[str]:
    names = [layout.partition(":")[0] for layout in recipe.layouts]
    if len(set(names)) != len(names):
        yield f"layouts holds {list(recipe.layouts)}, expected each layout once; remove the double one"
