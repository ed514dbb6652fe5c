"""Real photographs: EfficientNet-Lite0's features, network and k-NN, means over 20 seeded splits: docs/real-data.md.

Run: python -m benchmarks.real STAMPS [--splits N] [--markdown docs/real-data.md]
STAMPS is the folder .../usr/share/tuxpaint/stamps of Debian's package tuxpaint-stamps-default.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable.building.models_stage import make_variants
from coreml_updatable.building.owner import EvaluatedModels, laboratory
from coreml_updatable.building.rows import behind
from coreml_updatable.converting.contract import ConversionRequest, Converted, HeadOnFeatures
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import ArrayInput, Examples, Float32Array, ImageInput
from coreml_updatable.data.pictures import read_photo
from coreml_updatable.personalization.compare import run
from coreml_updatable.personalization.preparing import Prepared, Settings
from coreml_updatable.recipes.file import parse_recipe
from coreml_updatable.recipes.recipe import Recipe

KINDS = {
    "birds": "animals/birds",
    "mammals": "animals/mammals",
    "flowers": "plants/flowers",
    "fruit": "food/fruit",
    "insects": "animals/insects",
    "vegetables": "food/vegetables",
}
BASE = ("birds", "mammals", "flowers", "fruit")
OWNER, LABEL, SHOTS = "vegetables", "fruit", 5
TEST_SHARE = 0.2
FITS = ("scaleFill", "centerCrop")


@dataclass(frozen=True)
class Case:
    """What is asked: the base's kinds, how photos are made to fit, how many of a class are learned, cartoons or not."""

    title: str
    base: tuple[str, ...] = BASE
    fit: str = "scaleFill"
    per_class: int | None = None
    cartoons: bool = False


CASES = (
    Case("four classes"),
    Case("four classes and insects", (*BASE, "insects")),
    Case("four classes, 5 photos of each", per_class=5),
    Case("four classes, center crop", fit="centerCrop"),
    Case("four classes, with the toys and cartoons", cartoons=True),
)
MEASURES = ("base", "base after", "owner", "owner after")


@dataclass(frozen=True)
class Photos:
    """Features of every photo [n, 1280] by fit, its kind, and whether it is a toy or cartoon."""

    features: Mapping[str, Float32Array]
    kinds: tuple[str, ...]
    cartoons: tuple[bool, ...]


def read(stamps: Path) -> Photos:
    """Read the photos and run the network on each, once a fit."""
    paths = [(kind, path) for kind, place in KINDS.items() for path in sorted((stamps / place).rglob("*.png"))]
    if not paths:
        sys.exit(f"{stamps}: holds no stamps; give the folder usr/share/tuxpaint/stamps of tuxpaint-stamps-default")
    backbones, heads, normalising, packaged = (
        import_module(f"coreml_updatable.converters.torch.{name}")
        for name in ("backbones", "heads", "normalising", "packaged_weights")
    )
    result = {}
    for fit in FITS:
        given = ImageInput("image", 224, 224, "rgb", fit=fit)  # type: ignore[arg-type]  # a word of the benchmark's own list
        pixels = np.stack([read_photo(path, given) for _, path in paths])
        bare = backbones.load_backbone("efficientnet_lite0", "pretrained", None, given, len(BASE))
        known = packaged.declared("efficientnet_lite0")
        network = normalising.normalised(bare, known.mean, known.std, 3)
        head = heads.trainable_head(network)
        result[fit] = heads.features(network, head, pixels, lambda *_: None, fit).numpy()
    return Photos(
        result,
        tuple(kind for kind, _ in paths),
        tuple("cartoon" in path.parts or "toys" in path.parts for _, path in paths),
    )


def recipe_of(case: Case) -> Recipe:
    """As `coreml-updatable new` writes it, with an owner of five shots."""
    return parse_recipe(
        {
            "name": "Stamps",
            "labels": list(case.base),
            "input": {"type": "float32", "name": "image", "shape": [1280]},
            "source": {"converter": "torch"},
            "data": {"kinds": {kind: kind for kind in case.base}},
            "update": {"learning_rate": 0.01, "mini_batch_size": 1, "epochs": 10},
            "knn": {},
            "personalization": {"kinds": {OWNER: LABEL}, "shots": [SHOTS], "seeds": [0], "held_out": 2},
            "metadata": {"author": "", "license": "", "version": "1.0", "description": ""},
        },
        case.title,
    )


def split(photos: Photos, case: Case, seed: int) -> Dataset:
    """One seeded split; of each kind at random."""
    random = np.random.default_rng(seed)
    features = photos.features[case.fit]
    kept = np.array([case.cartoons or not cartoon for cartoon in photos.cartoons])
    kinds = np.array(photos.kinds)
    train: list[int] = []
    test: list[int] = []
    for kind in case.base:
        members = random.permutation(np.flatnonzero((kinds == kind) & kept))
        count = case.per_class or len(members) - round(TEST_SHARE * len(members))
        train += members[:count].tolist()
        test += members[count:].tolist()
    owner = random.permutation(np.flatnonzero((kinds == OWNER) & kept)).tolist()

    def examples(rows: Sequence[int]) -> Examples:
        labels = [case.base.index(LABEL if kinds[row] == OWNER else kinds[row]) for row in rows]
        return Examples(
            features[np.array(rows, np.intp)],
            np.array(labels, np.int64),
            tuple(map(str, rows)),
            tuple(str(kinds[row]) for row in rows),
        )

    return Dataset(
        examples(train), examples([]), examples(test), examples(owner[:SHOTS]), examples(owner[SHOTS:]), "", ()
    )


