"""The walk from a recipe to two models and a report. Every stage is a function of values; writing comes last."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import StringIO
from types import MappingProxyType

import numpy as np
from PIL import Image
from rich.console import Console

from coreml_updatable.building.cache import REPORT, SUMMARY
from coreml_updatable.building.models_stage import (
    Variants,
    embeddings,
    fixed_model,
    further_layouts,
    make_variants,
    marked_pair,
    sharpened,
)
from coreml_updatable.building.owner import EvaluatedModels, parts_of
from coreml_updatable.building.prove import prove, prove_scores
from coreml_updatable.building.rehearsal import rehearse
from coreml_updatable.building.report_stage import as_pictures, assemble, assemble_fixed
from coreml_updatable.building.request import AnyRequest, BuildRequest, FixedRequest
from coreml_updatable.building.rows import behind, rows_of
from coreml_updatable.building.sources import (
    collecting,
    convert_source,
    fixed_source,
    forget_training,
    has_source,
    wanted,
)
from coreml_updatable.converting.contract import Converted
from coreml_updatable.converting.spread import not_proved
from coreml_updatable.data.dataset import Dataset, expect_enough_files
from coreml_updatable.data.inputs import Float32Array, ImageInput, Progress, UInt8Array, silent
from coreml_updatable.errors import BuildError
from coreml_updatable.files import alone, write_all_atomically
from coreml_updatable.machine import Moment, now, others_since
from coreml_updatable.personalization.contenders import StageProgress
from coreml_updatable.personalization.contenders import silent as untold
from coreml_updatable.personalization.replay_file import FOLDER
from coreml_updatable.personalization.replay_file import SUFFIX as REPLAY
from coreml_updatable.personalization.statistics import BaseStatistics, base_statistics
from coreml_updatable.personalization.wording import words_for
from coreml_updatable.publishing.catalogue.release import EXAMPLES
from coreml_updatable.publishing.report.json import report_object
from coreml_updatable.publishing.report.page import render
from coreml_updatable.publishing.report.pictures import evenly
from coreml_updatable.publishing.report.terminal import summary
from coreml_updatable.publishing.report.values import Report
from coreml_updatable.publishing.vectors.document import SUFFIX, to_bytes
from coreml_updatable.publishing.vectors.record import record
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.text import json_text


@dataclass
class Clock:
    """Wall seconds of each stage, how busy other programs kept the machine, and the progress that tells of it."""

    on_progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    started: Moment = field(default_factory=now)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float, str], None]]:
        """Announce the stage, time it, and announce its end with the last detail it gave."""
        last = [""]

        def tell(fraction: float, detail: str) -> None:
            last[0] = detail
            self.on_progress(name, min(fraction, 0.999), detail)

        started = time.perf_counter()
        tell(0.0, "")
        yield tell
        self.seconds[name] = time.perf_counter() - started
        self.on_progress(name, 1.0, last[0])


def run(request: AnyRequest, on_progress: Progress = silent) -> Report:
    """Build everything, prove it, compare the variants, and write the results into ``request.target``."""
    with alone(request.target, "another build of this model", error=BuildError, option="--out"):
        clock = Clock(on_progress)
        return _run(request, clock) if isinstance(request, BuildRequest) else _run_fixed(request, clock)


def _run_fixed(request: FixedRequest, clock: Clock) -> Report:
    """The same stages for a model that is not updatable, which needs no data, no k-NN and no owner."""
    with clock.stage("source") as tell:
        source = fixed_source(request, lambda stage, fraction, detail: tell(fraction, f"{stage}: {detail}"))
        tell(1.0, "trained and converted" if source.history else "converted")
    with clock.stage("models") as tell:
        model, warnings, refusal = fixed_model(request.recipe, source.model)
        tell(1.0, f"{len(warnings)} warnings from check")
    with clock.stage("proof") as tell:
        proof = prove_scores(model, source)
        tell(1.0, f"agrees with its source within {proof[0].difference:.1g} of the range of its answers")
    report = assemble_fixed(
        request, source, model, warnings, refusal, proof, clock.seconds, others_since(clock.started)
    )
    with clock.stage("writing") as tell:
        write_all(request, {f"{request.recipe.name}.mlmodel": model}, report, {})
        forget_training(request)
        tell(1.0, str(request.target))
    return report


def _run(request: BuildRequest, clock: Clock) -> Report:
    recipe = request.recipe
    if request.data is not None:
        expect_enough_files(request.data, wanted(recipe))
    with collecting(request) as collected:
        if not has_source(request):
            with clock.stage("rehearsal") as tell:
                rehearse(request)
                tell(1.0, "the untrained network can be marked, checked and converted to its layouts")
        with clock.stage("pictures") as tell:
            dataset = collected(tell)
            tell(1.0, dataset.origin)
    as_pictures(
        request, dataset.train.take(range(1))
    )  # the sample's own function fails before the training, not after it
    with clock.stage("source") as tell:
        source = convert_source(request, dataset, lambda stage, fraction, detail: tell(fraction, f"{stage}: {detail}"))
        tell(1.0, "from an earlier run" if source.reused else "trained and converted")
    if recipe.update.head_scale != 1:
        source = replace(source, converted=_sharpened(source.converted, recipe.update.head_scale))
    clock.seconds["source"] = max(clock.seconds["source"], source.seconds)  # as long as it took when it was new
    with clock.stage("models") as tell:
        variants = variants_of(recipe, source.converted, dataset)
        network, knn = load(variants.network), load(variants.knn)
        tell(1.0, f"the network and its k-NN; {len(variants.warnings)} warnings from check")
    with clock.stage("proof") as tell:
        large = bool(source.converted.tails)  # a network whose features are known: some rows prove as much as all
        some = evenly(len(dataset.test), PROVED if large else len(dataset.test))
        asked, answers = rows_of(recipe, dataset.test.take(some)), source.converted.test_probabilities[some]
        others = asked[:PROVED_AGAIN] if large else asked
        proof = prove(network, knn, dataset, recipe, asked, answers, others)
        agreement, engine = proof[0], network.engine
        del network, knn  # and all that they hold of their runs
        tell(1.0, f"agrees with its source within {agreement.difference:.1g}")
        if not agreement.proved:
            tell(1.0, not_proved("the source's answer", agreement.rows))
    layouts = dict[str, Model]()
    if recipe.layouts:
        with clock.stage("layouts") as tell:
            layouts = further_layouts(recipe.name, variants.network, recipe.layouts)
            tell(1.0, f"the same network as {', '.join(layouts)}")
    if recipe.siblings:
        with clock.stage("siblings") as tell:
            tell(1.0, _siblings(request, variants.network, dataset))
    owner, compared, parts = recipe.personalization, None, list[EvaluatedModels]()
    private, replayed = request.data is not None, None
    if owner is not None:
        parts = list(parts_of(recipe, dataset, source.converted, variants))
    if recipe.replay is not None:
        from coreml_updatable.building.replay_stage import replay_set

        with clock.stage("replay set") as tell:
            replayed = replay_set(recipe, dataset, parts, variants, layouts, private=private)
            tell(1.0, replayed.effect.sentence(words_for(recipe.noun)))
    if owner is not None:
        from coreml_updatable.building.comparison_stage import compare_owner

        with clock.stage("comparison") as tell:
            compared = compare_owner(recipe, parts, variants, asked, tell, replayed.sets if replayed else ())
            shown = f"{', '.join(map(str, owner.shots))} {words_for(recipe.noun).photo}s of each kind"
            tell(1.0, f"both models, after {shown}, {len(owner.seeds)} orders")
    with clock.stage("vectors") as tell:
        files = {**model_files(recipe.name, variants), **layouts}
        vectors = golden_vectors(recipe, dataset, files, replayed.rows if replayed else (), tell, private=private)
        tell(1.0, "expected predictions of every model that takes complete rows, before and after an update")
    base, busy = _base(recipe, dataset, source.converted), others_since(clock.started)
    report = assemble(request, dataset, source, variants, proof, compared, clock.seconds, base, engine, busy)
    if replayed is not None:
        report = replace(report, replay=replayed.effect)
    with clock.stage("writing") as tell:
        further = {**vectors, **(replayed.files if replayed else {})}
        write_all(
            request,
            {**model_files(recipe.name, variants), **layouts},
            report,
            further,
            replayed.own if replayed else {},
        )
        tell(1.0, str(request.target))
    return report


def _siblings(request: BuildRequest, network: Model, dataset: Dataset) -> str:
    """Write the network for other engines, each proved on rows of the recipe's own; in words."""
    from coreml_updatable.siblings.making import make_siblings

    recipe, some = request.recipe, evenly(len(dataset.train), LEARNED_BY_SIBLINGS)
    rows = [
        {recipe.input.name: dataset.train.values[row], recipe.outputs.label: recipe.labels[dataset.train.labels[row]]}
        for row in some
    ]
    result = make_siblings(network, request.target / "siblings", recipe.siblings, rows)
    return "; ".join(
        f"{item.engine}: weights within {item.agreement.weights:.0e} of the largest change after "
        f"{item.agreement.steps} steps"
        for item in result
    )


