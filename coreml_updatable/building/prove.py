"""Prove that the two written models do what they should, before anything is compared or published."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from coreml_updatable.building.rows import labelled_rows
from coreml_updatable.converting.contract import ConvertedSource, Row
from coreml_updatable.converting.equivalence import unrounded
from coreml_updatable.converting.finished import probabilities
from coreml_updatable.converting.spread import Agreement, compared
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Float64Array, UInt8Array
from coreml_updatable.errors import BuildError
from coreml_updatable.marking import sample_counts
from coreml_updatable.publishing.report.values import Masks, UpdateProof
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model, copy_of
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.reserved_labels import reserved_labels
from coreml_updatable.spec.storage import weight_fields
from coreml_updatable.updating import UpdateTask


def changed_layers(base: Model, personal: Model) -> tuple[str, ...]:
    """Names of the updatable layers that differ; a BuildError if anything else does, or nothing at all."""
    pairs = list(zip(network_of(base).layers, network_of(personal).layers, strict=True))
    changed = [before.name for before, after in pairs if before != after]
    frozen = [before.name for before, after in pairs if before != after and not before.isUpdatable]
    if frozen:
        raise BuildError(
            f"simulated update: changed the frozen layer {frozen[0]!r}, expected only updatable layers to change"
        )
    if not changed:
        raise BuildError(
            "simulated update: changed no layer, expected the updatable layers to change; raise the learning rate"
        )
    if model_bytes(_without_updatable(base)) != model_bytes(_without_updatable(personal)):
        raise BuildError("simulated update: changed more than weights, expected every other field to stay the same")
    return tuple(changed)


def _without_updatable(model: Model) -> Model:
    """A copy in which the values of updatable weights are gone."""
    copy = copy_of(model)
    for layer in network_of(copy).layers:
        for _, weights in weight_fields(layer) if layer.isUpdatable else ():
            weights.ClearField("floatValue")
    return copy


ALLOWED_DIFFERENCE = 1e-4  # in probability, between the source network and the written model

Rows = Sequence[Row]


MOST_UPDATE_ROWS = 10  # as many photos as an owner takes in an evening


def prove(
    network: RunnableModel,
    knn: RunnableModel,
    dataset: Dataset,
    recipe: Recipe,
    test_rows: Rows,
    source: Float64Array,
    others: Rows | None = None,
) -> tuple[Agreement, UpdateProof]:
    """Agreement with the source, and one update of each model looked at closely.

    What was written and loaded again is asked about ``others``, by default the test rows.
    """
    learned = next((part for part in dataset.to_learn if len(part)), dataset.train)
    rows = labelled_rows(recipe, learned.take(range(min(len(learned), MOST_UPDATE_ROWS))))
    labels = recipe.every_label()
    files = [model_bytes(model.message) for model in (network, knn)]
    agreement = agree(network, test_rows, source, recipe.labels)
    others = test_rows if others is None else others
    update = update_works(network, rows, others, labels)
    rewritten_knn = knn_update_works(knn, rows, others, labels)
    if [model_bytes(model.message) for model in (network, knn)] != files:
        raise BuildError("simulated update: changed the base model itself; this is a bug, please report it")
    return agreement, replace(update, rewritten_difference=max(update.rewritten_difference, rewritten_knn))


def knn_update_works(model: RunnableModel, training_rows: Rows, other_rows: Rows, labels: Sequence[str]) -> float:
    """Update the k-NN; a BuildError unless it holds just the new samples more and its file answers as it does."""
    context = UpdateTask(model, training_rows).resume()
    added = sum(sample_counts(context.model.message).values()) - sum(sample_counts(model.message).values())
    if added != len(training_rows):
        raise BuildError(
            f"simulated update of the k-NN: added {added} samples, expected {len(training_rows)}; this is a bug in "
            "coreml_updatable, please report it"
        )
    return rewritten(context.model, context.write, other_rows, labels)


def agree(model: RunnableModel, rows: Rows, source: Float64Array, labels: Sequence[str]) -> Agreement:
    """Compare probabilities [n, classes]; a BuildError if any differs by more than 1e-4 or any label is another one."""
    said = probabilities(model, rows, labels)
    if reserved_labels(model.message):  # they take a share of every answer
        said = said / said.sum(axis=1, keepdims=True)
    difference = float(np.abs(said - source).max())
    equal = int((said.argmax(axis=1) == source.argmax(axis=1)).sum())
    by_spread = compared(source, said)
    if not difference <= ALLOWED_DIFFERENCE or equal != len(rows):
        raise BuildError(
            f"converted model: differs from its source by {difference:.2g} in probability and in {len(rows) - equal} "
            f"of {len(rows)} labels, expected at most {ALLOWED_DIFFERENCE} and no labels; use another network, "
            "because this one does not convert correctly"
        )
    proved = len(rows) < 2 or by_spread.verdict != "constant"
    return Agreement(difference, len(rows), by_spread.relative, proved)


def update_works(model: RunnableModel, training_rows: Rows, other_rows: Rows, labels: Sequence[str]) -> UpdateProof:
    """Update the network ``model`` and look at what changed; a BuildError if it is not what an update may do."""
    context = UpdateTask(model, training_rows).resume()
    changed = changed_layers(model.message, context.model.message)
    before, after = loss_of(model, training_rows, labels), loss_of(context.model, training_rows, labels)
    if not after < before:
        raise BuildError(
            f"simulated update: the loss went from {before:.4g} to {after:.4g}, expected it to fall; "
            "lower update.learning_rate in the recipe"
        )
    return UpdateProof(changed, before, after, rewritten(context.model, context.write, other_rows, labels))


def loss_of(model: RunnableModel, rows: Rows, labels: Sequence[str]) -> float:
    """Mean of -log(probability of the row's own label): ``CategoricalCrossEntropyLossLayer`` of the format."""
    said = probabilities(model, [_without_label(model, row) for row in rows], labels)
    target = str(model.message.description.predictedFeatureName)
    right = [said[index, list(labels).index(row[target])] for index, row in enumerate(rows)]
    return float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean())


