"""The walk from a recipe to two models and a report. Every stage is a function of values; writing comes last."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from coreml_updatable.building.dataset_stage import collect
from coreml_updatable.building.experiment import rows_of, scenario_of
from coreml_updatable.building.further_layouts import further_layouts
from coreml_updatable.building.golden_stage import golden_vectors
from coreml_updatable.building.models_stage import fixed_model, make_twins
from coreml_updatable.building.prove import prove, prove_scores
from coreml_updatable.building.rehearsal import rehearse
from coreml_updatable.building.report_stage import as_pictures, assemble, assemble_fixed
from coreml_updatable.building.request import AnyRequest, BuildRequest, FixedRequest
from coreml_updatable.building.source_stage import convert_source, fixed_source, has_source
from coreml_updatable.building.write import model_files, write_all
from coreml_updatable.converting.spread import not_proved
from coreml_updatable.data.inputs import Examples, Progress, silent
from coreml_updatable.errors import BuildError
from coreml_updatable.files import alone
from coreml_updatable.publishing.report.values import Report
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model


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
    """Build everything, prove it, compare the twins, and write the results into ``request.target``."""
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
        twins = make_twins(recipe, source.converted.model, dataset.train)
        network, knn = load(twins.network), load(twins.knn)
        tell(1.0, f"the network and its k-NN; {len(twins.warnings)} warnings of the rules")
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
            layouts = further_layouts(recipe.name, twins.network, recipe.layouts)
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
        vectors = golden_vectors(recipe, dataset, {**model_files(recipe.name, twins), **layouts})
        tell(1.0, "golden answers of every model that takes whole rows, before and after an update")
    report = assemble(request, dataset, source, twins, proof, comparison, clock.seconds)
    with clock.stage("writing") as tell:
        write_all(request, {**model_files(recipe.name, twins), **layouts}, report, vectors)
        tell(1.0, str(request.target))
    return report


def _first(examples: Examples) -> Examples:
    return Examples(examples.values[:1], examples.labels[:1], examples.names[:1], examples.kinds[:1])
