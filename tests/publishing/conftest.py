"""A report made of plain values: what a build could hand over."""

from collections.abc import Callable

import numpy as np
import pytest

from coreml_updatable.data.inputs import Examples, ImageInput
from coreml_updatable.personalization.compare import advise
from coreml_updatable.personalization.results import (
    Answer,
    Comparison,
    Measurement,
    NewLabel,
    NewLabelPoint,
    Outcome,
    Reset,
    SeedResult,
    Shown,
    Spread,
    Step,
)
from coreml_updatable.personalization.slots_results import SlotsComparison, SlotsOutcome, SlotsPoint
from coreml_updatable.personalization.summary import summarize
from coreml_updatable.publishing.report.values import (
    DataFacts,
    FeatureFact,
    ModelFacts,
    ParameterFact,
    Personalization,
    Proof,
    Report,
    Slots,
)

PHOTOS, SEEDS = (1, 2, 3, 5, 10), (0, 1, 2)
TEST_KINDS = ("burger", "fries", "salad") * 6
LABEL_OF = {"burger": "fast-food", "fries": "fast-food", "salad": "healthy"}


def measurement(photos: int, learnt: float, kept: float, growth: int) -> Measurement:
    label = "healthy" if learnt > 0.5 else "fast-food"
    answers = {"fast-food": 1 - learnt, "healthy": learnt}
    return Measurement(
        photos=photos,
        held_out_accuracy=learnt,
        held_out_answers={name: share for name, share in answers.items() if share},
        test_accuracy=kept,
        test_accuracy_by_kind={"burger": kept, "fries": kept, "salad": 1.0},
        forgotten=1 - kept,
        first_label=label,
        first_confidence=0.97 * (1 - learnt),
        update_ms=1.5 * photos,
        growth_bytes=growth,
    )


def seed_result(seed: int, speed: float, growth: int) -> SeedResult:
    def after(photos: int) -> Measurement:
        learnt = round(min(1.0, speed * photos * (0.8 + 0.2 * seed)), 3)
        return measurement(photos, learnt, 1 - 0.01 * learnt, growth * photos)

    steps = [Step(photo, photo > 5, 0.1 * photo, after(photo + 1)) for photo in range(PHOTOS[-1])]
    flips = [step.after.photos for step in steps if step.after.first_label == "healthy"]
    at_once = tuple(after(photos) for photos in PHOTOS)
    return SeedResult(seed, tuple(range(10)), after(0), at_once, tuple(steps), min(flips, default=None))


def outcome(speed: float, growth: int, new_label: NewLabel) -> Outcome:
    seeds = tuple(seed_result(seed, speed, growth) for seed in SEEDS)
    right = tuple(Answer(LABEL_OF[kind], 0.98) for kind in TEST_KINDS)
    lost = (Answer("healthy", 0.55), *right[1:])
    shown = Shown((Answer("fast-food", 0.95),) * 12, (Answer("healthy", 0.81),) * 12, right, lost)
    return Outcome(seeds, summarize(seeds, "healthy"), shown, Reset(12, True, True, 0.0), new_label, 4.2, 250_000)


def compare(network_speed: float, knn_speed: float) -> Comparison:
    refused = NewLabel("pancakes", "label: 'pancakes' is not one of <fast-food, healthy>; expected a known label", ())
    points = tuple(NewLabelPoint(n, min(1.0, 0.2 * n), 0.99, 0.01, 100.0 * n) for n in PHOTOS)
    network = outcome(network_speed, 0, refused)
    knn = outcome(knn_speed, 540, NewLabel("pancakes", None, points))
    advice = advise("pancakes", 10, network, knn)
    parameters = {"learningRate": 0.01}
    return Comparison("pancakes", "healthy", PHOTOS, SEEDS, 14, 12, 18, LABEL_OF, parameters, {}, network, knn, advice)


def pictures(kinds: tuple[str, ...], size: int) -> Examples:
    pixels = np.random.default_rng(1).integers(0, 256, (len(kinds), size, size, 3), dtype=np.uint8)
    names = tuple(f"{kind} {number}" for number, kind in enumerate(kinds))
    return Examples(pixels, np.zeros(len(kinds), dtype=np.int64), names, kinds)


def model_facts(kind: str, file: str) -> ModelFacts:
    image = FeatureFact("image", "Image (colour, 128 x 128)", "A photo of a meal.")
    label = FeatureFact("label", "String", "The most likely class.")
    rate = ParameterFact("learningRate", "0.01", "0.0001 to 1")
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


def slots_outcome(speed: float, growth: float) -> SlotsOutcome:
    def point(photos: int) -> SlotsPoint:
        right = min(1.0, speed * photos)
        answers = {"user0": right / 2, "user1": right / 2, "unknown": 1 - right}
        said = {name: share for name, share in answers.items() if share}
        by_kind = {"7": right, "8": right}
        return SlotsPoint(photos, Spread(right, right, right), by_kind, said, Spread(0.9, 0.8, 1), 0.1, 2, growth)

    points = tuple(point(photos) for photos in (0, 1, 3))
    return SlotsOutcome(points, (Answer("unknown", 1.0),) * 12, (Answer("user0", 0.8),) * 12)


@pytest.fixture(scope="session")
def slots() -> Slots:
    labels = ("user0",) * 6 + ("user1",) * 6
    compared = SlotsComparison(
        {"7": "user0", "8": "user1"}, 3, (1, 3), SEEDS, labels, 18, slots_outcome(0.1, 0), slots_outcome(0.31, 640)
    )
    return Slots(compared, pictures(("7",) * 6 + ("8",) * 6, 28))


@pytest.fixture(scope="session")
def make_comparison() -> Callable[[float, float], Comparison]:
    return compare


@pytest.fixture(scope="session")
def report() -> Report:
    given = Personalization(
        compare(0.12, 0.4), pictures(("pancakes",) * 14, 72), pictures(("pancakes",) * 12, 72), pictures(TEST_KINDS, 28)
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
        proof=Proof(96, 3.1e-7, 1e-4, 96, 34, ("network: input 'image' has no <range>",), ("head",), 2.31, 0.42, 0.0),
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
