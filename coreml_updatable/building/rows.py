"""Examples as rows that a model reads, and a data set whose rows are what a fixed extractor makes of it."""

from dataclasses import replace

import numpy as np

from coreml_updatable.converting.contract import Converted, Row
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Examples, Int64Array, joined
from coreml_updatable.recipes.recipe import Recipe


def rows_of(recipe: Recipe, examples: Examples) -> tuple[Row, ...]:
    """One row an example, without its label."""
    return tuple({recipe.input.name: value} for value in examples.values)


def labelled_rows(recipe: Recipe, examples: Examples) -> tuple[Row, ...]:
    """One row an example, with its label: what an update learns from."""
    labels = recipe.every_label()
    pairs = zip(examples.values, examples.labels, strict=True)
    return tuple({recipe.input.name: value, recipe.outputs.label: labels[label]} for value, label in pairs)


def behind(dataset: Dataset, converted: Converted, learned: Int64Array) -> Dataset:
    """``dataset`` with features in the place of pictures, and the rows ``learned`` to train on.

    ``learned`` counts training rows, then validation rows.
    """
    features = converted.features
    every = joined(dataset.train, dataset.validation, features["learned"])
    return replace(
        dataset,
        train=every.take(learned),
        validation=every.take(learned[:0]),
        test=replace(dataset.test, values=features["test"]),
        owner_support=replace(dataset.owner_support, values=features["owner"]),
        owner_held_out=replace(dataset.owner_held_out, values=features["held out"]),
    )


def paired_rows(recipe: Recipe, train: Examples) -> Int64Array:
    """Numbers of the rows of the label that shots are paired with, in turn, so that all kinds come early."""
    owner = recipe.personalization
    if owner is None or owner.paired_with is None:
        return np.zeros(0, np.int64)
    turn: dict[str, int] = {}
    places = []
    for index, label in enumerate(train.labels):
        if recipe.labels[label] == owner.paired_with:
            turn[train.kinds[index]] = turn.get(train.kinds[index], 0) + 1
            places.append((turn[train.kinds[index]], index))
    return np.array([position for _, position in sorted(places)], np.int64)
