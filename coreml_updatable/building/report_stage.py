"""Everything measured, gathered into the values that the report shows."""

import dataclasses
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image

import coreml_updatable.publishing.report.values as report_data
from coreml_updatable.building.cache import LIBRARIES, version_of
from coreml_updatable.building.models_stage import Variants
from coreml_updatable.building.prove import ALLOWED_DIFFERENCE
from coreml_updatable.building.request import BuildRequest, FixedRequest
from coreml_updatable.building.sources import Source
from coreml_updatable.checking import Problem
from coreml_updatable.checking.check import applying
from coreml_updatable.converting.contract import Converted, ConvertedSource
from coreml_updatable.converting.spread import Agreement
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Examples, UInt8Array
from coreml_updatable.data.sample_code import called, load_function
from coreml_updatable.errors import DataError
from coreml_updatable.machine import described
from coreml_updatable.personalization.results import Comparison
from coreml_updatable.personalization.statistics import BaseStatistics, wilson
from coreml_updatable.publishing.report.model_facts import model_facts
from coreml_updatable.publishing.report.pictures import SIZE, evenly, is_plottable, plotted
from coreml_updatable.publishing.report.values import UpdateProof
from coreml_updatable.recipes.recipe import ArraySection
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import is_pipeline, pipeline_of
from coreml_updatable.updating import Assumptions


def as_pictures(request: BuildRequest, examples: Examples) -> Examples:
    """``examples`` with pictures in the place of arrays, empty ones where a plot tells nothing; pictures stay what they
    are."""
    given = request.recipe.input
    if not isinstance(given, ArraySection):
        return examples
    reference = request.recipe.data.show
    if reference is None and not is_plottable(given.shape, sound=given.sample_rate > 0):
        return dataclasses.replace(examples, values=np.zeros((len(examples), 0, 0, 3), np.uint8))
    if reference is None:
        drawn = [plotted(values) for values in examples.values]
    else:
        show = load_function(request.folder, reference, request.recipe.trust_code)
        drawn = [
            _shown(called(f"{reference}: showing a row", show, values.copy()), reference) for values in examples.values
        ]
    empty = np.zeros((0, *SIZE, 3), np.uint8)
    return dataclasses.replace(examples, values=np.stack(drawn) if drawn else empty)


def _shown(picture: Any, reference: str) -> UInt8Array:
    if not isinstance(picture, Image.Image):
        raise DataError(f"{reference}: returned a {type(picture).__name__}, expected a PIL image; correct it")
    return np.asarray(picture.convert("RGB").resize(SIZE[::-1]), np.uint8)


def assemble(
    request: BuildRequest,
    dataset: Dataset,
    source: Source,
    variants: Variants,
    proof: tuple[Agreement, UpdateProof],
    compared: tuple[Comparison, report_data.NewLabel | None, tuple[report_data.Shown, ...]] | None,
    seconds: Mapping[str, float],
    base: BaseStatistics | None = None,
    engine: str = "",
    other_programs: float = 0.0,
) -> report_data.Report:
    """The report's values."""
    recipe = request.recipe
    personalization = None
    if compared is not None:
        personalization = report_data.Personalization(
            *compared,
            *(as_pictures(request, part) for part in (dataset.owner_support, dataset.owner_held_out, dataset.test)),
        )
    return report_data.Report(
        name=recipe.name,
        sample=request.sample,
        description=recipe.metadata.description,
        labels=recipe.labels,
        input=recipe.row_input(),
        label_feature=recipe.outputs.label,
        data=_data_facts(request, dataset),
        personalization=personalization,
        reserved_labels=len(recipe.every_label()) - len(recipe.labels),
        models=(
            model_facts(f"{recipe.name}.mlmodel", "network", variants.network),
            model_facts(f"{recipe.name}KNN.mlmodel", "k-NN", variants.knn),
        ),
        proof=_proof_facts(*proof, variants),
        source=source_facts(source.converted, recipe.snapshots),
        history=source.converted.history,
        assumptions={name: str(value) for name, value in asdict(Assumptions()).items()},
        versions=_versions(engine),
        machine=described(),
        seconds=dict(seconds),
        other_programs=other_programs,
        base=report_data.Base(base, _mistakes(request, dataset, base)) if base is not None else None,
        snapshots=_accuracies(source.converted.history, recipe.snapshots, len(dataset.validation)),
        paired_with=(recipe.personalization.paired_with or "") if recipe.personalization else "",
        noun=recipe.noun,
    )


def _accuracies(history: Sequence[Mapping[str, float]], count: int, rows: int) -> tuple[report_data.TrainingFrame, ...]:
    """``count`` entries of a training's history, evenly spaced, the last one among them."""
    known = [entry for entry in history if "validation_accuracy" in entry]
    chosen = reversed([known[-1 - index] for index in evenly(len(known), count)])
    return tuple(
        report_data.TrainingFrame(
            f"epoch {entry['epoch']:.0f}", accuracy=wilson(entry["validation_accuracy"] * rows, rows)
        )
        for entry in chosen
    )


