"""What a build hands over for its report: measured values, pictures and facts. Publishing computes none of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from coreml_updatable.data.inputs import Examples, Input, Int64Array, UInt8Array
from coreml_updatable.personalization.replay_effect import ReplayEffect
from coreml_updatable.personalization.results import Comparison
from coreml_updatable.personalization.statistics import BaseStatistics, MeasuredAccuracy
from coreml_updatable.spec.parameters import Parameter
from coreml_updatable.spec.summary import Feature

Origin = Literal["drawn", "photos", "loaded"]  # by the sample's program, from a folder, by the sample's own loader


@dataclass(frozen=True)
class DataFacts:
    """Where the pictures come from, and how many there are."""

    origin: Origin
    description: str  # one plain sentence for "loaded" data, e.g. which collection it is; "" elsewhere
    train: Mapping[str, int]  # kind -> pictures
    validation: Mapping[str, int]
    test: Mapping[str, int]
    unreadable: tuple[str, ...] = ()  # files that were left out, by name


@dataclass(frozen=True)
class ModelFacts:
    """One written .mlmodel file."""

    kind: Literal["network", "k-NN"]
    file: str  # name only
    bytes: int
    sha256: str
    specification_version: int
    layers: int  # in all, frozen ones too
    updatable: tuple[str, ...]  # names of the updatable layers, or of the pipeline's updatable model
    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    training_inputs: tuple[Feature, ...]
    parameters: tuple[Parameter, ...]
    weights: int = 0  # how many numbers, frozen ones too
    trainable: int = 0  # of these, those that an update changes
    summary: str = ""  # e.g. "SGD, categorical cross entropy" or "40 samples, 3 neighbors"


@dataclass(frozen=True)
class UpdateProof:
    """One simulated update of each model with its own default parameters."""

    changed_layers: tuple[str, ...]  # whose weights it changed
    loss_before: float  # of the network, on the update's own rows
    loss_after: float
    rewritten_difference: float  # a personal file, loaded again, against the simulator: largest in probability


@dataclass(frozen=True)
class Proof:
    """What was checked of the written files before anything was compared."""

    pictures: int  # put to the source and to the written model
    places: int  # at which labels were compared: one a picture, of masks one a pixel
    labels_equal: int  # at how many of them both have the same label
    max_difference: float  # in probability; of masks, of the range in which a class's scores lie
    allowed_difference: float
    rules: int  # rules checked, of all files together
    problems: tuple[str, ...]  # warnings that remain; errors end a build
    update: UpdateProof | None  # None where the model is not updatable


@dataclass(frozen=True)
class Masks:
    """The proof's pictures uint8 [n, height, width, channels], and the class int64 [n, ...] of each place; of a model
    that gives pictures, uint8 [n, height, width, channels]."""

    pixels: UInt8Array
    source: Int64Array | UInt8Array
    model: Int64Array | UInt8Array

    @property
    def are_pictures(self) -> bool:
        return self.model.dtype == np.uint8


@dataclass(frozen=True)
class Fixed:
    """What is shown of a model that is not updatable."""

    why: str
    marking_says: str
    preview: str  # as Xcode knows it, e.g. imageSegmenter; "" of a model that gives pictures
    colors: tuple[str, ...]  # of each label, #rrggbb
    masks: Masks


@dataclass(frozen=True)
class TrainingFrame:
    """A training after some of its epochs: what the network made of a picture, or how many held-out rows it knew."""

    title: str  # when: "epoch 3"
    pixels: UInt8Array | None = None  # [height, width, 3]
    accuracy: MeasuredAccuracy | None = None


@dataclass(frozen=True)
class Answer:
    """What a model says of a row: its label, and the probability it gives that label."""

    label: str
    confidence: float


@dataclass(frozen=True)
class Shown:
    """A model's answers to single rows, before any update and after one with all shots of the first order."""

    model: str
    held_out: tuple[tuple[Answer, Answer], ...]
    test: tuple[tuple[Answer, Answer], ...]


@dataclass(frozen=True)
class NewLabel:
    """The same shots under a label that the models do not know. ``refused``: why a model cannot learn it, in the
    runtime's own words; ``comparison``: of those that can."""

    label: str
    refused: Mapping[str, str]
    comparison: Comparison | None


@dataclass(frozen=True)
class Personalization:
    """The comparison, and the pictures it was made with, in the order of its rows; of arrays, how they are drawn."""

    comparison: Comparison
    new_label: NewLabel | None
    shown: tuple[Shown, ...]
    owner: Examples
    held_out: Examples
    test: Examples


MISTAKES = 12  # of the base, that are shown


@dataclass(frozen=True)
class Base:
    """How good the base model is, and the rows of its worst mistakes in their order, as pictures."""

    statistics: BaseStatistics
    mistakes: Examples


@dataclass(frozen=True)
class Report:
    """Everything the report shows."""

    name: str  # of the recipe, e.g. "HealthyLuncher"
    sample: str  # as given to make: MODEL=...
    description: str
    labels: tuple[str, ...]
    input: Input
    label_feature: str
    data: DataFacts | None  # None where the model is not updatable: nothing was trained here
    personalization: Personalization | None  # None where the recipe names no owner
    models: tuple[ModelFacts, ...]
    proof: Proof
    source: Mapping[str, str]  # facts about the source: architecture, parameters, how it was trained
    history: tuple[Mapping[str, float], ...]  # one entry an epoch; empty if the source was not trained here
    assumptions: Mapping[str, str]  # the simulator's choice for each
    versions: Mapping[str, str]  # package -> version
    machine: str  # what the times were measured on, e.g. "2 cores, x86-64, Linux"
    seconds: Mapping[str, float]  # stage -> wall time; empty if unknown
    other_programs: float = 0.0  # how many processors they used meanwhile
    fixed: Fixed | None = None  # None where the models are updatable
    reserved_labels: int = 0  # outputs of the network that are kept free
    paired_with: str = ""  # the label of the base's rows that the owner's are trained on together with; "": none
    base: Base | None = None  # None where nothing is trained
    replay: ReplayEffect | None = None  # of a recipe with [replay]
    snapshots: tuple[TrainingFrame, ...] = ()  # of the training, in its order
    noun: str = ""  # what one row is called where it is not a picture, e.g. "pose"; its plural ends in s
