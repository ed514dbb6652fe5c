"""Golden vectors of both models: pictures that neither ever learnt, and the owner's photos to learn from."""

from coreml_updatable.building.data.dataset import Dataset
from coreml_updatable.building.recipe import Recipe
from coreml_updatable.conversion import UInt8Array
from coreml_updatable.publishing.golden.document import SUFFIX, to_bytes
from coreml_updatable.publishing.golden.record import record
from coreml_updatable.publishing.pictures import evenly
from coreml_updatable.spec.messages import Model

OWNERS, BASES, LEARNT = 4, 8, 5  # pictures of the owner's kind, of the base's kinds, and to learn from


def golden_vectors(recipe: Recipe, dataset: Dataset, models: dict[str, Model]) -> dict[str, bytes]:
    """The files to write: file name of each model in ``models`` -> its vectors, and the pictures, which they share."""
    pictures = _some(dataset.owner_held_out.pixels, OWNERS) + _some(dataset.test.pixels, BASES)
    taught = dataset.owner_support if len(dataset.owner_support) else dataset.validation
    labels = [recipe.every_label()[label] for label in taught.labels[:LEARNT]]
    learnt = list(zip(taught.pixels[:LEARNT], labels, strict=True))
    made: dict[str, bytes] = {}
    for file, model in models.items():
        vectors, files = record(model, file, recipe.input.name, recipe.outputs.label, pictures, learnt)
        made |= {**files, f"{file.removesuffix('.mlmodel')}{SUFFIX}": to_bytes(vectors)}
    return made


def _some(pixels: UInt8Array, wanted: int) -> list[UInt8Array]:
    return [pixels[index] for index in evenly(len(pixels), wanted)]