LEARNED_BY_SIBLINGS = 12  # rows
PROVED, PROVED_AGAIN = 24, 6  # rows of a large network


def _sharpened(converted: Converted, scale: float) -> Converted:
    """What the source answers, of a head that is scaled when it is marked."""
    result = converted.test_probabilities, converted.judged, converted.judged_on_half
    whole, judged, half = (None if item is None else sharpened(item, scale) for item in result)
    assert whole is not None
    return replace(converted, test_probabilities=whole, judged=judged, judged_on_half=half)


def variants_of(recipe: Recipe, converted: Converted, dataset: Dataset) -> Variants:
    """The network and its k-NN."""
    if not converted.tails:
        return make_variants(recipe, converted.model, dataset.train)
    tail = converted.tails[0]
    learned = behind(dataset, converted, np.arange(len(converted.features["learned"]))).train
    seen = embeddings(marked_pair(recipe, tail.model)[0], learned)
    return make_variants(recipe, converted.model, learned, tail.samples_per_kind, seen, tail.neighbors)


def _base(recipe: Recipe, dataset: Dataset, converted: Converted) -> BaseStatistics:
    judged = converted.test_probabilities if converted.judged is None else converted.judged
    labels = [recipe.labels[label] for part in (dataset.train, dataset.validation) for label in part.labels]
    return base_statistics(
        judged,
        dataset.test.labels,
        recipe.labels,
        folds=int(dataset.folds.max(initial=-1)) + 1,
        on_half=converted.judged_on_half,
        groups=dataset.groups,
        counts=Counter(labels),
    )


