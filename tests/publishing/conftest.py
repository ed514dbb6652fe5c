"""A report made of plain values: what a build could hand over."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from coreml_updatable.data.inputs import Examples, ImageInput
from coreml_updatable.personalization.results import (
    SCHEMA,
    Called,
    Comparison,
    Cost,
    Difference,
    Distribution,
    EntrantResult,
    Interval,
    OfKind,
    Point,
)
from coreml_updatable.publishing.report.values import (
    Answer,
    DataFacts,
    ModelFacts,
    NewLabel,
    Personalization,
    Proof,
    Report,
    Shown,
    UpdateProof,
)
from coreml_updatable.spec.parameters import Parameter
from coreml_updatable.spec.summary import Feature

SHOTS, SEEDS = (1, 2, 3, 5, 10), (0, 1, 2)
TEST_KINDS = ("burger", "fries", "salad") * 6
OWNERS = {"pancakes": "healthy"}
STICKERS = {"7": "user0", "8": "user1"}
LABEL_OF = {"burger": "fast-food", "fries": "fast-food", "salad": "healthy"}


def interval(mean: float) -> Interval:
    return Interval(mean, max(0.0, mean - 0.05), min(1.0, mean + 0.05))


def point(protocol: str, shots: int, learned: float, kept: float) -> Point:
    means = {"personal_accuracy": learned, "base_accuracy": kept, "forgetting": 1 - kept, "log_loss": 0.3}
    measures = {name: Distribution(len(SEEDS), *[mean] * 6) for name, mean in means.items()}
    return Point(protocol, shots, measures, {name: interval(means[name]) for name in list(means)[:3]}, 0.0)


def called(right: str, share: float) -> Called:
    other = "fast-food" if right != "fast-food" else "healthy"
    return Called(share, {label: part for label, part in ((right, share), (other, 1 - share)) if part})


def entrant(name: str, speed: float, growth: int, kinds: Mapping[str, str] = OWNERS) -> EntrantResult:
    """The shares are worked out as a learner's that gains ``speed`` with every shot."""

    def after(protocol: str, shots: int) -> Point:
        learned = round(min(1.0, speed * shots), 3)
        return point(protocol, shots, learned, 1 - 0.01 * learned)

    points = tuple(after("at_once", shots) for shots in (0, *SHOTS))
    points += tuple(after("one_by_one", shots) for shots in SHOTS)
    last = points[len(SHOTS)].measures["personal_accuracy"].mean
    needed = next((float(shots) for shots in SHOTS if speed * shots >= 0.9), None)
    tested: list[OfKind] = [
        OfKind(kind, "owner", own, called(own, 0.0), called(own, last)) for kind, own in kinds.items()
    ]
    tested += [OfKind(kind, "base", own, called(own, 1.0), called(own, 0.97)) for kind, own in LABEL_OF.items()]
    cost = Cost(1000, 200, 254_321, 800, growth, 1.5, 4.2)
    return EntrantResult(name, "span", "learns", points, needed, 1.0 if needed else 0.0, (), tuple(tested), cost)


def compare(network_speed: float, knn_speed: float, kinds: Mapping[str, str] = OWNERS) -> Comparison:
    both = entrant("network", network_speed, 0, kinds), entrant("k-NN", knn_speed, 540, kinds)
    apart = Difference("network", "k-NN", SHOTS[-1], interval(0.1), interval(0.01))
    return Comparison(
        schema=SCHEMA,
        owners=len(SEEDS),
        seed=0,
        shots=(0, *SHOTS),
        labels=("fast-food", "healthy"),
        kinds_per_owner=len(kinds),
        rows=44,
        pictures=30,
        learned=14,
        test_rows=18,
        unknown_rows=0,
        reference_rows=0,
        entrants=both,
        differences=(apart,),
        worst=(),
        conclusions=("The k-NN serves this owner best.", "That is sure.", "For nobody it is not."),
        notes=(),
        seconds={"embeddings": 1.0, "owners": 2.0},
    )


