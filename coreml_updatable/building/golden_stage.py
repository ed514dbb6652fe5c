"""Golden vectors of every model that takes whole rows: some that none of them learnt, and the owner's to learn from."""

from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Float32Array, UInt8Array
from coreml_updatable.publishing.report.pictures import evenly
from coreml_updatable.publishing.vectors.document import SUFFIX, to_bytes
from coreml_updatable.publishing.vectors.record import record
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.spec.messages import Model

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
