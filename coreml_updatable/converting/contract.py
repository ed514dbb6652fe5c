"""What a converter is given and what it gives back.

A converter is registered under the entry-point group ``coreml_updatable.converters`` and is one function, for recipes,
which may train, or for finished classifiers in files, or for both; the annotation of its argument says which::

    def convert(request: ConversionRequest) -> Converted
    def convert(request: SourceRequest) -> ConvertedSource

Beside it, the module may have ``declared(source: Mapping) -> DeclaredPicture | None``: what the network that a recipe's
[source] names says of its pictures; ``check_source(source: Mapping) -> None``, which raises a SourceError for fields of
[source] that ``convert`` would refuse; and ``untrained(request: ConversionRequest) -> Model``: the model of ``convert``
before anything was learned, from a request without rows, so that a build can refuse before it trains what marking
would refuse after it. All import the framework inside the function. A converter knows nothing of update
parameters: marking comes after it. What it needs beyond the package that registers it is an extra of that package,
named behind the entry point in brackets; what no package of this Python brings is told by a function in the group
``coreml_updatable.needs`` (building/extras.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from coreml_updatable.data.inputs import (
    Examples,
    Float32Array,
    Float64Array,
    Input,
    Int64Array,
    Progress,
    UInt8Array,
    silent,
)
from coreml_updatable.spec.messages import Model


def _no_numbers() -> Int64Array:
    return np.zeros(0, np.int64)


def _nothing() -> Examples:
    return Examples(np.zeros((0, 0), np.float32), _no_numbers(), (), ())


@dataclass(frozen=True)
class DeclaredPicture:
    """What a source says of the pictures that it was trained on; a field is None where it says nothing."""

    width: int
    height: int
    mean: tuple[float, ...] | None  # of each channel, of pixels in 0..1
    std: tuple[float, ...] | None
    interpolation: str | None  # "bicubic", with which photos were made smaller
    crop: float | None  # share of the shorter side that was kept, in the middle
    by: str  # who says it: "timm's settings of resnet18.a1_in1k"


@dataclass(frozen=True)
class HeadOnFeatures:
    """What stands behind fixed features: a network from them to probabilities, not yet marked."""

    model: Model  # its one input is called as the recipe's, an array [D]
    samples_per_kind: int  # that a k-NN behind the same features should remember
    neighbors: int = 3  # that it should ask


@dataclass(frozen=True)
class Checkpoint:
    """A file in which a training keeps its state, to go on from after a break; of another ``key`` it is not its own."""

    file: Path
    key: str


@dataclass(frozen=True)
class ConversionRequest:
    """Everything a converter may look at."""

    source: Mapping[str, Any]  # the recipe's [source] table; each converter validates its own fields
    folder: Path  # the recipe's folder: relative paths start here and may not leave it
    input: Input
    labels: tuple[str, ...]  # class labels, in the order of the network's outputs
    train: Examples
    validation: Examples  # for early stopping; never trained on
    test: Examples  # never seen in training
    seed: int
    owner: Examples = field(
        default_factory=_nothing
    )  # the owner's rows, of which a converter with fixed features gives these
    held_out: Examples = field(default_factory=_nothing)
    groups: Int64Array = field(
        default_factory=_no_numbers
    )  # of the training rows: those of one number are nearly the same
    folds: Int64Array = field(
        default_factory=_no_numbers
    )  # of the test rows, which are the training rows then: who judges each; else empty
    on_progress: Progress = silent
    trust_code: bool = False  # whether code from outside the recipe's folder may run (see trust.py)
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True)
class Converted:
    """A converted classifier, not yet marked."""

    model: Model  # a neuralNetworkClassifier or neuralNetwork message as the framework's converter wrote it
    test_probabilities: Float64Array  # [len(test), len(labels)]: what the source itself answers on the test pictures
    history: tuple[
        Mapping[str, float], ...
    ]  # one entry an epoch: epoch, train_loss, validation_accuracy, ...; empty if not trained
    facts: Mapping[str, Any]  # for the report: architecture, parameters, how it was trained, versions
    # Of a head on the features of a fixed network, float32 [n, D]: those of the rows "learned" (training, then
    # validation), of the "test", the "owner" and "held out", and the tails: the model's own, then one a fold. So a
    # build compares without running the network again.
    features: Mapping[str, Float32Array] = field(default_factory=dict)
    tails: tuple[HeadOnFeatures, ...] = ()
    # [len(test), len(labels)]: what a source answers that never learned the row; None: ``test_probabilities``
    judged: Float64Array | None = None
    judged_on_half: Float64Array | None = None  # the same by heads that learned half of the rows, where one is fitted


Row = Mapping[str, Any]  # a value for each input, by its name: pictures uint8 [height, width, channels], else arrays


@dataclass(frozen=True)
class SourceRequest:
    """A finished classifier that is to be converted as it is. What is left empty is as the source itself has it."""

    source: Any  # a Path, the name of an architecture or a "file.py:function", or an object of the framework
    inputs: tuple[Input, ...] = ()
    labels: tuple[str, ...] = ()  # in the order of the source's answers
    mean: tuple[float, ...] = ()  # of each channel of a picture in 0..1, as the source expects it normalized; one: all
    std: tuple[float, ...] = ()
    seed: int = 0
    architecture: str = ""  # of a source that holds weights only
    weights: str = ""  # of an architecture: a file, "pretrained" or the name of such weights, or "random"
    head: Literal["keep", "new"] = "keep"  # new: one layer for the labels behind the extractor
    cut: str = ""  # the module in front of which the extractor ends, if the head is new
    trust_code: bool = False  # whether code that the source holds or names may run (see trust.py)
    answer: str = ""  # which of several tensors that the source answers holds the classes: its name or number
    column: int | None = None  # of a source that answers several labels at once: the one that two classes are for
    # Of a recipe that is not updatable, for what trains there:
    options: Mapping[str, Any] = field(default_factory=dict)  # the recipe's [source.options]
    photos: Path | None = None  # the user's own, to train on
    snapshots: int = 0  # that the report shall show
    checkpoint: Checkpoint | None = None
    on_progress: Progress = silent


@dataclass(frozen=True)
class Snapshot:
    """What a network made, uint8 [height, width, 3], after some of its training."""

    title: str  # when: "epoch 3"
    pixels: UInt8Array


@dataclass(frozen=True)
class ConvertedSource:
    """A finished classifier as a Core ML model, not yet marked unless it is one that learns by remembering."""

    model: Model
    labels: tuple[str, ...] | tuple[int, ...]  # of the columns of ``answers``; empty where the model has its own
    # The source's probabilities [n, labels], or scores [n, labels, ...] of what is not updatable; None: the model's.
    answers: Callable[[Sequence[Row]], Float64Array] | None
    reference: str  # what the answers are, in words: "scikit-learn's predict_proba"
    tolerance: float  # how far the two may differ in probability
    rows: tuple[Row, ...] = ()  # on which they are compared; empty: random rows that fit the model's inputs
    notes: tuple[str, ...] = ()  # what a user should know of the conversion, a line each
    facts: Mapping[str, Any] = field(default_factory=dict)
    # The source's logits [n, labels], up to a number that a row has in common: they tell rows apart where probabilities
    # are all 0 or 1. None where the source does not give them.
    scores: Callable[[Sequence[Row]], Float64Array] | None = None
    history: tuple[Mapping[str, float], ...] = ()  # as of ``Converted``, where it was trained
    snapshots: tuple[Snapshot, ...] = ()
    # ``answers`` in 64 bits, where 32 bits round the source itself away; it gives None where the source cannot run so.
    precise: Callable[[Sequence[Row]], Float64Array | None] | None = None
    # How far ``answers`` and the same sums in other orders, with weights one rounding away, lie from ``precise``, in 32
    # bits: the largest of each row, float64 [n]. Another program may be as far away and still compute the same.
    rounding: Callable[[Sequence[Row]], Float64Array] | None = None
