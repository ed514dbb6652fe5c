"""What the index says of one .mlmodel, read off the model itself."""

from collections.abc import Sequence

from coreml_updatable.errors import CatalogueError
from coreml_updatable.personalization.results import Outcome
from coreml_updatable.personalization.wording import counted, words_for
from coreml_updatable.publishing.catalogue import index
from coreml_updatable.publishing.catalogue.build_report import BuildReport
from coreml_updatable.publishing.report.model_facts import learns
from coreml_updatable.publishing.report.story import owners_kinds, owners_labels, shots_of_each
from coreml_updatable.publishing.vectors.document import SUFFIX
from coreml_updatable.spec import summary as spec
from coreml_updatable.spec.availability import AVAILABILITY
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import is_pipeline


def model_entry(entry: index.File, model: Model, report: BuildReport) -> index.ModelFile:
    """The entry of the file ``entry``, which holds ``model``, of the build that ``report`` is of."""
    file = entry.file
    summary = spec.summarize(model)
    compared = file in [one.file for one in report.models]
    role = _role(file, model, report)
    return index.ModelFile(
        **entry.model_dump(),
        role=role,
        layout=_layout(model, report),
        twin=next((one.file for one in report.models if one.kind != role), None) if role != "part" else None,
        kind=summary.kind,
        specification_version=summary.specification_version,
        least_ios=_least_ios(file, summary),
        inputs=_features(summary.inputs),
        outputs=_features(summary.outputs),
        training_inputs=_features(summary.training_inputs),
        labels=summary.labels or None,
        update=_update(summary),
        learns=learns(summary),
        vectors=_vectors(file, report),
        accuracies=_accuracies(role, report) if compared else (),  # a further layout may be rounded
    )


def _role(file: str, model: Model, report: BuildReport) -> index.Role:
    """Beside the twins lie further layouts of the network: whole, or one of the two parts of a split."""
    known: index.Role | None = next((one.kind for one in report.models if one.file == file), None)
    return known or ("network" if _is_whole(model, report) else "part")


def _layout(model: Model, report: BuildReport) -> index.Layout:
    if not _is_whole(model, report):
        return "split"
    return "pipeline" if is_pipeline(model) else "single"


def _is_whole(model: Model, report: BuildReport) -> bool:
    """A part of a split takes another input than the build's, or learns nothing itself."""
    takes = {str(feature.name) for feature in model.description.input}
    return bool(model.isUpdatable) and report.input.name in takes


def _least_ios(file: str, summary: spec.Summary) -> str:
    system = AVAILABILITY.get(summary.specification_version)
    if system is None:
        raise CatalogueError(
            f"{file}: specification version {summary.specification_version}, expected one of "
            f"{min(AVAILABILITY)} to {max(AVAILABILITY)}; export it for a system that is known"
        )
    return system


def _vectors(file: str, report: BuildReport) -> str | None:
    name = f"{file.removesuffix('.mlmodel')}{SUFFIX}"
    return name if name in report.files else None


def _features(features: Sequence[spec.Feature]) -> tuple[index.Feature, ...]:
    return tuple(index.Feature(name=one.name, type=one.type, description=one.description) for one in features)


def _update(summary: spec.Summary) -> index.Update | None:
    update = summary.update
    if update is None:
        return None
    parameters = tuple(
        index.Parameter(name=one.name, default=one.default, range=one.range, allowed=one.allowed)
        for one in update.parameters
    )
    return index.Update(layers=update.layers, loss=update.loss, optimizer=update.optimizer, parameters=parameters)


def _accuracies(role: index.Role, report: BuildReport) -> tuple[index.Accuracy, ...]:
    comparison = report.compared()
    if comparison is None:
        return ()
    words = words_for(report.noun)
    outcome: Outcome = comparison.network if role == "network" else comparison.knn
    before, after = outcome.summary.at_once[0], outcome.summary.at_once[-1]
    shots, seeds = shots_of_each(after.shots, comparison, words), counted(len(comparison.seeds), "order")
    orders = f"after {shots} at once (mean of {seeds})"
    owners = f"other {words.picture}s of {owners_kinds(comparison)}, called {owners_labels(comparison)}"
    own = f"test {words.picture}s of the base's own kinds"
    measured = (
        (before.test_accuracy.mean, comparison.test_rows, f"{own}, before any update"),
        (after.test_accuracy.mean, comparison.test_rows, f"{own}, {orders}"),
        (before.held_out_accuracy.mean, comparison.held_out_rows, f"{owners}, before any update"),
        (after.held_out_accuracy.mean, comparison.held_out_rows, f"{owners}, {orders}"),
    )
    return tuple(
        index.Accuracy(value=min(value, 1.0), pictures=pictures, measured_on=on) for value, pictures, on in measured
    )
