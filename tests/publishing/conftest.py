"""A report made of plain values: what a build could hand over."""

import dataclasses
from collections.abc import Callable, Iterable

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
    Shot,
    Shown,
    summarize,
)
from coreml_updatable.publishing.report.values import (
    DataFacts,
    ModelFacts,
    Personalization,
    Proof,
    Report,
    UpdateProof,
)
from coreml_updatable.spec.parameters import Parameter
from coreml_updatable.spec.summary import Feature

SHOTS, SEEDS = (1, 2, 3, 5, 10), (0, 1, 2)
TEST_KINDS = ("burger", "fries", "salad") * 6
OWNERS = {"pancakes": "healthy"}
STICKERS = {"7": "user0", "8": "user1"}
LABEL_OF = {"burger": "fast-food", "fries": "fast-food", "salad": "healthy"}


def measurement(photos: int, learnt: float, kept: float, growth: int, kinds: Iterable[str]) -> Measurement:
    label = "healthy" if learnt > 0.5 else "fast-food"
    answers = {"fast-food": 1 - learnt, "healthy": learnt}
    return Measurement(
        shots=photos,
        held_out_accuracy=learnt,
        held_out_accuracy_by_kind=dict.fromkeys(kinds, learnt),
        held_out_answers={name: share for name, share in answers.items() if share},
        test_accuracy=kept,
        test_accuracy_by_kind={"burger": kept, "fries": kept, "salad": 1.0},
        forgotten=1 - kept,
        called_owners=0.5 - kept / 2,
        first_label=label,
        first_confidence=0.97 * (1 - learnt),
        update_ms=1.5 * photos,
        growth_bytes=growth,
    )


def seed_result(seed: int, speed: float, growth: int, kinds: Iterable[str]) -> SeedResult:
    def after(photos: int) -> Measurement:
        learnt = round(min(1.0, speed * photos * (0.8 + 0.2 * seed)), 3)
        return measurement(photos, learnt, 1 - 0.01 * learnt, growth * photos, kinds)

    steps = [Shot(photo, photo > 5, 0.1 * photo, after(photo + 1)) for photo in range(SHOTS[-1])]
    flips = [step.after.shots for step in steps if step.after.first_label == "healthy"]
    at_once = tuple(after(photos) for photos in SHOTS)
    return SeedResult(seed, tuple(range(10)), after(0), at_once, tuple(steps), min(flips, default=None))


def outcome(speed: float, growth: int, new_label: NewLabel | None, kinds: Iterable[str] = OWNERS) -> Outcome:
    seeds = tuple(seed_result(seed, speed, growth, kinds) for seed in SEEDS)
    right = tuple(Answer(LABEL_OF[kind], 0.98) for kind in TEST_KINDS)
    lost = (Answer("healthy", 0.55), *right[1:])
    shown = Shown((Answer("fast-food", 0.95),) * 12, (Answer("healthy", 0.81),) * 12, right, lost)
    return Outcome(seeds, summarize(seeds), shown, Reset(12, True, True, 0.0), new_label, 4.2, 250_000)


def compare(network_speed: float, knn_speed: float) -> Comparison:
    refused = NewLabel("pancakes", "label: 'pancakes' is not one of <fast-food, healthy>; expected a known label", ())
    points = tuple(NewLabelPoint(n, min(1.0, 0.2 * n), 0.99, 0.01, 100.0 * n) for n in SHOTS)
    network = outcome(network_speed, 0, refused)
    knn = outcome(knn_speed, 540, NewLabel("pancakes", None, points))
    advice = advise(OWNERS, 10, network, knn)
    parameters = {"learningRate": 0.01}
    return Comparison(OWNERS, SHOTS, SEEDS, 14, 12, 18, LABEL_OF, parameters, {}, network, knn, advice)


def pictures(kinds: tuple[str, ...], size: int) -> Examples:
    pixels = np.random.default_rng(1).integers(0, 256, (len(kinds), size, size, 3), dtype=np.uint8)
    names = tuple(f"{kind} {number}" for number, kind in enumerate(kinds))
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
    network, knn = outcome(0.03, 0, None, STICKERS), outcome(0.095, 640, None, STICKERS)
    advice = advise(STICKERS, 10, network, knn)
    compared = Comparison(STICKERS, SHOTS, SEEDS, 28, 12, 18, LABEL_OF, {}, {}, network, knn, advice)
    kinds = ("7",) * 6 + ("8",) * 6
    given = Personalization(
        compared, pictures(("7",) * 14 + ("8",) * 14, 28), pictures(kinds, 28), pictures(TEST_KINDS, 28)
    )
    return dataclasses.replace(report, sample="stickers", personalization=given, reserved_labels=3)