def shown(kinds: Mapping[str, str]) -> tuple[Shown, ...]:
    """Twelve held-out rows that are learned, and the test rows, of which the first is forgotten."""
    right = tuple((Answer(LABEL_OF[kind], 0.98),) * 2 for kind in TEST_KINDS)
    lost = ((right[0][0], Answer("healthy", 0.55)), *right[1:])
    own = next(iter(kinds.values()))
    return tuple(
        Shown(name, ((Answer("fast-food", 0.95), Answer(own, 0.81)),) * 12, lost) for name in ("network", "k-NN")
    )


REFUSED = "label: 'pancakes' is not one of <fast-food, healthy>; expected a known label"


def new_label() -> NewLabel:
    known = compare(0.12, 0.2)
    return NewLabel("pancakes", {"network": REFUSED}, dataclasses.replace(known, entrants=known.entrants[1:]))


def pictures(kinds: tuple[str, ...], size: int) -> Examples:
    pixels = np.random.default_rng(1).integers(0, 256, (len(kinds), size, size, 3), dtype=np.uint8)
    names = tuple(f"{kind} {index}" for index, kind in enumerate(kinds))
    return Examples(pixels, np.zeros(len(kinds), dtype=np.int64), names, kinds)


def model_facts(kind: str, file: str) -> ModelFacts:
    image = Feature("image", "Image (colour, 128 x 128)", "A photo of a meal.")
    label = Feature("label", "String", "The most likely class.")
    rate = Parameter("learningRate", 0.01, (0.0001, 1.0))
    return ModelFacts(
        kind="network" if kind == "network" else "k-NN",
        file=file,
        bytes=254_321,
        sha256="0123456789abcdef" * 4,
        specification_version=4,
        layers=21,
        updatable=("head",),
        inputs=(image,),
        outputs=(label,),
        training_inputs=(image, label),
        parameters=(rate,),
        summary="SGD, categorical cross entropy" if kind == "network" else "40 samples, 3 neighbours",
    )


@pytest.fixture(scope="session")
def make_comparison() -> Callable[[float, float], Comparison]:
    return compare


@pytest.fixture(scope="session")
def report() -> Report:
    given = Personalization(
        compare(0.12, 0.4),
        new_label(),
        shown(OWNERS),
        pictures(("pancakes",) * 14, 72),
        pictures(("pancakes",) * 12, 72),
        pictures(TEST_KINDS, 28),
    )
    return Report(
        name="HealthyLuncher",
        sample="healthy_luncher",
        description="Tells healthy meals from fast food, and learns its owner's mind on the device.",
        labels=("fast-food", "healthy"),
        input=ImageInput("image", 128, 128, "rgb"),
        label_feature="label",
        data=DataFacts("drawn", "", {"burger": 168, "salad": 168}, {"burger": 24, "salad": 24}, {"burger": 48}),
        personalization=given,
        models=(model_facts("network", "HealthyLuncher.mlmodel"), model_facts("k-NN", "HealthyLuncherKNN.mlmodel")),
        proof=Proof(
            pictures=96,
            places=96,
            labels_equal=96,
            max_difference=3.1e-7,
            allowed_difference=1e-4,
            rules=34,
            problems=("network: input 'image' has no <range>",),
            update=UpdateProof(("head",), 2.31, 0.42, 0.0),
        ),
        source={"Architecture": "a small convolutional network", "Parameters": "61,234"},
        history=tuple(
            {"epoch": n, "train_loss": 1 / n, "validation_loss": 1.2 / n, "validation_accuracy": 1 - 0.3 / n}
            for n in range(1, 9)
        ),
        assumptions={"last mini-batch": "kept"},
        versions={"coreml_updatable": "0.1.0", "torch": "2.13.0"},
        machine="2 cores, x86-64, Linux",
        seconds={"train": 31.2, "compare": 4.0},
    )


@pytest.fixture(scope="session")
def stickers(report: Report) -> Report:
    """The report of a model whose owner adds two kinds under reserved labels."""
    kinds = ("7",) * 6 + ("8",) * 6
    given = Personalization(
        compare(0.03, 0.095, STICKERS),
        None,
        shown(STICKERS),
        pictures(("7",) * 14 + ("8",) * 14, 28),
        pictures(kinds, 28),
        pictures(TEST_KINDS, 28),
    )
    return dataclasses.replace(report, sample="stickers", personalization=given, reserved_labels=3)