SPOTS = 6  # a side, of a generated picture
OWNERS, BASES, LEARNED = 4, 8, 5  # rows of the owner's kind, of the base's kinds, and to learn from
CANDIDATES = 24  # rows of each, of which those are asked that show a mistake


def golden_vectors(
    recipe: Recipe,
    dataset: Dataset,
    models: dict[str, Model],
    replayed: Sequence[tuple[UInt8Array | Float32Array, str]] = (),
    tell: StageProgress = untold,
    *,
    private: bool = False,
) -> dict[str, bytes]:
    """The files to write: file name of each model in ``models`` -> its vectors, and pictures, which they share.

    The parts of a split have none: one takes no rows of the recipe, the other learns nothing. Where the rows are
    ``private``, a user's, generated ones take their place, those of the replay set too: vectors are published.
    """
    rows = _some(dataset.owner_held_out.values, OWNERS) + _some(dataset.test.values, BASES)
    part = next((part for part in dataset.to_learn if len(part)), dataset.train)
    labels = [recipe.every_label()[label] for label in part.labels[:LEARNED]]
    learned = list(zip(part.values[:LEARNED], labels, strict=True))
    candidates = _some(dataset.owner_held_out.values, CANDIDATES) + _some(dataset.test.values, CANDIDATES)
    pictures = f"{FOLDER}/{recipe.name}"  # of the replay set, which vectors share
    if private:
        pictures = "vectors/replay"
        drawn = _generated(recipe, len(replayed), 3)
        replayed = [(value, said) for value, (_, said) in zip(drawn, replayed, strict=True)]
        candidates = _generated(recipe, CANDIDATES, 2)
        learned = [(value, said) for value, (_, said) in zip(_generated(recipe, len(learned), 1), learned, strict=True)]
        rows = _generated(recipe, len(rows), 0)
    result: dict[str, bytes] = {}
    for index, (file, model) in enumerate(models.items()):
        tell(index / len(models), file)
        if not (model.isUpdatable and recipe.input.name in {str(item.name) for item in model.description.input}):
            continue
        names = recipe.input.name, recipe.outputs.label
        vectors, files = record(model, file, *names, rows, learned, candidates, replayed, pictures, made=result)
        result |= {**files, f"{file.removesuffix('.mlmodel')}{SUFFIX}": to_bytes(vectors)}
    return result