def rewritten(model: RunnableModel, write: Callable[[Path], None], rows: Rows, labels: Sequence[str]) -> float:
    """Write the personal model, load the file again, and compare its answers with the simulator's."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "personal.mlmodel"
        write(path)
        reloaded = load(path)
    difference = float(np.abs(probabilities(model, rows, labels) - probabilities(reloaded, rows, labels)).max())
    if difference > ALLOWED_DIFFERENCE:
        raise BuildError(
            f"personal model: the probabilities of its file differ from those of the simulator by {difference:.2g}, "
            f"expected at most {ALLOWED_DIFFERENCE}; this is a bug in coreml_updatable, please report it"
        )
    return difference


def _without_label(model: RunnableModel, row: Row) -> Row:
    target = str(model.message.description.predictedFeatureName)
    return {name: value for name, value in row.items() if name != target}


SQUARES = 8  # along the longer side of the second picture


def prove_scores(model: Model, source: ConvertedSource) -> tuple[Agreement, Masks]:
    """Compare scores [n, classes, ...], or pictures [n, channels, ...] in 0..255, on the source's own rows, else on a
    picture of noise and one of squares.

    The difference is relative to the range in which the scores of a class lie, before pictures are rounded. Raises
    BuildError where it is more than the source's tolerance, where the scores are the same everywhere, or where the
    model's pictures are not those numbers, rounded.
    """
    if source.answers is None:
        raise BuildError("source: gives no answers of its own, expected those of the network it was made from")
    name, output = str(model.description.input[0].name), str(model.description.output[0].name)
    pixels = np.stack([np.asarray(row[name]) for row in source.rows or _noise_and_squares(model)])
    rows = [{name: picture} for picture in pixels]
    expected = source.answers(rows)
    scores = np.stack([np.asarray(answer[output], np.float64) for answer in load(unrounded(model)).predict(rows)])
    if scores.size != expected.size:
        raise BuildError(
            f"converted model: answers {list(scores.shape[1:])}, its source {list(expected.shape[1:])}, expected the "
            "same; correct the recipe's function"
        )
    scores = scores.reshape(expected.shape)
    by_class = np.moveaxis(expected, 1, 0).reshape(expected.shape[1], -1)
    spread = float(np.ptp(by_class, axis=1).max())
    if spread <= source.tolerance * float(np.abs(expected).max()):
        raise BuildError(
            f"source: answers the same at every place of every picture, within {spread:.1g}, expected numbers that "
            "differ, because constants prove nothing; give weights that see something"
        )
    difference = float(np.abs(scores - expected).max()) / spread
    if not difference <= source.tolerance:  # NaN too
        raise BuildError(
            f"converted model: differs from its source by {difference:.2g} of the range of its answers, expected at "
            f"most {source.tolerance:g}; nothing was written, this source does not convert faithfully"
        )
    agreement = Agreement(difference, len(rows))
    if model.description.output[0].type.WhichOneof("Type") != "imageType":
        return agreement, Masks(pixels, expected.argmax(axis=1), scores.argmax(axis=1))
    pictures = np.stack([np.asarray(answer[output], np.uint8) for answer in load(model).predict(rows)])
    wanted, ours = (np.moveaxis(numbers, 1, -1).clip(0, 255) for numbers in (expected, scores))
    if not np.abs(pictures - ours.reshape(pictures.shape)).max() <= 0.501:
        raise BuildError(
            "converted model: its pictures are not its numbers, rounded; this is a bug in coreml_updatable, please "
            "report it"
        )
    return agreement, Masks(pixels, np.rint(wanted).astype(np.uint8).reshape(pictures.shape), pictures)


def _noise_and_squares(model: Model) -> Rows:
    fine, coarse = trial_rows(model, 2)
    ((name, pixels),) = coarse.items()
    return [fine, {name: _in_squares(pixels)}]


def _in_squares(pixels: UInt8Array) -> UInt8Array:
    """Pixels from far apart, each as large as a square: shapes to see, where noise is as good as gray."""
    height, width = pixels.shape[:2]
    side = max(1, max(height, width) // SQUARES)
    return pixels[::side, ::side].repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
