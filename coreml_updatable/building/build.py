"""The walk from a recipe to two models and a report. Every stage is a function of values; writing comes last."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from rich.console import Console

from coreml_updatable.building.cache import REPORT, SUMMARY
from coreml_updatable.building.experiment import rows_of, scenario_of
from coreml_updatable.building.models_stage import Variants, fixed_model, further_layouts, make_variants
from coreml_updatable.building.prove import prove, prove_scores
from coreml_updatable.building.rehearsal import rehearse
from coreml_updatable.building.report_stage import as_pictures, assemble, assemble_fixed
from coreml_updatable.building.request import AnyRequest, BuildRequest, FixedRequest
from coreml_updatable.building.sources import collect, convert_source, fixed_source, has_source
from coreml_updatable.converting.spread import not_proved
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Examples, Float32Array, Progress, UInt8Array, silent
from coreml_updatable.errors import BuildError
from coreml_updatable.files import alone, write_all_atomically
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
    """Wall seconds of each stage, and the progress that tells of it."""

    on_progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

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
        source = fixed_source(request)
        tell(1.0, "converted")
    with clock.stage("models") as tell:
        model, warnings, refusal = fixed_model(request.recipe, source.model)
        tell(1.0, f"{len(warnings)} warnings of the rules")
    with clock.stage("proof") as tell:
        proof = prove_scores(model, source)
        tell(1.0, f"agrees with its source within {proof[0].difference:.1g} of the range of its answers")
    report = assemble_fixed(request, source, model, warnings, refusal, proof, clock.seconds)
    with clock.stage("writing") as tell:
        write_all(request, {f"{request.recipe.name}.mlmodel": model}, report, {})
        tell(1.0, str(request.target))
    return report


def _run(request: BuildRequest, clock: Clock) -> Report:
    recipe = request.recipe
    if not has_source(request):
        with clock.stage("rehearsal") as tell:
            rehearse(request)
            tell(1.0, "the network as it is before training can be marked, checked and laid out")
    with clock.stage("pictures") as tell:
        dataset = collect(request, tell)
        tell(1.0, dataset.origin)
    as_pictures(request, _first(dataset.train))  # the sample's own function fails before the training, not after it
    with clock.stage("source") as tell:
        source = convert_source(request, dataset, lambda stage, fraction, detail: tell(fraction, f"{stage}: {detail}"))
        tell(1.0, "from an earlier run" if source.reused else "trained and converted")
    clock.seconds["source"] = max(clock.seconds["source"], source.seconds)  # as long as it took when it was new
    with clock.stage("models") as tell:
        variants = make_variants(recipe, source.converted.model, dataset.train)
        network, knn = load(variants.network), load(variants.knn)
        tell(1.0, f"the network and its k-NN; {len(variants.warnings)} warnings of the rules")
    with clock.stage("proof") as tell:
        test_rows = rows_of(recipe, dataset.test)
        proof = prove(network, knn, dataset, recipe, test_rows, source.converted.test_probabilities)
        agreement = proof[0]
        tell(1.0, f"agrees with its source within {agreement.difference:.1g}")
        if not agreement.proved:
            tell(1.0, not_proved("the source's answer", agreement.rows))
    layouts = dict[str, Model]()
    if recipe.layouts:
        with clock.stage("layouts") as tell:
            layouts = further_layouts(recipe.name, variants.network, recipe.layouts)
            tell(1.0, f"the same network as {', '.join(layouts)}")
    comparison: Any = None
    if recipe.personalization is not None:
        from coreml_updatable.personalization.compare import compare

        with clock.stage("comparison") as tell:
            scenario = scenario_of(recipe, dataset, test_rows)
            comparison = compare(network, knn, scenario, tell)
            shown = f"{', '.join(map(str, scenario.shots))} {scenario.words.photo}s of each kind"
            tell(1.0, f"both models, after {shown}, {len(scenario.seeds)} orders")
    with clock.stage("vectors") as tell:
        vectors = golden_vectors(recipe, dataset, {**model_files(recipe.name, variants), **layouts})
        tell(1.0, "golden answers of every model that takes whole rows, before and after an update")
    report = assemble(request, dataset, source, variants, proof, comparison, clock.seconds)
    with clock.stage("writing") as tell:
        write_all(request, {**model_files(recipe.name, variants), **layouts}, report, vectors)
        tell(1.0, str(request.target))
    return report


def _first(examples: Examples) -> Examples:
    return Examples(examples.values[:1], examples.labels[:1], examples.names[:1], examples.kinds[:1])


OWNERS, BASES, LEARNT = 4, 8, 5  # rows of the owner's kind, of the base's kinds, and to learn from


def golden_vectors(recipe: Recipe, dataset: Dataset, models: dict[str, Model]) -> dict[str, bytes]:
    """The files to write: file name of each model in ``models`` -> its vectors, and pictures, which they share.

    The parts of a split have none: one takes no rows of the recipe, the other learns nothing.
    """
    rows = _some(dataset.owner_held_out.values, OWNERS) + _some(dataset.test.values, BASES)
    taught = dataset.owner_support if len(dataset.owner_support) else dataset.validation
    labels = [recipe.every_label()[label] for label in taught.labels[:LEARNT]]
    learnt = list(zip(taught.values[:LEARNT], labels, strict=True))
    made: dict[str, bytes] = {}
    for file, model in models.items():
        if not (model.isUpdatable and recipe.input.name in {str(one.name) for one in model.description.input}):
            continue
        vectors, files = record(model, file, recipe.input.name, recipe.outputs.label, rows, learnt)
        made |= {**files, f"{file.removesuffix('.mlmodel')}{SUFFIX}": to_bytes(vectors)}
    return made


def _some(values: UInt8Array | Float32Array, wanted: int) -> list[UInt8Array | Float32Array]:
    return [values[index] for index in evenly(len(values), wanted)]


PAGE = "report.html"


def model_files(name: str, variants: Variants) -> dict[str, Model]:
    """File name -> message."""
    return {f"{name}.mlmodel": variants.network, f"{name}KNN.mlmodel": variants.knn}


def write_all(request: AnyRequest, models: Mapping[str, Model], report: Report, vectors: Mapping[str, bytes]) -> None:
    """All files of the build; ``models``: by file name.

    Everything is made before the first byte is written; report.json comes last.
    """
    contents = {name: model_bytes(model) for name, model in models.items()}
    contents |= vectors
    contents[PAGE] = render(report).encode()
    files = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in contents.items()}
    table = {**report_object(report), "key": request.key, "files": files}
    contents[REPORT] = (json_text(table, indent=2) + "\n").encode()
    summary_path = request.cache / SUMMARY
    results = {request.target / name: content for name, content in contents.items()}
    write_all_atomically({summary_path: _terminal_text(report).encode(), **results})


def _terminal_text(report: Report) -> str:
    console = Console(file=StringIO(), record=True, width=100, force_terminal=True)
    console.print(summary(report), soft_wrap=True)  # whole sentences: no part of a name begins a line
    return console.export_text(styles=True)