def _generated(recipe: Recipe, count: int, seed: int) -> list[UInt8Array | Float32Array]:
    """Pictures of soft spots of color, or arrays of normal noise: they show nobody's data."""
    random, given = np.random.default_rng(seed), recipe.row_input()
    if not isinstance(given, ImageInput):
        return [random.normal(size=given.shape).astype(np.float32) for _ in range(count)]
    result: list[UInt8Array | Float32Array] = []
    for _ in range(count):
        spots = random.integers(0, 256, (SPOTS, SPOTS, 3), dtype=np.uint8)
        picture = Image.fromarray(spots).resize((given.width, given.height), Image.Resampling.BICUBIC)
        pixels = np.asarray(picture.convert("RGB" if given.channels == 3 else "L"), np.uint8)
        result.append(pixels.reshape(given.height, given.width, given.channels))
    return result


def _some(values: UInt8Array | Float32Array, wanted: int) -> list[UInt8Array | Float32Array]:
    return [values[index] for index in evenly(len(values), wanted)]


PAGE = "report.html"


def model_files(name: str, variants: Variants) -> dict[str, Model]:
    """File name -> message."""
    return {f"{name}.mlmodel": variants.network, f"{name}KNN.mlmodel": variants.knn}


def write_all(
    request: AnyRequest,
    models: Mapping[str, Model],
    report: Report,
    vectors: Mapping[str, bytes],
    own: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """All files of the build; ``models``: by file name; ``own``: a user's, which no report lists and nothing publishes.

    Everything is made before the first byte is written; report.json comes last. A replay set of an earlier build goes.
    """
    contents = {name: model_bytes(model) for name, model in models.items()}
    contents |= vectors
    private = isinstance(request, BuildRequest) and request.data is not None
    contents[PAGE] = render(report, examples=not private).encode()
    files = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in contents.items()}
    table = {**report_object(report, examples=not private), "key": request.key, "files": files}
    contents[REPORT] = (json_text(table, indent=2) + "\n").encode()
    summary_path = request.cache / SUMMARY
    results = {request.target / name: content for name, content in contents.items()}
    results |= {request.target / name: content for name, content in own.items()}
    if private:
        results[request.target / EXAMPLES] = render(report).encode()
    write_all_atomically({summary_path: _terminal_text(report).encode(), **results})
    name = request.recipe.name
    old = [request.target / f"{name}{part}{REPLAY}" for part in ("", "Head")]
    for path in {*old, *(request.target / FOLDER).glob(f"{name}-*.png")} - set(results):
        path.unlink(missing_ok=True)


def _terminal_text(report: Report) -> str:
    console = Console(file=StringIO(), record=True, width=100, force_terminal=True)
    console.print(summary(report), soft_wrap=True)  # whole sentences: no part of a name begins a line
    return console.export_text(styles=True)