def _mistakes(request: BuildRequest, dataset: Dataset, base: BaseStatistics) -> Examples:
    """The rows of the worst mistakes, as pictures."""
    return as_pictures(request, dataset.test.take([mistake.row for mistake in base.mistakes[: report_data.MISTAKES]]))


def _data_facts(request: BuildRequest, dataset: Dataset) -> report_data.DataFacts:
    origin: report_data.Origin = "loaded"
    if request.data is not None:
        origin = "photos"
    elif request.recipe.data.draw is not None:
        origin = "drawn"
    return report_data.DataFacts(
        origin=origin,
        description=" ".join(part for part in (_said_of(request), dataset.origin) if part),
        train=_by_kind(dataset.train),
        validation=_by_kind(dataset.validation),
        test=_by_kind(dataset.test),
        unreadable=dataset.unreadable,
    )


def _said_of(request: BuildRequest) -> str:
    """What the recipe says of its own pictures; a folder of the user's speaks for itself."""
    return request.recipe.data.description if request.data is None else ""


def assemble_fixed(
    request: FixedRequest,
    source: ConvertedSource,
    model: Model,
    warnings: Sequence[Problem],
    marking_says: str,
    proof: tuple[Agreement, report_data.Masks],
    seconds: Mapping[str, float],
    other_programs: float = 0.0,
) -> report_data.Report:
    """The same for a model that is not updatable."""
    recipe, (agreement, masks) = request.recipe, proof
    same = masks.model == masks.source
    return report_data.Report(
        name=recipe.name,
        sample=request.sample,
        description=recipe.metadata.description,
        labels=recipe.labels,
        input=recipe.input.converted(),
        label_feature="",
        data=None,
        personalization=None,
        models=(model_facts(f"{recipe.name}.mlmodel", "network", model),),
        proof=report_data.Proof(
            pictures=agreement.rows,
            places=same.size,
            labels_equal=int(same.sum()),
            max_difference=agreement.difference,
            allowed_difference=source.tolerance,
            rules=_rules_put(model),
            problems=tuple(map(str, warnings)),
            update=None,
        ),
        source=_in_text(source.facts),
        history=source.history,
        snapshots=tuple(report_data.TrainingFrame(snapshot.title, snapshot.pixels) for snapshot in source.snapshots),
        assumptions={},
        versions=_versions(),
        machine=described(),
        seconds=dict(seconds),
        other_programs=other_programs,
        fixed=report_data.Fixed(
            recipe.why,
            marking_says,
            recipe.preview.type if recipe.preview else "",
            recipe.preview.colors if recipe.preview else (),
            masks,
        ),
    )


def _proof_facts(agreement: Agreement, update: UpdateProof, variants: Variants) -> report_data.Proof:
    return report_data.Proof(
        pictures=agreement.rows,
        places=agreement.rows,
        labels_equal=agreement.rows,  # or the build had ended
        max_difference=agreement.difference,
        allowed_difference=ALLOWED_DIFFERENCE,
        rules=_rules_put(variants.network) + _rules_put(variants.knn),
        problems=tuple(map(str, variants.warnings)),
        update=update,
    )


def source_facts(converted: Converted, snapshots: int) -> dict[str, str]:
    """What is known of the source; and why there are no ``snapshots``, where the recipe asks for them in vain."""
    facts = _in_text(converted.facts)
    return facts | {"snapshots": NO_EPOCHS} if snapshots and converted.tails else facts


NO_EPOCHS = "none, because the head was fitted in one step, without epochs; the learning curve is under base accuracy"


def _in_text(facts: Mapping[str, object]) -> dict[str, str]:
    return {name.replace("_", " "): _in_words(value) for name, value in facts.items()}


def _rules_put(model: Model) -> int:
    """How many rules were put to ``model`` and its members."""
    members = pipeline_of(model).models if is_pipeline(model) else ()
    return len(list(applying(model))) + sum(_rules_put(member) for member in members)


def _by_kind(examples: Examples) -> Mapping[str, int]:
    return dict(sorted(Counter(examples.kinds).items()))


def _in_words(value: object) -> str:
    match value:
        case None:
            return "none"
        case float():
            return f"{value:.4g}"
        case int() if not isinstance(value, bool):
            return f"{value:,}"
    return str(value)


def _versions(engine: str = "") -> dict[str, str]:
    """Of what made the models; ``engine``: what ran the fixed part for the comparison."""
    result = {name: version_of(name) for name in LIBRARIES}
    return {
        "coreml-updatable": version("coreml-updatable"),
        "Python": platform.python_version(),
        **{name: text for name, text in result.items() if text is not None},
        **({"engine": engine} if engine else {}),
    }