def fitted_on(dataset: Dataset, labels: tuple[str, ...], given: ArrayInput, seed: int, by_kinds: bool = False) -> Any:
    """What a build would fit on features in the place of rows."""
    torch = import_module("torch")
    fitted = import_module("coreml_updatable.converters.torch.fitted")

    class Given(torch.nn.Module):  # type: ignore[name-defined,misc]  # torch is imported late
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(given.shape[0], len(labels))

        def forward(self, values: Any) -> Any:
            return self.head(values)

    network = Given()
    request = ConversionRequest(
        source={},
        folder=Path(),
        input=given,
        labels=labels,
        train=dataset.train,
        validation=dataset.validation,
        test=dataset.test,
        seed=seed,
        owner=dataset.owner_support,
        held_out=dataset.owner_held_out,
    )
    return fitted.fit_chosen(network, network.head, request, by_kinds)


def head_on_features(
    train: Examples, labels: tuple[str, ...], given: ArrayInput, seed: int, by_kinds: bool = False
) -> HeadOnFeatures:
    """The head that a build would fit on ``train``, whose rows are features."""
    nothing = Examples(train.values[:0], train.labels[:0], (), ())
    dataset = Dataset(train, nothing, train, nothing, nothing, "", ())
    tail: HeadOnFeatures = fitted_on(dataset, labels, given, seed, by_kinds).tails[0]
    return tail


def section_written(page: Path, name: str, text: str) -> None:
    """Put ``text`` in the place of the part ``name`` of ``page``, which comments set apart, and leave the others."""
    begin, end = f"<!-- measured: {name} -->", f"<!-- /measured: {name} -->"
    before, result, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (result and closed):
        sys.exit(f"{page}: has no part between {begin} and {end}")
    page.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


def measure(photos: Photos, case: Case, seed: int) -> dict[str, list[float]]:
    """For network and k-NN: base accuracy and personal accuracy, before and after."""
    recipe, dataset = recipe_of(case), split(photos, case, seed)
    result = fitted_on(dataset, case.base, ArrayInput("image", (1280,)), seed)
    tail = result.tails[0]
    converted = Converted(tail.model, result.judged, (), {}, result.features, result.tails)
    part = behind(dataset, converted, np.arange(len(dataset.train)))
    variants = make_variants(recipe, tail.model, part.train, tail.samples_per_kind, neighbors=tail.neighbors)
    models = ("network", variants.network), ("k-NN", variants.knn)
    judged = EvaluatedModels(models, part, np.arange(len(dataset.test)), np.arange(len(dataset.train)))
    lab = laboratory(recipe, judged, models, seeds=(0,))
    output = run(Prepared(lab, (), {}), Settings(owners=1, shots=(0, SHOTS), workers=1))
    return {
        entrant.name: [
            entrant.last(shots).measures[measure].mean
            for measure in ("base_accuracy", "personal_accuracy")
            for shots in (0, SHOTS)
        ]
        for entrant in output.entrants
    }


def in_words(values: Sequence[float]) -> str:
    """Mean and 95% interval of the mean over the splits, in percent."""
    mean = 100 * float(np.mean(values))
    half = 196 * float(np.std(values, ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{mean:.1f} ± {half:.1f}"


def table(photos: Photos, splits: int, cases: Sequence[Case] = CASES) -> str:
    """The part of the page."""
    lines = [
        "## Photos",
        "",
        "Real photographs from Debian's package `tuxpaint-stamps-default` (GPL-2; cut out, on white), which "
        "`make real` downloads. The base model knows birds, mammals, flowers and fruit. The owner labels vegetables, "
        f"which the base model has never seen, as fruit, and gives {SHOTS} shots; the other vegetables are held out.",
        "",
        f"Means in percent over {splits} seeded splits (seeds 0 to {splits - 1}, none of them selected), ± the 95% "
        "interval of the mean; the splits share photos, so they are not independent. A fifth of each class is the test "
        "set; every setting is chosen on the rest. Network and k-NN are updated by the simulated MLUpdateTask.",
        "",
        "The defaults (embedding, regularization, steps, k-NN samples, fitting of the picture) were developed while "
        "looking at these same photos and splits. The figures are therefore not an independent test and may be "
        "somewhat too good.",
        "",
        "| photos | model | base accuracy | after the update | owner before | owner after 5 shots |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case in cases:
        result = [measure(photos, case, seed) for seed in range(splits)]
        for name in ("network", "k-NN"):
            columns = [in_words([item[name][place] for item in result]) for place in range(len(MEASURES))]
            lines.append(f"| {case.title} | {name} | {' | '.join(columns)} |")
        print("\n".join(lines[-2:]), flush=True)
    lines += [
        "",
        "Unless stated otherwise, photos are stretched as with Vision's scaleFill: many of them are long, and cropping "
        "to the middle would cut off heads and tails. Toys and cartoons are the pictures in folders with these names.",
        "",
        "Features: EfficientNet-Lite0, pixels (x - 127) / 128.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stamps", type=Path)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--case", choices=[case.title for case in CASES], help="measure and print this one alone")
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.case in (None, case.title)]
    if arguments.markdown is not None and len(cases) < len(CASES):
        parser.error("--markdown writes all cases; omit --case")
    page = table(read(arguments.stamps), arguments.splits, cases)
    if arguments.markdown is not None:
        section_written(arguments.markdown, "photos", page)


if __name__ == "__main__":
    main()
