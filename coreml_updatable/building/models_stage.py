"""From the converted network to the two updatable models: marked, described, and the twin with its samples."""

from collections.abc import Mapping
from dataclasses import dataclass

from coreml_updatable import __version__
from coreml_updatable.building import settings
from coreml_updatable.building.embedding import embedded
from coreml_updatable.building.recipe import Recipe
from coreml_updatable.building.samples import typical
from coreml_updatable.checking import Problem, check
from coreml_updatable.conversion import Examples, Float32Array
from coreml_updatable.errors import BuildError
from coreml_updatable.marking import Wishes, describe, extractor, mark, twin, with_samples
from coreml_updatable.spec.messages import Model


@dataclass(frozen=True)
class Twins:
    """Both models as they will be written, and what the rules still warn of."""

    network: Model
    knn: Model
    warnings: tuple[Problem, ...]


def make_twins(recipe: Recipe, converted: Model, train: Examples) -> Twins:
    """Mark ``converted``, build its k-NN twin with samples from ``train``; a BuildError if a rule is broken."""
    outputs = recipe.outputs
    wishes: Wishes = {
        "last": recipe.update.last,
        "labels": recipe.labels,
        "label": outputs.label,
        "probabilities": outputs.probabilities,
    }
    if recipe.slots is not None:
        wishes |= {"spare": recipe.slots.count, "spare_share": recipe.slots.share}
    network = mark(converted, settings.update_settings(recipe.update), **wishes)
    empty = twin(network, settings.knn_settings(recipe.knn))
    seen = embeddings(network, train)
    samples = typical(seen, train.kinds, recipe.knn.samples_per_kind, recipe.seed)
    knn = with_samples(empty, seen[samples], [recipe.labels[train.labels[number]] for number in samples])
    network, knn = _described(recipe, network), _described(recipe, knn)
    return Twins(network, knn, _checked(network, knn))


def embeddings(network: Model, examples: Examples) -> Float32Array:
    """What the network's extractor makes of ``examples``: float32 [n, D]."""
    alone = extractor(network)
    name = str(alone.description.input[0].name)
    return embedded(alone, ({name: value} for value in examples.values))


def _described(recipe: Recipe, model: Model) -> Model:
    outputs, metadata = recipe.outputs, recipe.metadata
    features: Mapping[str, str] = {
        recipe.input.name: recipe.input.description,
        outputs.label: outputs.label_description,
        outputs.probabilities: outputs.probabilities_description,
    }
    return describe(
        model,
        features=features,
        description=metadata.description,
        author=metadata.author,
        license=metadata.license,
        version=metadata.version,
        user_defined={"made by": f"coreml_updatable {__version__}", "recipe": recipe.name},
    )


def _checked(network: Model, knn: Model) -> tuple[Problem, ...]:
    problems = [*check(network), *check(knn)]
    for problem in problems:
        if problem.severity == "error":
            raise BuildError(f"built model breaks rule {problem.rule}: {problem}")
    return tuple(problems)
