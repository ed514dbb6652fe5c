"""The recipe's owner as a laboratory: his rows, the base test set and some training rows behind the fixed layers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from coreml_updatable.building.models_stage import Variants, make_variants
from coreml_updatable.building.rows import behind, rows_of
from coreml_updatable.converting.contract import Converted, Row
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Int64Array
from coreml_updatable.personalization.contenders import contender
from coreml_updatable.personalization.costs import agrees, tried_with
from coreml_updatable.personalization.laboratory import Entrant, Lab, Protocol
from coreml_updatable.personalization.owners import OwnerSplit, World
from coreml_updatable.personalization.population import Brings, Population
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.updating.task import learning_part

NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True)
class EvaluatedModels:
    """Network and k-NN, with rows that they read; ``tested``: those of its test rows that they never saw, ``learned``:
    which training rows, then validation rows, its training rows are."""

    models: tuple[tuple[str, Model], ...]
    data: Dataset
    tested: Int64Array
    learned: Int64Array


def parts_of(recipe: Recipe, dataset: Dataset, converted: Converted, variants: Variants) -> Iterator[EvaluatedModels]:
    """What is judged: the models, or, where the features are fixed, the layers behind them, for each fold others."""
    every, folds = np.arange(len(dataset.test)), dataset.folds
    if not converted.tails:
        yield EvaluatedModels(_named(variants), dataset, every, np.arange(len(dataset.train)))
        return
    for index, tail in enumerate(converted.tails[1:] or converted.tails):
        learned, tested = np.arange(len(converted.features["learned"])), every
        if len(folds):
            learned, tested = np.flatnonzero(folds != index), np.flatnonzero(folds == index)
        if len(tested):
            data = behind(dataset, converted, learned)
            result = make_variants(recipe, tail.model, data.train, tail.samples_per_kind, neighbors=tail.neighbors)
            yield EvaluatedModels(_named(result), data, tested, learned)


def _named(variants: Variants) -> tuple[tuple[str, Model], ...]:
    return ("network", variants.network), ("k-NN", variants.knn)


def laboratory(
    recipe: Recipe,
    part: EvaluatedModels,
    models: Sequence[tuple[str, Model]],
    *,
    seeds: Sequence[int] = (),
    paired: Int64Array = NOTHING,
    reference: Int64Array = NOTHING,
) -> Lab:
    """The models with the recipe's owner, in the orders of the ``seeds``, or any number of them.

    ``paired`` and ``reference``: numbers of training rows, to learn each shot with, and to choose a replay set among;
    they are the laboratory's last rows.
    """
    owner, labels = recipe.personalization, recipe.every_label()
    assert owner is not None
    further = part.data.train.take(np.concatenate([paired, reference]))
    given = (part.data.owner_support, part.data.owner_held_out, part.data.test, further)
    kinds = np.array([kind for item in given for kind in item.kinds], object)
    shots, held, test, last = np.split(np.arange(len(kinds)), np.cumsum([len(item) for item in given])[:-1])
    own = tuple(dict.fromkeys(part.data.owner_support.kinds))
    split = OwnerSplit(
        {kind: shots[kinds[shots] == kind] for kind in own},
        test[part.tested],
        NOTHING,
        last[len(paired) :],
        {kind: held[kinds[held] == kind] for kind in own},
    )
    world = World(
        Population(seed=recipe.seed, kinds_per_owner=len(own), same=Brings(kinds=own)),
        tuple(kinds),
        tuple(labels[label] for item in given for label in item.labels),
        tuple(labels),
        split,
        owner.shots[-1],
        last[: len(paired)],
        tuple(seeds),
    )
    rows = [row for item in given for row in rows_of(recipe, item)]
    result = [_entered(recipe, world, name, load(message), rows) for name, message in models]
    return Lab(
        world,
        tuple(item.contenders[0] for item in result),
        tuple(item.embeddings[0] for item in result),
        tuple(item.frozen[0] for item in result),
        tuple(Entrant(name, index) for index, (name, _) in enumerate(models)),
        owner.shots,
        PROTOCOLS,
    )


PROTOCOLS: tuple[Protocol, ...] = ("at_once", "one_by_one")


def _entered(recipe: Recipe, world: World, name: str, model: RunnableModel, rows: Sequence[Row]) -> Lab:
    """A laboratory of one model, which is trained by UpdateTask where the engine does not agree with it."""
    frozen = tuple(model.frozen(list(rows)))
    labelled = model.frozen([{**rows[0], recipe.outputs.label: world.row_labels[0]}])[0]
    result = learning_part(model, labelled)
    one, entrant = contender(model, name, result), Entrant(name, 0)
    lab = Lab(world, (one,), (result.vectors(list(frozen))[None],), ((frozen,),), (entrant,), (world.shots,), PROTOCOLS)
    if one.engine == "task" or agrees(replace(lab, world=tried_with(world), protocols=("at_once",)), model):
        return lab
    return replace(lab, contenders=(replace(one, engine="task", file=model_bytes(model.message)),))
