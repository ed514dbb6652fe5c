"""The comparison of a build whose features are fixed: the parts behind them alone, for each fold another."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from coreml_updatable.building.experiment import rows_of, scenario_of
from coreml_updatable.building.models_stage import make_variants
from coreml_updatable.converting.contract import Converted
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Examples, Float32Array, Int64Array, UInt8Array
from coreml_updatable.personalization.compare import compare
from coreml_updatable.personalization.pooling import pooled
from coreml_updatable.personalization.results import Comparison, Outcome
from coreml_updatable.personalization.scenario import Scenario
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.runtime import load


def compare_tails(
    recipe: Recipe,
    dataset: Dataset,
    converted: Converted,
    extractor_ms: float,
    file_bytes: tuple[int, int],
    tell: Callable[[float, str], None],
) -> Comparison:
    """Network and k-NN with the recipe's owner, on rows that neither learned; of a cross-validation, on all folds.

    Of the whole models come ``extractor_ms``, a row through their fixed layers, and ``file_bytes``, their sizes.
    """
    found, scenarios, places = list[Comparison](), list[Scenario](), list[Int64Array]()
    folds = dataset.folds
    tails = converted.tails[1:] or converted.tails
    for number, tail in enumerate(tails):
        learned, test = np.arange(len(converted.features["learned"])), np.arange(len(dataset.test))
        if len(folds):
            learned, test = np.flatnonzero(folds != number), np.flatnonzero(folds == number)
            if not len(test):
                continue
        part = behind(dataset, converted, learned, test)
        variants = make_variants(recipe, tail.model, part.train, tail.samples_per_kind, neighbors=tail.neighbors)
        scenario = scenario_of(recipe, part, rows_of(recipe, part.test))
        told = lambda fraction, detail, at=number: tell((at + fraction) / len(tails), f"fold {at + 1}: {detail}")  # noqa: E731
        found.append(compare(load(variants.network), load(variants.knn), scenario, told))
        scenarios.append(scenario)
        places.append(test)
    made = pooled(found, scenarios, places)

    def of_the_whole(outcome: Outcome, size: int) -> Outcome:
        return replace(outcome, extractor_ms=extractor_ms, file_bytes=size)

    return replace(
        made,
        network=of_the_whole(made.network, file_bytes[0]),
        knn=of_the_whole(made.knn, file_bytes[1]),
    )


def behind(dataset: Dataset, converted: Converted, learned: Int64Array, test: Int64Array) -> Dataset:
    """``dataset`` with features in the place of pictures: the rows ``learned`` to train on, those of ``test`` to test.

    ``learned`` counts training rows, then validation rows.
    """
    features = converted.features
    both = (dataset.train, dataset.validation)
    every = Examples(
        features["learned"],
        np.concatenate([part.labels for part in both]),
        (*both[0].names, *both[1].names),
        (*both[0].kinds, *both[1].kinds),
    )
    return replace(
        dataset,
        train=_some(every, every.values, learned),
        validation=_some(every, every.values, learned[:0]),
        test=_some(dataset.test, features["test"], test),
        owner_support=replace(dataset.owner_support, values=features["owner"]),
        owner_held_out=replace(dataset.owner_held_out, values=features["held out"]),
    )


def _some(examples: Examples, values: UInt8Array | Float32Array, rows: Int64Array) -> Examples:
    return Examples(
        values[rows],
        examples.labels[rows],
        tuple(examples.names[row] for row in rows),
        tuple(examples.kinds[row] for row in rows),
    )
